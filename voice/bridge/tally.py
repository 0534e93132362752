"""What monitoring is told of live calls. Nothing is counted where frames pass.

How much sound went through is known to each call anyway: it is summed up when a scrape asks. The rest counts
what happens once a turn, a tool run or a connection.
"""

import threading
from collections.abc import Iterator
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tenex.monitoring import counts
from voice.realtime.openai import FATAL_CODES

turn_delay = counts.TURN_DELAY.observe
first_session = counts.MODEL_SESSIONS.labels("first")
session_again = counts.MODEL_SESSIONS.labels("again")
data_kept = counts.CALL_DATA.labels("kept")
data_lost = counts.CALL_DATA.labels("lost")

_LOST: Final = {
    code: counts.MODEL_LOST.labels(code)
    for code in (
        *sorted(FATAL_CODES),
        "audio_format_mismatch", "closed", "congested", "connect_failed", "connect_timeout", "forbidden",
        "handshake_failed", "http_error", "message_too_big", "no_answer", "protocol_error",
        "rate_limit_exceeded", "session_expired", "session_refused", "tls_certificate", counts.OTHER,
    )
}  # fmt: skip
_REFUSED: Final = {
    reason: counts.SOCKETS_REFUSED.labels(reason)
    for reason in (
        "bad-signature", "busy", "call-over", "carrier_not_configured", "draining", "expired", "failed",
        "full", "malformed", "no start", "no-voice", "order", "origin", "other-account", "other-call",
        "other-door", "other-token", "secret_unreadable", "sid-taken", "signature", "token-used",
        "too many unproven", "unknown-key", counts.OTHER,
    )
}  # fmt: skip


def socket_refused(reason: object) -> None:
    """A media socket was not let in."""
    _REFUSED[counts.known(reason, _REFUSED)].inc()


def model_lost(code: str) -> None:
    """A session of the model broke, or did not come up. The code may be the provider's own."""
    if code.startswith("close_"):
        code = "closed"
    elif code.startswith("http_"):
        code = "http_error"
    _LOST[counts.known(code, _LOST)].inc()


def tool_run(name: str, took_s: float, failure: str = "") -> None:
    """A tool call of the model was answered. The name is what the model wrote."""
    from voice.tools.catalog import NAMES  # late: the tools bring the CRM with them

    tool = counts.known(name, NAMES)
    counts.TOOL_RUN.labels(tool).observe(took_s)
    if failure:
        counts.TOOL_FAILED.labels(tool, failure).inc()


class Source(Protocol):
    """A live call."""

    def audio_ms(self) -> tuple[float, float]:
        """Sound from the caller, and sound to them, so far."""


class Audio(Collector):
    """Sound that went through this process, of calls that are live and of those that are over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: set[Source] = set()
        self._over_ms = (0.0, 0.0)

    def begin(self, call: Source) -> None:
        with self._lock:
            self._live.add(call)

    def end(self, call: Source) -> None:
        """Once a call."""
        with self._lock:
            self._live.discard(call)
            self._over_ms = _sum(self._over_ms, call.audio_ms())

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            total = self._over_ms
            for call in self._live:
                total = _sum(total, call.audio_ms())
        family = CounterMetricFamily(
            "tenex_media_audio_seconds",
            "Sound of live calls that went through this process: `in` from callers, `out` to them.",
            labels=["direction"],
        )
        for direction, ms in zip(("in", "out"), total, strict=True):
            family.add_metric([direction], ms / 1000)
        yield family


def _sum(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return one[0] + other[0], one[1] + other[1]


audio: Final = Audio()
counts.REGISTRY.register(audio)
