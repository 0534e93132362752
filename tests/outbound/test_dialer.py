"""The tick: settle, complete, claim, dial."""

import time as clock
from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from pytest_django import Settings

from crm.models import Lead
from crm.services import suppressions
from tenex.events.models import Event
from tenex.workspaces.models import Workspace
from tests.dialing_rows import HOME, agent, leads, number, outbound_call, over, workspace
from tests.prove.fake_carrier import FakeCarrier
from tests.rows import together
from voice.models import (
    Batch,
    BatchStatus,
    Call,
    CallStatus,
    DialAttempt,
    DialState,
    EndReason,
    Outcome,
    Recipient,
    RecipientStatus,
)
from voice.outbound import claims, dialer, settle
from voice.outbound.claims import Claimed, Nothing, Wait
from voice.services import batches, calls, dialing

pytestmark = pytest.mark.django_db(transaction=True)


def _batch(count: int = 3, **fields: object) -> Batch:
    space = workspace()
    number(space, agent(space))
    people = leads(space, count)
    return batches.create(
        space,
        objective="x",
        lead_ids=[person.pk for person in people],
        **fields,  # type: ignore[arg-type]
    ).batch


def _tick(times: int = 1) -> None:
    for _ in range(times):
        dialer.tick(budget_s=10)  # it ends when nobody is due


def _statuses(batch: Batch) -> list[str]:
    return list(batch.recipients.order_by("position").values_list("status", flat=True))


def _call_of(batch: Batch, position: int) -> Call:
    return Call.objects.filter(batch=batch, recipient__position=position).latest("created_at")


def test_a_batch_is_dialed_settled_and_completed_with_one_event(carrier: FakeCarrier) -> None:
    batch = _batch(3)
    _tick()
    assert sorted(carrier.dialed().values()) == [1, 1, 1]
    assert _statuses(batch) == [RecipientStatus.CALLING] * 3
    batch.refresh_from_db()
    assert batch.status == BatchStatus.RUNNING
    for position, (reason, outcome) in enumerate(
        [
            (EndReason.CALLER_HANGUP, Outcome.QUALIFIED),
            (EndReason.NO_ANSWER, Outcome.NO_ANSWER),
            (EndReason.OPTED_OUT, Outcome.OPTED_OUT),
        ],
        1,
    ):
        over(_call_of(batch, position), reason, outcome)
    _tick(3)
    batch.refresh_from_db()
    assert (batch.status, _statuses(batch)) == (BatchStatus.COMPLETED, [RecipientStatus.DONE] * 3)
    event = Event.objects.get(type="batch.completed")
    assert event.data["outcomes"] == {"qualified": 1, "no-answer": 1, "opted-out": 1}
    assert sorted(carrier.dialed().values()) == [1, 1, 1]


def test_ticks_of_many_workers_at_once_dial_everybody_once(carrier: FakeCarrier) -> None:
    batch = _batch(12, concurrency=50)
    Workspace.objects.update(max_concurrent_calls=50)
    results = together(*[_tick] * 4, *[_tick] * 2)
    assert results == [None] * 6
    _tick(2)
    assert sorted(carrier.dialed().values()) == [1] * 12
    assert _statuses(batch) == [RecipientStatus.CALLING] * 12
    assert DialAttempt.objects.filter(state=DialState.PLACED).count() == 12


def test_the_caps_of_workspace_and_batch_hold_under_parallel_ticks(carrier: FakeCarrier) -> None:
    batch = _batch(10, concurrency=3)
    together(*[_tick] * 4)
    assert len(carrier.calls) == 3
    Batch.objects.update(concurrency=10)
    Workspace.objects.update(max_concurrent_calls=5)
    together(*[_tick] * 4)
    assert len(carrier.calls) == 5
    over(_call_of(batch, 1), EndReason.BUSY, Outcome.BUSY)
    together(*[_tick] * 4)
    assert len(carrier.calls) == 6


def test_the_pace_of_the_workspace_holds_under_parallel_ticks(carrier: FakeCarrier) -> None:
    _batch(20, concurrency=50)
    Workspace.objects.update(max_concurrent_calls=50, calls_per_second=10)
    begun_s = clock.monotonic()
    together(*[lambda: dialer.tick(budget_s=1.5)] * 3)
    took_s = clock.monotonic() - begun_s
    assert 5 <= len(carrier.starts_s) <= 10 * took_s + 1
    made = DialAttempt.objects.exclude(state=DialState.NOT_PLACED)  # who was late has given its turn back
    assert made.count() == len(carrier.starts_s)


def test_the_next_token_of_a_pace_is_worth_a_wait(carrier: FakeCarrier) -> None:
    _batch(2)
    space = Workspace.objects.get()
    Workspace.objects.update(calls_per_second=0.5)
    settle.start_due()
    assert isinstance(claims.claim(space.pk), Claimed)
    waits = claims.claim(space.pk)
    assert isinstance(waits, Wait)
    assert 1.0 < waits.seconds < 2.1


def test_a_queued_single_call_is_dialed(carrier: FakeCarrier) -> None:
    space = workspace()
    number(space, agent(space))
    [person] = leads(space, 1)
    call = dialing.place(space, phone=str(person.phone))
    _tick()
    call.refresh_from_db()
    assert call.status == CallStatus.DIALING
    assert call.provider_sid in carrier.calls


def test_a_paused_batch_and_a_paused_workspace_dial_nobody(carrier: FakeCarrier) -> None:
    batch = _batch(2)
    batches.pause(batch)
    _tick()
    assert not carrier.calls
    batches.resume(batch)
    Workspace.objects.update(calling_paused_at=timezone.now())
    _tick()
    assert not carrier.calls
    assert _statuses(batch) == [RecipientStatus.PENDING] * 2


def test_a_batch_waits_for_its_hour(carrier: FakeCarrier) -> None:
    batch = _batch(1, starts_at=timezone.now() + timedelta(hours=1))
    _tick()
    batch.refresh_from_db()
    assert (batch.status, len(carrier.calls)) == (BatchStatus.QUEUED, 0)


def test_whoever_may_no_longer_be_called_is_refused_at_the_last_moment(carrier: FakeCarrier) -> None:
    batch = _batch(3)
    first, second, _ = Lead.objects.order_by("phone")
    assert first.phone is not None
    suppressions.add(batch.workspace_id, first.phone, source="call")
    Lead.objects.filter(pk=second.pk).update(archived_at=timezone.now())
    _tick()
    assert len(carrier.calls) == 1
    refused = batch.recipients.filter(status=RecipientStatus.REFUSED).order_by("position")
    assert [one.refusal_code for one in refused] == ["opted_out", "archived"]


def test_outside_the_calling_hours_recipients_wait_for_the_window(carrier: FakeCarrier) -> None:
    batch = _batch(1)
    now = timezone.now()
    there = now.astimezone(ZoneInfo(HOME.zone))
    closed = ((there + timedelta(hours=1)).time(), (there + timedelta(hours=2)).time())
    Workspace.objects.update(calling_window_start=closed[0], calling_window_end=closed[1])
    _tick()
    assert not carrier.calls
    recipient = Recipient.objects.get()
    assert recipient.next_at is not None
    assert timedelta(minutes=55) < recipient.next_at - now < timedelta(minutes=65)
    Workspace.objects.update(calling_window_start=time(0), calling_window_end=time(0))
    Recipient.objects.update(next_at=None)
    _tick()
    assert len(carrier.calls) == 1
    assert _statuses(batch) == [RecipientStatus.CALLING]


def test_without_a_model_nobody_is_dialed(carrier: FakeCarrier, settings: Settings) -> None:
    settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL = "", "https://api.openai.com/v1"
    batch = _batch(1)
    _tick()
    assert not carrier.calls
    assert _statuses(batch) == [RecipientStatus.PENDING]


def test_one_number_is_not_rung_by_two_batches_at_once(carrier: FakeCarrier) -> None:
    batch = _batch(1)
    lead = Lead.objects.get()
    second = batches.create(batch.workspace, objective="y", lead_ids=[lead.pk]).batch
    _tick(2)
    assert len(carrier.calls) == 1
    over(_call_of(batch, 1), EndReason.NO_ANSWER, Outcome.NO_ANSWER)
    Recipient.objects.filter(batch=second).update(next_at=None)
    _tick()
    assert len(carrier.calls) == 2


def test_no_answer_is_tried_again_as_often_as_the_batch_says(carrier: FakeCarrier) -> None:
    batch = _batch(1, max_attempts=2, retry_after_s=3600)
    _tick()
    over(_call_of(batch, 1), EndReason.NO_ANSWER, Outcome.NO_ANSWER)
    _tick()
    recipient = Recipient.objects.get()
    assert recipient.status == RecipientStatus.PENDING
    assert recipient.next_at is not None
    assert recipient.next_at > timezone.now() + timedelta(minutes=59)
    assert len(carrier.calls) == 1
    Recipient.objects.update(next_at=None)
    _tick()
    assert list(carrier.dialed().values()) == [2]
    over(_call_of(batch, 1), EndReason.BUSY, Outcome.BUSY)
    _tick(2)
    recipient.refresh_from_db()
    batch.refresh_from_db()
    assert (recipient.status, recipient.outcome, recipient.calls_made) == ("done", "busy", 2)
    assert batch.status == BatchStatus.COMPLETED


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        (EndReason.CALLER_HANGUP, Outcome.UNQUALIFIED),
        (EndReason.REJECTED, Outcome.FAILED),
        (EndReason.OPTED_OUT, Outcome.OPTED_OUT),
    ],
)
def test_what_was_answered_or_refused_is_not_tried_again(
    carrier: FakeCarrier, reason: EndReason, outcome: Outcome
) -> None:
    batch = _batch(1, max_attempts=3, retry_after_s=1)
    _tick()
    over(_call_of(batch, 1), reason, outcome)
    _tick(2)
    assert _statuses(batch) == [RecipientStatus.DONE]


def test_a_canceled_batch_takes_back_what_rings_and_lets_talk_what_talks(carrier: FakeCarrier) -> None:
    batch = _batch(4, concurrency=3)
    _tick()
    ringing, talking, queued = (_call_of(batch, position) for position in (1, 2, 3))
    calls.answer(talking.pk)
    sid = queued.provider_sid
    calls.move(queued.pk, CallStatus.QUEUED)
    batches.cancel(batch)
    _tick()
    for call in (ringing, talking, queued):
        call.refresh_from_db()
    assert (queued.status, queued.end_reason) == (CallStatus.ENDED, EndReason.CANCELED)
    assert (ringing.end_hint, talking.end_hint, talking.status) == ("canceled", "", CallStatus.IN_PROGRESS)
    assert [one.sid for one in carrier.calls.values() if one.wanted] == [ringing.provider_sid]
    assert sid not in {ringing.provider_sid, talking.provider_sid}
    assert not Event.objects.filter(type="batch.completed").exists()
    assert calls.end(ringing.pk, EndReason.CANCELED)
    for call, outcome in ((queued, "canceled"), (ringing, "canceled"), (talking, "qualified")):
        if call.pk == talking.pk:
            calls.end(call.pk, EndReason.CALLER_HANGUP)
        calls.move(call.pk, CallStatus.FINALIZING)
        calls.move(call.pk, CallStatus.FINALIZED, outcome=outcome, finalized_at=timezone.now())
    _tick(2)
    assert _statuses(batch) == ["canceled", "done", "canceled", "canceled"]
    assert Event.objects.filter(type="batch.completed").count() == 1


def test_a_call_that_was_throttled_is_dialed_again_after_its_wait(carrier: FakeCarrier) -> None:
    carrier.faults.throttled = 1.0
    batch = _batch(1)
    _tick()
    call = Call.objects.get()
    assert (call.status, len(carrier.calls)) == (CallStatus.QUEUED, 0)
    carrier.faults.throttled = 0.0
    Call.objects.update(sweep_at=timezone.now())
    _tick()
    call.refresh_from_db()
    assert (call.status, call.attempts.count(), len(carrier.calls)) == (CallStatus.DIALING, 2, 1)
    assert _statuses(batch) == [RecipientStatus.CALLING]


def test_a_queued_call_whose_lead_opted_out_meanwhile_is_not_dialed_again(carrier: FakeCarrier) -> None:
    carrier.faults.throttled = 1.0
    batch = _batch(1)
    _tick()
    carrier.faults.throttled = 0.0
    Lead.objects.update(opted_out_at=timezone.now())
    Call.objects.update(sweep_at=timezone.now())
    _tick()
    call = Call.objects.get()
    assert (call.status, call.end_reason, len(carrier.calls)) == ("ended", "canceled", 0)
    calls.move(call.pk, CallStatus.FINALIZING)
    calls.move(call.pk, CallStatus.FINALIZED, outcome=Outcome.CANCELED, finalized_at=timezone.now())
    _tick(2)
    recipient = Recipient.objects.get()
    batch.refresh_from_db()
    assert (recipient.status, recipient.refusal_code) == ("refused", "opted_out")
    assert batch.status == BatchStatus.COMPLETED


def test_without_credentials_the_tick_still_settles(carrier: FakeCarrier, settings: Settings) -> None:
    batch = _batch(1)
    _tick()
    over(_call_of(batch, 1), EndReason.BUSY, Outcome.BUSY)
    settings.TWILIO_ACCOUNT_SID = ""
    _tick()
    batch.refresh_from_db()
    assert batch.status == BatchStatus.COMPLETED


def test_settling_and_completing_at_once_on_many_workers_tell_of_it_once(carrier: FakeCarrier) -> None:
    batch = _batch(5, concurrency=5)
    _tick()
    for position in range(1, 6):
        over(_call_of(batch, position), EndReason.BUSY, Outcome.BUSY)

    def work() -> None:
        settle.settle()
        settle.complete()

    assert together(*[work] * 5) == [None] * 5
    work()
    assert Event.objects.filter(type="batch.completed").count() == 1
    assert _statuses(batch) == ["done"] * 5


def test_nobody_due_is_nothing() -> None:
    assert claims.claim(workspace().pk) == Nothing()
    outbound_call(workspace(), status=CallStatus.DIALING)
    assert claims.workspaces_with_work() == []


def test_a_lead_called_as_often_as_a_day_allows_waits_in_every_batch(carrier: FakeCarrier) -> None:
    batch = _batch(1)
    space, lead = batch.workspace, Lead.objects.get()
    space.max_calls_per_lead_a_day = 1
    space.save(update_fields=["max_calls_per_lead_a_day"])
    _tick()
    over(_call_of(batch, 1), EndReason.NO_ANSWER, Outcome.NO_ANSWER)
    _tick()
    second = batches.create(space, objective="y", lead_ids=[lead.pk]).batch
    _tick(2)
    assert carrier.dialed() == {lead.phone: 1}
    row = Recipient.objects.get(batch=second)
    placed_at = Call.objects.get().placed_at
    assert placed_at is not None
    assert (row.status, row.next_at) == (RecipientStatus.PENDING, placed_at + timedelta(days=1))
    Call.objects.update(placed_at=placed_at - timedelta(days=1))
    Recipient.objects.filter(pk=row.pk).update(next_at=None)
    _tick()
    assert carrier.dialed() == {lead.phone: 2}
