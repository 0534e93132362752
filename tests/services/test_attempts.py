"""Asking the carrier, never twice for one answer (promises.md R3)."""

import time
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import Settings

from tests.dialing_rows import outbound_call, workspace
from tests.rows import together
from voice.models import Batch, BatchStatus, Call, CallStatus, DialAttempt, DialState, EndReason
from voice.services import attempts, calls
from voice.services.attempts import Adoption
from voice.telephony.client import CallOrder, Carrier, CarrierCall
from voice.telephony.errors import (
    CarrierAmbiguous,
    CarrierError,
    CarrierNotAsked,
    CarrierRejected,
    CarrierThrottled,
    CarrierUnreachable,
)

pytestmark = pytest.mark.django_db


class Desk(Carrier):
    """A carrier that answers as told and remembers what it was asked."""

    def __init__(self, answer: str | CarrierError = "CA1") -> None:
        self.answer = answer
        self.orders: list[CallOrder] = []
        self.ended: list[str] = []

    def place_call(self, order: CallOrder, **options: Any) -> CarrierCall:
        self.orders.append(order)
        if isinstance(self.answer, CarrierError):
            raise self.answer
        return CarrierCall(sid=self.answer, status="queued")

    def hang_up(self, sid: str) -> None:
        self.ended.append(sid)


def _prepared() -> DialAttempt:
    call = outbound_call(workspace())
    attempt = attempts.prepare(call.pk)
    assert attempt is not None
    attempt.refresh_from_db()
    return attempt


def _state(attempt: DialAttempt) -> tuple[str, str]:
    attempt.refresh_from_db()
    attempt.call.refresh_from_db()
    return attempt.state, attempt.call.status


def test_the_row_exists_before_the_carrier_is_asked() -> None:
    attempt = _prepared()
    assert _state(attempt) == (DialState.PREPARED, CallStatus.DIALING)
    seen: list[tuple[str, str]] = []

    class Looks(Desk):
        def place_call(self, order: CallOrder, **options: Any) -> CarrierCall:
            seen.append(_state(attempt))
            return super().place_call(order, **options)

    assert attempts.dial(attempt.pk, Looks()) == DialState.PLACED
    assert seen == [(DialState.POSTING, CallStatus.DIALING)]
    assert _state(attempt) == (DialState.PLACED, CallStatus.DIALING)
    assert attempt.call.provider_sid == attempt.provider_sid == "CA1"
    assert attempt.call.placed_at == attempt.posted_at


def test_the_order_names_the_attempt_in_its_addresses(settings: Settings) -> None:
    settings.PUBLIC_BASE_URL = "https://voice.example"
    attempt, desk = _prepared(), Desk()
    attempts.dial(attempt.pk, desk)
    order = desk.orders[0]
    assert order.answer_url == f"https://voice.example/twilio/outbound/{attempt.pk}"
    assert order.status_url == f"https://voice.example/twilio/status/{attempt.pk}"
    assert order.recording_url == ""  # it begins when the notice was heard
    assert order.time_limit_s == 615
    assert order.machine_detection == ""


@pytest.mark.parametrize("end", [CarrierThrottled("429"), CarrierUnreachable("no route")])
def test_not_taken_goes_back_into_the_queue_and_may_be_asked_again(end: CarrierError) -> None:
    attempt = _prepared()
    assert attempts.dial(attempt.pk, Desk(end)) == DialState.THROTTLED
    assert _state(attempt) == (DialState.THROTTLED, CallStatus.QUEUED)
    assert attempt.call.sweep_at is not None
    assert attempt.call.sweep_at > timezone.now()
    second = attempts.prepare(attempt.call_id)
    assert second is not None
    assert second.number == 2


def test_refused_is_the_end() -> None:
    attempt = _prepared()
    attempts.dial(attempt.pk, Desk(CarrierRejected("no", provider_code="21211", http_status=400)))
    assert _state(attempt) == (DialState.REJECTED, CallStatus.ENDED)
    assert attempt.call.end_reason == EndReason.REJECTED
    assert (attempt.error_code, attempt.http_status) == ("21211", 400)


def test_an_ambiguous_answer_stays_open_and_blocks_another_attempt() -> None:
    attempt = _prepared()
    assert attempts.dial(attempt.pk, Desk(CarrierAmbiguous("lost"))) == DialState.UNKNOWN
    assert _state(attempt) == (DialState.UNKNOWN, CallStatus.DIALING)
    assert attempts.prepare(attempt.call_id) is None
    assert attempt.next_at is not None
    assert attempt.next_at > timezone.now()


def test_the_database_refuses_a_second_live_attempt_and_a_second_number() -> None:
    attempt = _prepared()
    same = {"workspace_id": attempt.workspace_id, "call_id": attempt.call_id, "fence_until": timezone.now()}
    with pytest.raises(IntegrityError, match="one_live_attempt_a_call"), transaction.atomic():
        DialAttempt.objects.create(number=2, **same)
    with pytest.raises(IntegrityError, match="attempt_number_once"), transaction.atomic():
        DialAttempt.objects.create(number=1, state=DialState.NOT_PLACED, **same)


# --- the fence -----------------------------------------------------------------------------------


def test_a_worker_that_slept_before_the_fence_does_not_dial() -> None:
    attempt, desk = _prepared(), Desk()
    DialAttempt.objects.filter(pk=attempt.pk).update(fence_until=timezone.now() - timedelta(seconds=1))
    assert attempts.dial(attempt.pk, desk) == DialState.NOT_PLACED
    assert desk.orders == []
    assert _state(attempt) == (DialState.NOT_PLACED, CallStatus.QUEUED)


def test_a_worker_that_slept_after_the_fence_does_not_dial_either() -> None:
    attempt, desk = _prepared(), Desk()
    fenced = attempts.fence(attempt.pk)
    assert fenced is not None
    late = replace(fenced, deadline_s=time.monotonic() - 0.001)
    assert attempts.post(late, desk) == DialState.NOT_PLACED
    assert desk.orders == []
    assert _state(attempt) == (DialState.NOT_PLACED, CallStatus.QUEUED)


def test_what_did_not_leave_in_time_waits_for_another_attempt() -> None:
    attempt, desk = _prepared(), Desk(CarrierNotAsked("its time was over"))
    assert attempts.dial(attempt.pk, desk) == DialState.NOT_PLACED
    assert len(desk.orders) == 1
    assert _state(attempt) == (DialState.NOT_PLACED, CallStatus.QUEUED)


def test_the_fence_is_passed_once() -> None:
    attempt = _prepared()
    assert attempts.fence(attempt.pk) is not None
    assert attempts.fence(attempt.pk) is None
    desk = Desk()
    attempts.dial(attempt.pk, desk)
    assert desk.orders == []
    assert _state(attempt)[0] == DialState.POSTING, "whoever lost the fence touches nothing"


@pytest.mark.parametrize("stop", ["workspace", "batch", "end"])
def test_what_was_stopped_since_the_claim_is_not_dialed(stop: str) -> None:
    call = outbound_call(workspace())
    assert call.agent_version is not None
    assert call.number is not None
    batch = Batch.objects.create(
        workspace=call.workspace,
        objective="x",
        agent=call.agent_version.agent,
        number=call.number,
        status=BatchStatus.RUNNING,
    )
    Call.objects.filter(pk=call.pk).update(batch=batch)
    attempt = attempts.prepare(call.pk)
    assert attempt is not None
    match stop:
        case "workspace":
            call.workspace.calling_paused_at = timezone.now()
            call.workspace.save()
        case "batch":
            Batch.objects.filter(pk=batch.pk).update(status=BatchStatus.PAUSED)
        case _:
            calls.hint_end(call.pk, EndReason.CANCELED)
    desk = Desk()
    assert attempts.dial(attempt.pk, desk) == DialState.NOT_PLACED
    assert desk.orders == []
    call.refresh_from_db()
    assert call.status == (CallStatus.ENDED if stop == "end" else CallStatus.QUEUED)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_pass_the_fence_at_once_one_does() -> None:
    attempt = _prepared()
    results = together(*[lambda: attempts.fence(attempt.pk)] * 6)
    assert [type(one).__name__ for one in results if one is not None] == ["Fenced"]


# --- who learns the sid first --------------------------------------------------------------------


def test_a_callback_that_is_faster_than_the_answer_adopts() -> None:
    attempt = _prepared()

    class Slow(Desk):
        def place_call(self, order: CallOrder, **options: Any) -> CarrierCall:
            assert attempts.adopt(attempt.pk, "CA1") == Adoption.CURRENT
            raise CarrierAmbiguous("lost")

    attempts.dial(attempt.pk, Slow())
    assert _state(attempt) == (DialState.PLACED, CallStatus.DIALING)
    assert attempt.call.provider_sid == "CA1"


def test_an_answer_that_comes_after_the_attempt_was_given_up_is_dropped() -> None:
    attempt = _prepared()

    class Late(Desk):
        def place_call(self, order: CallOrder, **options: Any) -> CarrierCall:
            assert attempts.give_back(attempt.pk, why="not-found", state=DialState.POSTING)
            assert attempts.prepare(attempt.call_id) is not None
            return super().place_call(order, **options)

    late = Late("CA-late")
    attempts.dial(attempt.pk, late)
    assert late.ended == ["CA-late"]
    attempt.call.refresh_from_db()
    assert attempt.call.provider_sid is None


def test_a_given_up_attempt_that_shows_up_before_the_next_is_taken_after_all() -> None:
    attempt = _prepared()
    attempts.fence(attempt.pk)
    assert attempts.give_back(attempt.pk, why="not-found", state=DialState.POSTING)
    assert attempts.adopt(attempt.pk, "CA1") == Adoption.CURRENT
    assert _state(attempt) == (DialState.PLACED, CallStatus.DIALING)


def test_adopting_is_repeatable_and_another_sid_for_the_same_attempt_is_superseded() -> None:
    attempt = _prepared()
    assert attempts.adopt(attempt.pk, "CA1") == Adoption.CURRENT
    assert attempts.adopt(attempt.pk, "CA1") == Adoption.CURRENT
    assert attempts.adopt(attempt.pk, "CA2") == Adoption.SUPERSEDED
    with pytest.raises(DialAttempt.DoesNotExist):
        attempts.adopt(uuid.uuid4(), "CA1")


def test_a_sid_belongs_to_one_call() -> None:
    first, second = _prepared(), _prepared()
    attempts.adopt(first.pk, "CA1")
    with pytest.raises(IntegrityError), transaction.atomic():
        attempts.adopt(second.pk, "CA1")
    assert not attempts.adopt_found(second.pk, CarrierCall(sid="CA1", status="ringing"))


@pytest.mark.django_db(transaction=True)
def test_adoption_and_giving_back_at_once_leave_one_truth() -> None:
    for _ in range(8):
        attempt = _prepared()
        attempts.fence(attempt.pk)
        sid = f"CA{uuid.uuid4().hex}"
        together(
            lambda pk=attempt.pk, sid=sid: attempts.adopt(pk, sid),  # type: ignore[misc]
            lambda pk=attempt.pk: attempts.give_back(pk, why="x", state=DialState.POSTING),  # type: ignore[misc]
            lambda pk=attempt.pk, sid=sid: attempts.adopt(pk, sid),  # type: ignore[misc]
        )
        assert _state(attempt) == (DialState.PLACED, CallStatus.DIALING)
        assert attempt.call.provider_sid == sid


def test_after_five_that_the_carrier_never_had_the_call_is_given_up() -> None:
    call = outbound_call(workspace())
    for _ in range(5):
        attempt = attempts.prepare(call.pk)
        assert attempt is not None
        attempts.fence(attempt.pk)
        attempts.note_lookup(attempt.pk)
        attempts.note_lookup(attempt.pk)
        attempts.give_back(attempt.pk, why=attempts.NOT_FOUND, state=DialState.POSTING)
    call.refresh_from_db()
    assert (call.status, call.end_reason) == (CallStatus.ENDED, EndReason.NOT_PLACED)


def test_attempts_that_nobody_posted_do_not_count_against_the_call() -> None:
    call = outbound_call(workspace())
    for _ in range(7):
        attempt = attempts.prepare(call.pk)
        assert attempt is not None
        attempts.give_back(attempt.pk, why="never-asked", state=DialState.PREPARED)
    call.refresh_from_db()
    assert call.status == CallStatus.QUEUED


def test_a_person_is_not_given_up_because_our_own_processes_died() -> None:
    call = outbound_call(workspace())
    for deaths in range(1, 21):
        attempt = attempts.prepare(call.pk)
        assert attempt is not None
        attempts.fence(attempt.pk)
        attempts.note_lookup(attempt.pk)
        attempts.note_lookup(attempt.pk)
        attempts.give_back(attempt.pk, why=attempts.ASKER_LOST, state=DialState.POSTING)
        call.refresh_from_db()
        assert call.status == (CallStatus.QUEUED if deaths < 20 else CallStatus.ENDED)
    assert call.end_reason == EndReason.NOT_PLACED
