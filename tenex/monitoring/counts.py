"""What a process counts while it works. All of it, in one place, so that names and labels stay few.

Labels take values of closed lists alone: never an id, a number, or a word that somebody else chose. Counting
is an addition to a child that exists; where frames of live audio pass nothing is counted at all
(voice.bridge.flow sums up what the call knows anyway).
"""

from collections.abc import Collection
from typing import Final

from django.conf import settings

from tenex.monitoring import forks

FOLDER: Final = forks.share_counts(wanted=bool(settings.METRICS_TOKEN and settings.WORKER_METRICS_PORT))
"""Of the counts of a worker's children; None in any other process. Decided before the library is imported."""

from prometheus_client import (  # noqa: E402
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
)

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY: Final = CollectorRegistry()
OTHER: Final = "other"


def known(value: object, allowed: Collection[str]) -> str:
    """`value` if it is of a closed list, else "other": strangers choose no label."""
    text = str(value)
    return text if text in allowed else OTHER


def _counter(name: str, documentation: str, *labels: str) -> Counter:
    return Counter(name, documentation, labels, registry=REGISTRY)


def _histogram(name: str, documentation: str, bounds: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, documentation, labels, registry=REGISTRY, buckets=bounds)


_MOMENTS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_WAITS: Final = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
_TOOL_RUNS: Final = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 8.0)
_REQUESTS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TASKS: Final = (0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0)

# --- live calls ------------------------------------------------------------------------------------

LOOP_LAG: Final = _histogram(
    "tenex_process_loop_lag_seconds",
    "How late a timer of the event loop fires, four times a second: what live audio waits at the least.",
    _MOMENTS,
)
SOCKETS_REFUSED: Final = _counter(
    "tenex_media_sockets_refused", "Media sockets that were not let in, by reason.", "reason"
)
TURN_DELAY: Final = _histogram(
    "tenex_turn_delay_seconds",
    "From the end of the caller's speech to the sound of the answer, of each turn.",
    _WAITS,
)
MODEL_SESSIONS: Final = _counter(
    "tenex_model_sessions_opened",
    "Sessions of the speech model that came up: the first of a call, or again (a reconnect, a rotation).",
    "kind",
)
MODEL_LOST: Final = _counter(
    "tenex_model_sessions_lost",
    "Sessions of the speech model that broke or did not come up, by the code of the failure.",
    "code",
)
TOOL_RUN: Final = _histogram(
    "tenex_tool_run_seconds",
    "From a tool call of the model to its answer, in the media process.",
    _TOOL_RUNS,
    "tool",
)
TOOL_FAILED: Final = _counter(
    "tenex_tool_failures",
    "Tool calls without success: refused by the tool (`failed`), too late (`timeout`), broken (`raised`).",
    "tool",
    "kind",
)
CALL_DATA: Final = _counter(
    "tenex_call_data_problems",
    "Transcripts and journals of live calls: a write that failed and is tried again (`kept`), or `lost`.",
    "kind",
)
CALLS_ENDED: Final = _counter(
    "tenex_calls_ended", "Phone calls that ended, by direction and reason.", "direction", "reason"
)

# --- the carrier and dialing -------------------------------------------------------------------------

CARRIER_REQUESTS: Final = _counter(
    "tenex_carrier_requests", "Requests to the carrier's API, by what came of them.", "result"
)
CARRIER_SECONDS: Final = _histogram(
    "tenex_carrier_request_seconds",
    "How long a request to the carrier's API took, answered or not.",
    _REQUESTS,
)
CARRIER_STARTS: Final = _counter(
    "tenex_carrier_starts", "Calls that the carrier was asked to place, by the state of the attempt.", "state"
)
DECISIONS: Final = _counter(
    "tenex_call_decisions",
    "Decisions whether somebody may be called, by stage and code (`allowed`, or why not).",
    "stage",
    "code",
)

# --- after the call, and what is sent ----------------------------------------------------------------

POSTCALL_STEPS: Final = _counter(
    "tenex_postcall_steps",
    "Steps of the work after a call: `done`, `again` (failed, to be repeated), `left_out` (given up).",
    "step",
    "result",
)
MODEL_REQUESTS: Final = _counter(
    "tenex_model_requests",
    "Requests to models besides the speech model: `ok`, `unavailable` (may pass), `refused` (will not).",
    "use",
    "result",
)
WEBHOOK_ATTEMPTS: Final = _counter(
    "tenex_webhook_attempts",
    "Tries to deliver an event: `delivered`, `refused` (an answer, no 2xx), `unanswered`, `unsigned`.",
    "result",
)
WEBHOOK_SECONDS: Final = _histogram(
    "tenex_webhook_attempt_seconds", "How long a try to deliver an event took.", _REQUESTS
)

# --- this process ------------------------------------------------------------------------------------

TASKS: Final = _histogram("tenex_task_seconds", "How long tasks of the worker took.", _TASKS, "task")
TASKS_FAILED: Final = _counter("tenex_tasks_failed", "Tasks of the worker that raised.", "task")
LOG_LINES: Final = _counter("tenex_log_lines", "Lines of the log that may want a person.", "level")
warnings: Final = LOG_LINES.labels("warning")
errors: Final = LOG_LINES.labels("error")
