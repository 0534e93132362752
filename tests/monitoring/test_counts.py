"""What a process counts while it works."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from django.db import transaction
from prometheus_client.samples import Sample

from tenex.engines.process import free_port
from tenex.errors import Conflict
from tenex.monitoring import counts, forks
from tenex.monitoring.loop_lag import LoopLag
from tests import dialing_rows, rows
from tests.telephony.test_client import CREATED, ORDER, Server
from tests.webhooks import drive
from voice.bridge import tally
from voice.models import EndReason
from voice.postcall import pipeline
from voice.services import calls, dialing
from voice.telephony.client import Account, Carrier
from voice.telephony.errors import CarrierError

More = Callable[..., float]


@pytest.fixture
def more() -> More:
    """`more(name, label=…)`: how much was counted since the last look at it, or since the test began."""
    begun = {(one.name, frozenset(one.labels.items())): one.value for one in _all()}

    def since(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        now = counts.REGISTRY.get_sample_value(name, labels) or 0.0
        before, begun[key] = begun.get(key, 0.0), now
        return now - before

    return since


def _all() -> Iterator[Sample]:
    for family in counts.REGISTRY.collect():
        yield from family.samples


@pytest.mark.django_db(transaction=True)
def test_a_call_ends_once_and_only_if_it_is_committed(more: More) -> None:
    call = rows.call(rows.workspace())
    ended = {"direction": "inbound", "reason": "busy"}
    with transaction.atomic():
        assert calls.end(call.pk, EndReason.BUSY)
        transaction.set_rollback(True)
    assert more("tenex_calls_ended_total", **ended) == 0
    assert rows.together(*[lambda: calls.end(call.pk, EndReason.BUSY)] * 4).count(True) == 1
    assert more("tenex_calls_ended_total", **ended) == 1


@pytest.mark.django_db(transaction=True)
def test_why_somebody_may_not_be_called(more: More) -> None:
    space = dialing_rows.workspace()
    version = rows.version(space)
    rows.call(space, agent=version)
    with pytest.raises(Conflict) as refused:
        dialing.place(space, lead=rows.lead(space), agent=version.agent)
    assert more("tenex_call_decisions_total", stage="enqueue", code=refused.value.code) == 1


def test_requests_to_the_carrier_by_what_came_of_them(more: More) -> None:
    server = Server()
    carrier = Carrier(Account("AC" + "0" * 32, "AC" + "0" * 32, "secret", server.url, 1.0))
    server.says(201, CREATED)
    carrier.place_call(ORDER)
    for status, result in ((429, "throttled"), (400, "rejected"), (500, "ambiguous"), (404, "gone")):
        server.says(status, "{}")
        with pytest.raises(CarrierError):
            carrier.place_call(ORDER)
        assert more("tenex_carrier_requests_total", result=result) == 1
    server.close()
    with pytest.raises(CarrierError):
        carrier.place_call(ORDER)
    assert more("tenex_carrier_requests_total", result="ok") == 1
    assert more("tenex_carrier_requests_total", result="unreachable") == 1
    assert more("tenex_carrier_request_seconds_count") == 6


@pytest.mark.django_db(transaction=True)
def test_tries_to_deliver(more: More) -> None:
    space = rows.workspace()
    server = Server()
    drive.subscribe(space, f"http://127.0.0.1:{free_port()}/")
    drive.subscribe(space, server.url)
    drive.record(space)
    drive.send()
    server.says(500, "no")
    drive.record(space)
    drive.send_again()
    server.close()
    assert more("tenex_webhook_attempts_total", result="delivered") == 1
    assert more("tenex_webhook_attempts_total", result="refused") == 1
    assert more("tenex_webhook_attempts_total", result="unanswered") >= 2
    assert more("tenex_webhook_attempt_seconds_count") >= 4


@pytest.mark.django_db(transaction=True)
def test_steps_after_a_call(more: More, monkeypatch: pytest.MonkeyPatch) -> None:
    call = rows.end(rows.call(rows.workspace()))

    def broken(call_id: uuid.UUID) -> dict[str, object]:
        raise ValueError("no")

    monkeypatch.setattr("voice.postcall.questions.settle", broken)
    assert not pipeline.finalize(call.pk)
    assert more("tenex_postcall_steps_total", step="transcript", result="done") == 1
    assert more("tenex_postcall_steps_total", step="questions", result="again") == 1
    assert more("tenex_postcall_steps_total", step="complete", result="done") == 0


def test_lines_of_the_log(more: More) -> None:
    for level in ("info", "warning", "error", "critical"):
        getattr(logging.getLogger("tests.lines"), level)("something")
    assert more("tenex_log_lines_total", level="warning") == 1
    assert more("tenex_log_lines_total", level="error") == 2


async def test_a_loop_that_is_held_up_is_late() -> None:
    seen: list[float] = []
    lag = LoopLag(seen.append)
    await asyncio.sleep(0.3)
    assert len(seen) == 1
    time.sleep(0.5)  # noqa: ASYNC251 - what must not happen
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen[1] > 0.25
    lag.stop()
    await asyncio.sleep(0.3)
    assert len(seen) == 2


class _Call:
    def __init__(self) -> None:
        self.ms = (0.0, 0.0)

    def audio_ms(self) -> tuple[float, float]:
        return self.ms


def test_sound_is_summed_up_over_calls_that_live_and_calls_that_are_over() -> None:
    audio = tally.Audio()

    def seconds() -> list[float]:
        return [one.value for family in audio.collect() for one in family.samples]

    first, second = _Call(), _Call()
    audio.begin(first)
    audio.begin(second)
    first.ms, second.ms = (1000.0, 500.0), (20.0, 0.0)
    assert seconds() == [1.02, 0.5]
    audio.end(first)
    assert seconds() == [1.02, 0.5]
    second.ms = (40.0, 60.0)
    audio.end(second)
    assert seconds() == pytest.approx([1.04, 0.56])


def test_no_stranger_chooses_a_label(more: More) -> None:
    tally.model_lost("whatever the provider says")
    tally.model_lost("close_4242")
    tally.model_lost("http_599")
    tally.socket_refused("nonsense")
    tally.socket_refused("full")
    tally.tool_run("drop_all_tables", 0.1, "failed")
    tally.tool_run("lookup_lead", 0.1)
    assert more("tenex_model_sessions_lost_total", code="other") == 1
    assert more("tenex_model_sessions_lost_total", code="closed") == 1
    assert more("tenex_model_sessions_lost_total", code="http_error") == 1
    assert more("tenex_media_sockets_refused_total", reason="other") == 1
    assert more("tenex_media_sockets_refused_total", reason="full") == 1
    assert more("tenex_tool_failures_total", tool="other", kind="failed") == 1
    assert more("tenex_tool_run_seconds_count", tool="lookup_lead") == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["/opt/lib/celery/__main__.py", "--app", "tenex", "--quiet", "worker", "--hostname", "a@b"], True),
        (["/opt/bin/celery", "--app=tenex", "worker"], True),
        (["/opt/lib/celery/__main__.py", "--app", "tenex", "beat"], False),
        (["manage.py", "serve", "--role", "media"], False),
        (["/opt/tenex/manage.py", "worker"], False),
        ([], False),
    ],
)
def test_which_command_line_is_a_workers(line: list[str], expected: bool) -> None:
    assert forks.is_worker(line) is expected
    assert forks.share_counts(wanted=False, arguments=line) is None
