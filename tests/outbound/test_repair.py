"""What was lost is found: the reconciler and the sweeper."""

import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.dialing_rows import outbound_call, workspace
from tests.prove.fake_carrier import FakeCarrier, Faults
from voice.models import Call, CallStatus, DialAttempt, DialState, Direction, EndReason
from voice.outbound.reconcile import reconcile
from voice.outbound.sweep import sweep
from voice.services import attempts
from voice.telephony.client import carrier as configured_carrier

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = timedelta(days=2)


def _attempt(faults: Faults, carrier: FakeCarrier) -> DialAttempt:
    """An attempt that was posted to a carrier with these faults."""
    carrier.faults = faults
    call = outbound_call(workspace())
    attempt = attempts.prepare(call.pk)
    assert attempt is not None
    attempts.dial(attempt.pk, configured_carrier())
    carrier.faults = Faults()
    attempt.refresh_from_db()
    return attempt


def _due() -> None:
    DialAttempt.objects.update(next_at=timezone.now() - timedelta(seconds=1))


def _state(attempt: DialAttempt) -> tuple[str, str]:
    attempt.refresh_from_db()
    attempt.call.refresh_from_db()
    return attempt.state, attempt.call.status


@pytest.mark.parametrize("faults", [Faults(taken_500=1.0), Faults(lost_after=1.0)])
def test_a_lost_call_is_found_and_adopted(carrier: FakeCarrier, faults: Faults) -> None:
    attempt = _attempt(faults, carrier)
    assert attempt.state == DialState.UNKNOWN
    assert reconcile() == 0, "not before the grace"
    _due()
    assert reconcile() == 1
    assert _state(attempt) == (DialState.PLACED, CallStatus.RINGING)
    assert attempt.call.provider_sid in carrier.calls
    assert len(carrier.calls) == 1


@pytest.mark.parametrize("faults", [Faults(refused_500=1.0), Faults(lost_before=1.0)])
def test_what_the_carrier_never_had_is_looked_up_twice_then_given_back(
    carrier: FakeCarrier, faults: Faults
) -> None:
    attempt = _attempt(faults, carrier)
    assert attempt.state == DialState.UNKNOWN
    _due()
    assert reconcile() == 0
    assert _state(attempt) == (DialState.UNKNOWN, CallStatus.DIALING)
    assert reconcile() == 0, "the second look is not due yet"
    _due()
    assert reconcile() == 1
    assert _state(attempt) == (DialState.NOT_PLACED, CallStatus.QUEUED)
    second = attempts.prepare(attempt.call_id)
    assert second is not None
    assert attempts.dial(second.pk, configured_carrier()) == DialState.PLACED
    assert len(carrier.calls) == 1


def test_a_call_that_is_over_by_the_time_it_is_found_ends(carrier: FakeCarrier) -> None:
    attempt = _attempt(Faults(lost_after=1.0), carrier)
    there = next(iter(carrier.calls.values()))
    there.status, there.ended_at = "no-answer", there.created_at
    _due()
    reconcile()
    assert _state(attempt) == (DialState.PLACED, CallStatus.ENDED)
    assert attempt.call.end_reason == EndReason.NO_ANSWER


def test_an_attempt_whose_worker_died_before_it_asked_is_given_back_without_a_look(
    carrier: FakeCarrier,
) -> None:
    call = outbound_call(workspace())
    attempt = attempts.prepare(call.pk)
    assert attempt is not None
    _due()
    assert reconcile() == 1
    assert _state(attempt) == (DialState.NOT_PLACED, CallStatus.QUEUED)


def test_a_call_of_somebody_else_between_the_same_numbers_is_not_ours(carrier: FakeCarrier) -> None:
    """Known by its sid, or too old."""
    first = _attempt(Faults(), carrier)
    attempt = attempts.prepare(
        outbound_call(
            first.call.workspace, from_number=first.call.from_number, to_number=first.call.to_number
        ).pk
    )
    assert attempt is not None
    attempts.fence(attempt.pk)
    for _ in range(2):
        _due()
        reconcile()
    assert _state(attempt) == (DialState.NOT_PLACED, CallStatus.QUEUED)


def test_a_carrier_that_cannot_be_asked_decides_nothing(carrier: FakeCarrier, settings: Any) -> None:
    attempt = _attempt(Faults(lost_after=1.0), carrier)
    settings.TWILIO_API_BASE_URL = "http://127.0.0.1:9"
    for _ in range(4):
        _due()
        assert reconcile() == 0
    assert _state(attempt) == (DialState.UNKNOWN, CallStatus.DIALING)
    assert attempt.lookups == 0


# --- live calls that fell silent -----------------------------------------------------------------


def _live(carrier: FakeCarrier, **fields: Any) -> Call:
    """A placed call that the sweeper has to look at."""
    attempt = _attempt(Faults(), carrier)
    Call.objects.filter(pk=attempt.call_id).update(sweep_at=timezone.now(), **fields)
    return Call.objects.get(pk=attempt.call_id)


def _there(carrier: FakeCarrier, call: Call) -> Any:
    return carrier.calls[str(call.provider_sid)]


def test_a_final_callback_that_was_lost_is_made_up_for(carrier: FakeCarrier) -> None:
    call = _live(carrier)
    there = _there(carrier, call)
    there.status, there.started_at = "completed", there.created_at
    there.ended_at, there.duration_s = there.created_at + timedelta(seconds=2), 2
    assert sweep() == 1
    call.refresh_from_db()
    assert (call.status, call.end_reason) == (CallStatus.ENDED, EndReason.CALLER_HANGUP)
    assert call.answered_at is not None


def test_a_call_that_goes_on_is_left_alone_and_not_looked_at_again_at_once(carrier: FakeCarrier) -> None:
    call = _live(carrier)
    assert sweep() == 0
    call.refresh_from_db()
    assert call.status == CallStatus.RINGING
    assert call.sweep_at is not None
    assert call.sweep_at > timezone.now()
    assert not _there(carrier, call).wanted


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"status": "in_progress", "ago_s": 700.0}, "in-progress", EndReason.MAX_DURATION),
        ({"status": "in_progress", "ago_s": 200.0}, "in-progress", EndReason.MEDIA_LOST),
        ({"status": "in_progress", "ago_s": 10.0, "end_hint": "silence"}, "in-progress", EndReason.SILENCE),
        ({"status": "ringing", "ago_s": 400.0}, "ringing", EndReason.NO_ANSWER),
    ],
)
def test_a_call_that_outlived_its_limits_is_hung_up(
    carrier: FakeCarrier, fields: dict[str, Any], status: str, reason: EndReason
) -> None:
    started_at = timezone.now() - timedelta(seconds=fields.pop("ago_s"))
    answered = {"answered_at": started_at} if fields["status"] == "in_progress" else {}
    call = _live(carrier, placed_at=started_at, **answered, **fields)
    _there(carrier, call).status = status
    sweep()
    call.refresh_from_db()
    assert (call.status in {"in_progress", "ringing"}, call.end_hint) == (True, reason)
    deadline_s = time.monotonic() + 5
    while not _there(carrier, call).ended_at and time.monotonic() < deadline_s:
        time.sleep(0.01)
    Call.objects.update(sweep_at=timezone.now())
    sweep()
    call.refresh_from_db()
    assert (call.status, call.end_reason) == (CallStatus.ENDED, reason)


def test_a_call_with_a_lease_or_with_a_person_is_not_media_lost(carrier: FakeCarrier) -> None:
    started_at = timezone.now() - timedelta(seconds=200)
    leased = _live(
        carrier,
        status="in_progress",
        placed_at=started_at,
        answered_at=started_at,
        lease_until=timezone.now() - timedelta(seconds=5),
    )
    bridged = _live(
        carrier, status="in_progress", placed_at=started_at, answered_at=started_at, transfer_state="bridged"
    )
    for call in (leased, bridged):
        _there(carrier, call).status = "in-progress"
    assert sweep() == 0
    for call in (leased, bridged):
        call.refresh_from_db()
        assert (call.status, call.end_hint) == (CallStatus.IN_PROGRESS, "")


def test_a_call_that_the_carrier_does_not_know_ends(carrier: FakeCarrier) -> None:
    call = _live(carrier, provider_sid=f"CA{uuid.uuid4().hex}")
    assert sweep() == 1
    call.refresh_from_db()
    assert (call.status, call.end_reason) == (CallStatus.ENDED, EndReason.CARRIER_FAILED)


def test_an_inbound_call_that_never_opened_its_stream_is_looked_at_too(carrier: FakeCarrier) -> None:
    call = _live(carrier, direction=Direction.INBOUND, end_hint="no-agent")
    there = _there(carrier, call)
    there.status, there.ended_at, there.duration_s = "completed", there.created_at, 1
    sweep()
    call.refresh_from_db()
    assert (call.status, call.end_reason) == (CallStatus.ENDED, EndReason.NO_AGENT)


def test_when_the_carrier_is_silent_for_long_the_row_is_closed(carrier: FakeCarrier, settings: Any) -> None:
    call = _live(carrier)
    settings.TWILIO_API_BASE_URL = "http://127.0.0.1:9"
    assert sweep() == 0
    Call.objects.filter(pk=call.pk).update(placed_at=timezone.now() - LONG_AGO, sweep_at=timezone.now())
    assert sweep() == 1
    call.refresh_from_db()
    assert call.end_reason == EndReason.CARRIER_FAILED


def test_a_call_that_waited_in_the_queue_for_a_day_is_given_up(carrier: FakeCarrier) -> None:
    call = outbound_call(workspace())
    Call.objects.filter(pk=call.pk).update(created_at=timezone.now() - LONG_AGO)
    assert sweep() == 1
    call.refresh_from_db()
    assert call.end_reason == EndReason.NOT_PLACED


def test_the_schedule_names_registered_tasks_and_follows_the_time_scale() -> None:
    from importlib import import_module

    from tenex.celery import TASK_APPS, app
    from tenex.periodic import beat_schedule

    for name in TASK_APPS:
        import_module(f"{name}.tasks")
    entries = beat_schedule(10.0)
    assert {entry["task"] for entry in entries.values()} >= {
        "voice.outbound.tick",
        "voice.outbound.reconcile",
        "voice.sweep",
    }
    assert all(entry["task"] in app.tasks for entry in entries.values())
    assert entries["voice.outbound.tick"]["schedule"] == pytest.approx(0.1)
    assert entries["voice.outbound.tick"]["options"]["expires"] >= 1.0
