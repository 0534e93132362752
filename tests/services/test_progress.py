"""The carrier's word in every order (promises.md A4)."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from tenex.events.models import Event
from tests.dialing_rows import outbound_call, workspace
from voice.models import Call, CallStatus, EndReason
from voice.services import calls, progress
from voice.services.progress import Report

pytestmark = pytest.mark.django_db

ANSWERED = ("initiated", "ringing", "in-progress", "completed")
UNANSWERED = [("initiated", "ringing", end) for end in ("busy", "no-answer", "failed", "canceled")]
REASONS = {
    "completed": EndReason.CALLER_HANGUP,
    "busy": EndReason.BUSY,
    "no-answer": EndReason.NO_ANSWER,
    "failed": EndReason.CARRIER_FAILED,
    "canceled": EndReason.CANCELED,
}


def _reports(statuses: tuple[str, ...]) -> list[Report]:
    start = timezone.now() - timedelta(seconds=20)
    return [
        Report(
            status=status,
            seq=index,
            at=start + timedelta(seconds=index * 5),
            duration_s=5 if status == "completed" else None,
        )
        for index, status in enumerate(statuses)
    ]


def _dialing() -> Call:
    placed_at = timezone.now() - timedelta(seconds=21)
    return outbound_call(workspace(), status=CallStatus.DIALING, placed_at=placed_at)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_an_answered_call_ends_the_same_in_every_order_of_its_callbacks(order: tuple[int, ...]) -> None:
    call = _dialing()
    reports = _reports(ANSWERED)
    for index in order:
        progress.apply(call.pk, reports[index])
        progress.apply(call.pk, reports[index])
    call.refresh_from_db()
    assert (call.status, call.end_reason) == (CallStatus.ENDED, EndReason.CALLER_HANGUP)
    assert call.answered_at is not None
    assert call.duration_ms is not None
    assert 4900 <= call.duration_ms <= 5100
    assert (call.provider_seq, call.provider_status) == (3, "completed")
    ends = Event.objects.filter(call_id=call.pk, type="call.ended").count()
    answers = Event.objects.filter(call_id=call.pk, type="call.answered").count()
    starts = Event.objects.filter(call_id=call.pk, type="agent.run.started").count()
    assert (ends, answers, starts) == (1, 1, 1)


@pytest.mark.parametrize("statuses", UNANSWERED)
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_unanswered_call_too(statuses: tuple[str, ...], order: tuple[int, ...]) -> None:
    call = _dialing()
    reports = _reports(statuses)
    for index in order:
        progress.apply(call.pk, reports[index])
    call.refresh_from_db()
    assert (call.status, call.end_reason) == (CallStatus.ENDED, REASONS[statuses[-1]])
    assert call.answered_at is None
    assert Event.objects.filter(call_id=call.pk, type="call.ended").count() == 1


def test_the_reason_of_the_live_session_beats_a_plain_completed() -> None:
    call = _dialing()
    calls.hint_end(call.pk, EndReason.OPTED_OUT)
    progress.apply(call.pk, _reports(ANSWERED)[3])
    call.refresh_from_db()
    assert call.end_reason == EndReason.OPTED_OUT


def test_clocks_that_disagree_leave_a_row_that_fits() -> None:
    call = _dialing()
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    assert progress.apply(call.pk, Report("in-progress", at=long_ago))
    assert progress.apply(call.pk, Report("completed", at=long_ago, duration_s=1))
    call.refresh_from_db()
    assert call.placed_at == call.answered_at == call.ended_at


def test_the_future_is_cut_at_now() -> None:
    call = _dialing()
    progress.apply(call.pk, Report("completed", at=timezone.now() + timedelta(days=1), duration_s=3))
    call.refresh_from_db()
    assert call.ended_at is not None
    assert call.ended_at <= timezone.now()


def test_unknown_words_and_unknown_calls_change_nothing() -> None:
    call = _dialing()
    assert not progress.apply(call.pk, Report("teleported", seq=9))
    assert not progress.apply(workspace().pk, Report("completed"))
    call.refresh_from_db()
    assert (call.status, call.provider_seq) == (CallStatus.DIALING, -1)


def test_a_queued_call_is_not_moved_by_the_callbacks_of_an_attempt_that_was_given_up() -> None:
    call = outbound_call(workspace())
    assert not progress.apply(call.pk, Report("completed", duration_s=3))
    call.refresh_from_db()
    assert call.status == CallStatus.QUEUED
