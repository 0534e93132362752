"""Drafts, splits, budgets, files and callbacks, below the API."""

import io
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from crm.models import Consent, FollowUp, Lead, TimelineEntry
from crm.services import follow_ups, import_run, imports, suppressions
from tenex.errors import Conflict, InvalidInput
from tenex.events.models import Event
from tenex.workspaces.models import AuditEntry, Workspace
from tests.dialing_rows import agent, finalize, leads, number, outbound_call, over, workspace
from tests.rows import together
from voice.models import (
    AgentVersion,
    Batch,
    BatchStatus,
    BatchUpload,
    Call,
    CallStatus,
    EndReason,
    Outcome,
    PauseCode,
    Recipient,
    RecipientStatus,
    Verdict,
)
from voice.outbound import settle
from voice.services import (
    batch_filling,
    batch_members,
    batch_uploads,
    batches,
    budgets,
    callbacks,
    calls,
    costs,
    journal,
)

pytestmark = pytest.mark.django_db


def _space(count: int = 3, **fields: Any) -> tuple[Workspace, list[Lead]]:
    space = workspace(**fields)
    number(space, agent(space))
    return space, leads(space, count)


def _draft(count: int = 3, **fields: Any) -> tuple[Batch, list[Lead]]:
    space, people = _space(count)
    ids = [person.pk for person in people]
    return batches.create(space, objective="x", lead_ids=ids, draft=True, **fields).batch, people


def _call(batch: Batch, row: Recipient, **fields: Any) -> Call:
    """As the dialer leaves it, on its way."""
    Recipient.objects.filter(pk=row.pk).update(status=RecipientStatus.CALLING, calls_made=row.calls_made + 1)
    return outbound_call(
        batch.workspace, status=CallStatus.DIALING, batch=batch, recipient=row, lead=row.lead, **fields
    )


# --- drafts ---------------------------------------------------------------------------------------


def test_a_draft_waits_until_it_is_started_and_a_start_is_once() -> None:
    batch, people = _draft()
    settle.start_due()
    batch.refresh_from_db()
    assert (batch.status, batch.recipients.count()) == (BatchStatus.DRAFT, len(people))
    for verb in (batches.pause, batches.resume):
        with pytest.raises(Conflict) as caught:
            verb(batch)
        assert caught.value.code == "batch_is_draft"
    together_status = [batches.start(batch, actor="user:a").status for _ in range(2)]
    assert together_status == [BatchStatus.QUEUED] * 2
    settle.start_due()
    batch.refresh_from_db()
    assert batch.status == BatchStatus.RUNNING
    assert batch.started_at is not None
    assert AuditEntry.objects.filter(action="batch.started", object_id=str(batch.pk)).count() == 1
    assert Event.objects.filter(type="batch.started").count() == 1


def test_an_empty_draft_is_not_started_and_one_that_is_appended_to_is() -> None:
    space, people = _space()
    batch = batches.create(space, objective="x", draft=True).batch
    with pytest.raises(Conflict) as caught:
        batches.start(batch)
    assert caught.value.code == "batch_empty"
    batches.append(batch, [people[0].pk])
    assert batches.start(batch).status == BatchStatus.QUEUED


def test_it_waits_for_its_hour_also_after_a_pause() -> None:
    batch, _ = _draft(starts_at=timezone.now() + timedelta(hours=1))
    batches.start(batch)
    settle.start_due()
    assert batches.pause(batch).pause_code == PauseCode.OPERATOR
    assert batches.resume(batch).status == BatchStatus.QUEUED
    Batch.objects.update(starts_at=timezone.now() - timedelta(seconds=1))
    settle.start_due()
    batch.refresh_from_db()
    assert (batch.status, batch.pause_code) == (BatchStatus.RUNNING, "")


def test_what_only_a_draft_can_change() -> None:
    batch, _ = _draft()
    other = agent(batch.workspace)
    batches.update(batch, {"agent": other, "purpose": "informational", "priority": 3}, "user:a")
    batch.refresh_from_db()
    assert (batch.agent_id, batch.purpose, batch.priority) == (other.pk, "informational", 3)
    batches.start(batch)
    settle.start_due()
    with pytest.raises(Conflict) as caught:
        batches.update(batch, {"agent": other, "starts_at": None, "name": "n"}, "user:a")
    assert (caught.value.code, caught.value.extra["fields"]) == ("batch_started", ["agent", "starts_at"])
    batches.update(batch, {"name": "n", "concurrency": 2, "budget_hard_minor": 500}, "user:a")
    batch.refresh_from_db()
    assert (batch.name, batch.budget_hard_minor) == ("n", 500)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"window_start": "09:00"}, "window_end"),
        ({"voicemail_policy": "leave_message"}, "voicemail_message"),
        ({"voicemail_policy": "leave_message", "voicemail_message": "{{who}}"}, "voicemail_message"),
        (
            {"voicemail_policy": "leave_message", "voicemail_message": "Hi", "machine_detection": False},
            "machine_detection",
        ),
        ({"budget_soft_minor": 5, "budget_hard_minor": 4}, "budget_soft_minor"),
    ],
)
def test_settings_that_make_no_sense_together(fields: dict[str, Any], field: str) -> None:
    space, people = _space(1)
    with pytest.raises(InvalidInput) as caught:
        batches.create(space, objective="x", lead_ids=[people[0].pk], **fields)
    assert caught.value.loc == ("body", field)
    assert not Batch.objects.exists()


# --- versions -------------------------------------------------------------------------------------


def test_versions_are_drawn_by_weight_and_the_same_again() -> None:
    split = [(uuid.UUID(int=1), 1), (uuid.UUID(int=2), 3)]
    batch_id = uuid.uuid4()
    ids = [uuid.uuid4() for _ in range(4000)]
    drawn = [batch_members.draw_version(batch_id, one, split) for one in ids]
    assert drawn == [batch_members.draw_version(batch_id, one, split) for one in ids]
    assert Counter(drawn)[uuid.UUID(int=2)] == pytest.approx(3000, abs=150)
    assert drawn != [batch_members.draw_version(uuid.uuid4(), one, split) for one in ids]
    assert batch_members.draw_version(batch_id, ids[0], []) is None


def test_a_draft_draws_again_when_its_split_changes_and_append_draws_too() -> None:
    batch, _people = _draft(6)
    first = batch.agent.current_version
    second = AgentVersion.objects.create(agent=batch.agent, number=2, system_prompt="y")
    assert first is not None
    batches.update(batch, {"versions": [(first, 1), (second, 1)]}, "user:a")
    drawn = set(batch.recipients.values_list("agent_version_id", flat=True))
    assert drawn <= {first.pk, second.pk}
    assert None not in drawn
    batches.update(batch, {"versions": [(second, 1)]}, "user:a")
    assert set(batch.recipients.values_list("agent_version_id", flat=True)) == {second.pk}
    batches.update(batch, {"agent_version": first, "versions": []}, "user:a")
    assert set(batch.recipients.values_list("agent_version_id", flat=True)) == {None}
    stranger = agent(batch.workspace).current_version
    assert stranger is not None
    with pytest.raises(InvalidInput):
        batches.update(batch, {"agent_version": None, "versions": [(stranger, 1)]}, "user:a")


# --- retries --------------------------------------------------------------------------------------


def test_a_policy_says_by_outcome_whether_and_when_again() -> None:
    batch, _ = _draft(3, retry_policy={"no-answer": [7200], "busy": [120, 120]})
    Batch.objects.update(status=BatchStatus.RUNNING)
    unheard, busy, failed = batch.recipients.order_by("position")
    for row, reason, outcome in (
        (unheard, EndReason.NO_ANSWER, Outcome.NO_ANSWER),
        (busy, EndReason.BUSY, Outcome.BUSY),
        (failed, EndReason.CARRIER_FAILED, Outcome.FAILED),
    ):
        over(_call(batch, row), reason, outcome)
    assert settle.settle() == 3
    for row in (unheard, busy, failed):
        row.refresh_from_db()
    assert [row.status for row in (unheard, busy, failed)] == ["pending", "pending", "done"]
    assert unheard.next_at is not None
    assert busy.next_at is not None
    now = timezone.now()
    assert timedelta(hours=1.9) < unheard.next_at - now < timedelta(days=2)
    assert timedelta(seconds=110) < busy.next_at - now < timedelta(seconds=140)
    over(_call(batch, unheard), EndReason.NO_ANSWER, Outcome.NO_ANSWER)
    settle.settle()
    unheard.refresh_from_db()
    assert (unheard.status, unheard.outcome) == ("done", "no-answer")


# --- budgets --------------------------------------------------------------------------------------


def _talked(batch: Batch, row: Recipient, minutes: int) -> None:
    call = _call(batch, row)
    Call.objects.filter(pk=call.pk).update(duration_ms=minutes * 60_000)
    assert calls.end(call.pk, EndReason.CALLER_HANGUP)
    Call.objects.filter(pk=call.pk).update(duration_ms=minutes * 60_000)
    finalize(call, Outcome.UNQUALIFIED)


def test_the_soft_budget_stops_dialing_and_pauses_after_the_last_call(settings: Any) -> None:
    settings.CARRIER_USD_PER_MINUTE = 0.10
    batch, _ = _draft(3, budget_soft_minor=25, budget_hard_minor=1000)
    Batch.objects.update(status=BatchStatus.RUNNING)
    first, second, _third = batch.recipients.order_by("position")
    _talked(batch, first, 2)
    settle.settle()
    batch.refresh_from_db()
    assert costs.minor(batch.spent_microusd) == 20
    assert budgets.watch() == 0
    live = _call(batch, second)
    calls.ring(live.pk)
    calls.answer(live.pk)
    now = timezone.now()
    begun = now - timedelta(seconds=30)
    Call.objects.filter(pk=live.pk).update(
        placed_at=begun, answered_at=begun, lease_until=now + timedelta(seconds=30)
    )
    asked = AuditEntry.objects.filter(action="call.wrap_up", object_id=str(live.pk), actor=budgets.ACTOR)
    assert budgets.watch() == 1
    batch.refresh_from_db()
    assert (batch.status, batch.soft_budget_at is not None) == (BatchStatus.RUNNING, True)
    assert asked.count() == 1
    journal.append(live.pk, [journal.Line("call.wrap_up", {"seconds_left": 30})])
    budgets.watch()
    assert asked.count() == 1
    calls.end(live.pk, EndReason.AGENT_HANGUP)
    finalize(live, Outcome.UNDETERMINED)
    settle.settle()
    budgets.watch()
    batch.refresh_from_db()
    assert (batch.status, batch.pause_code) == (BatchStatus.PAUSED, PauseCode.BUDGET)
    assert Event.objects.get(type="batch.paused").data["pause_code"] == "budget"
    assert AuditEntry.objects.filter(action="batch.paused", actor=budgets.ACTOR).count() == 1
    with pytest.raises(Conflict) as caught:
        batches.resume(batch)
    assert caught.value.code == "budget_spent"
    batches.update(batch, {"budget_soft_minor": 500}, "user:a")
    resumed = batches.resume(batch)
    assert (resumed.status, resumed.soft_budget_at) == (BatchStatus.RUNNING, None)
    assert budgets.watch() == 0


def test_the_hard_budget_pauses_at_once_and_a_call_counts_once(settings: Any) -> None:
    settings.CARRIER_USD_PER_MINUTE = 0.10
    batch, _ = _draft(2, budget_hard_minor=30)
    Batch.objects.update(status=BatchStatus.RUNNING)
    first, second = batch.recipients.order_by("position")
    _talked(batch, first, 3)
    assert [settle.settle(), settle.settle()] == [1, 0]
    _call(batch, second)
    assert budgets.watch() == 1
    batch.refresh_from_db()
    assert (batch.status, batch.spent_microusd) == (BatchStatus.PAUSED, 300_000)


def test_costs_are_those_of_the_settings(settings: Any) -> None:
    settings.CARRIER_USD_PER_MINUTE = 0.02
    settings.MODEL_PRICES_USD = dict.fromkeys(
        ("text_in", "text_cached", "text_out", "audio_in", "audio_cached", "audio_out"), 10.0
    )
    usage = {"input_token_details": {"audio_tokens": 1000}, "output_token_details": {"text_tokens": 500}}
    assert costs.of_call(usage, 61_000) == 2 * 20_000 + 15_000
    assert costs.of_call({}, None) == 0
    assert [costs.minor(one) for one in (0, 1, 10_000, 10_001)] == [0, 1, 1, 2]


# --- callbacks ------------------------------------------------------------------------------------


def _ended(call: Call, outcome: Outcome = Outcome.CALLBACK) -> None:
    over(call, EndReason.CALLER_HANGUP, outcome)


def test_a_callback_joins_the_open_batch_once_and_holds_it_open() -> None:
    batch, people = _draft(1)
    Batch.objects.update(status=BatchStatus.RUNNING)
    row = batch.recipients.get()
    call = _call(batch, row, variables={"plan": "gold"})
    at = timezone.now() + timedelta(hours=3)
    follow_ups.schedule(people[0], due_at=at, note="About prices", call_id=call.pk)
    calls.end(call.pk, EndReason.CALLER_HANGUP)
    assert "recipient" in callbacks.schedule(call.pk)
    assert callbacks.schedule(call.pk) == {"known": True}
    finalize(call, Outcome.CALLBACK)
    settle.settle()
    settle.complete()
    batch.refresh_from_db()
    assert batch.status == BatchStatus.RUNNING
    again = Recipient.objects.get(callback_of=call)
    assert (again.batch_id, again.next_at, again.position) == (batch.pk, at, 2)
    assert again.variables == {"plan": "gold", "callback_note": "About prices"}
    assert TimelineEntry.objects.filter(lead=people[0], type="callback.scheduled").count() == 1
    assert Consent.objects.filter(lead=people[0], source="call").count() == 0
    _ended(_call(batch, again), Outcome.QUALIFIED)
    settle.settle()
    settle.complete()
    batch.refresh_from_db()
    assert batch.status == BatchStatus.COMPLETED
    assert FollowUp.objects.get(call_id=call.pk).status == "done"


@pytest.mark.parametrize("kind", ["inbound", "canceled"])
def test_without_an_open_batch_it_is_in_the_standing_one_with_a_consent(kind: str) -> None:
    batch, people = _draft(2)
    Batch.objects.update(status=BatchStatus.RUNNING)
    made = []
    for row, lead in zip(batch.recipients.order_by("position"), people, strict=True):
        call = _call(batch, row, objective="Sell")
        call.agent_version = batch.agent.current_version
        call.number = batch.number
        call.save()
        if kind == "inbound":
            Call.objects.filter(pk=call.pk).update(direction="inbound", batch=None, recipient=None)
        calls.end(call.pk, EndReason.CALLER_HANGUP)
        Verdict.objects.create(
            workspace=batch.workspace,
            call=call,
            qualification="undetermined",
            confidence=0.5,
            summary="s",
            follow_up={
                "needed": True,
                "reasons": ["Busy"],
                "callback_at": (timezone.now() + timedelta(days=1)).isoformat(),
            },
        )
        made.append((call, lead))
    if kind == "canceled":
        batches.cancel(batch)
    for call, _ in made:
        assert "recipient" in callbacks.schedule(call.pk)
    standing = Batch.objects.get(is_standing=True)
    assert (standing.name, standing.status, standing.recipients.count()) == ("Callbacks", "running", 2)
    assert not batches.complete(standing.pk)
    for call, lead in made:
        (consent,) = Consent.objects.filter(lead=lead, source="call")
        assert (consent.purpose, str(call.pk) in consent.proof) == ("informational", True)
        assert FollowUp.objects.get(call_id=call.pk).note == "Busy"


def test_the_last_word_counts_and_a_callback_can_be_taken_back() -> None:
    batch, people = _draft(1)
    Batch.objects.update(status=BatchStatus.RUNNING)
    rows = []
    row = batch.recipients.get()
    for hours in (2, 5):
        call = _call(batch, row)
        follow_ups.schedule(people[0], due_at=timezone.now() + timedelta(hours=hours), call_id=call.pk)
        calls.end(call.pk, EndReason.CALLER_HANGUP)
        callbacks.schedule(call.pk)
        rows.append(Recipient.objects.get(callback_of=call))
        finalize(call, Outcome.CALLBACK)
    for one in rows:
        one.refresh_from_db()
    assert [one.status for one in rows] == ["canceled", "pending"]
    taken = batch_members.withdraw(rows[1], actor="user:a")
    assert taken.status == "canceled"
    assert batch_members.withdraw(rows[1], actor="user:a").status == "canceled"
    assert {one.status for one in FollowUp.objects.all()} == {"canceled"}
    assert AuditEntry.objects.filter(action="batch.recipient_canceled").count() == 1


def test_nobody_who_said_stop_is_called_back() -> None:
    batch, people = _draft(1)
    Batch.objects.update(status=BatchStatus.RUNNING)
    call = _call(batch, batch.recipients.get())
    follow_ups.schedule(people[0], due_at=timezone.now() + timedelta(hours=1), call_id=call.pk)
    suppressions.add(batch.workspace_id, call.remote_number, source="call")
    calls.end(call.pk, EndReason.OPTED_OUT)
    assert "refused" in callbacks.schedule(call.pk)
    assert not Recipient.objects.filter(callback_of=call).exists()


@pytest.mark.django_db(transaction=True)
def test_a_callback_is_scheduled_once_however_many_try() -> None:
    batch, people = _draft(1)
    Batch.objects.update(status=BatchStatus.RUNNING)
    call = _call(batch, batch.recipients.get())
    call.agent_version, call.number = batch.agent.current_version, batch.number
    call.save()
    Call.objects.filter(pk=call.pk).update(direction="inbound", batch=None, recipient=None)
    follow_ups.schedule(people[0], due_at=timezone.now() + timedelta(hours=1), call_id=call.pk)
    calls.end(call.pk, EndReason.CALLER_HANGUP)
    found = together(*[lambda: callbacks.schedule(call.pk)] * 4)
    assert not [one for one in found if isinstance(one, Exception)]
    assert Recipient.objects.filter(callback_of=call).count() == 1
    assert Batch.objects.filter(is_standing=True).count() == 1
    assert Consent.objects.filter(source="call").count() == 1


# --- files ----------------------------------------------------------------------------------------


def _upload(space: Workspace, text: str, **parts: Any) -> Batch:
    return batch_uploads.create(
        space,
        io.BytesIO(text.encode()),
        file_name="l.csv",
        options=imports.Options(on_duplicate="update"),  # type: ignore[arg-type]
        parts={"objective": "About {{variables.plan}}", "draft": True, **parts},
        actor="user:a",
    ).batch


def _work() -> None:
    """What the workers do, until nothing is left."""
    for _ in range(50):
        for import_id in imports.due():
            import_run.run(import_id, slice_s=60)
        batch_filling.fill()
        if not BatchUpload.objects.filter(done_at=None).exists():
            return
    raise AssertionError("it never ends")


def test_rows_become_recipients_with_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_uploads, "MAX_LEADS", 3)
    space, people = _space(1)
    lines = ["name,phone,Plan Tier,consent_date,opt-in source"]
    lines += [f"N{n},+1206555{1000 + n},tier {n},2026-05-01,form" for n in range(7)]
    lines += [
        f"Known,{people[0].phone},gold,2026-05-01,form",
        "Again,+12065551000,other,2026-05-01,form",
        "Bad,12,x,2026-05-01,form",
        "Late,+12065551999,x,2999-01-01,form",
        "Silent,,x,,",
    ]
    batch = _upload(space, "\n".join(lines))
    batches.start(batch)
    settle.start_due()
    assert not batches.complete(batch.pk), "its file is not in yet"
    _work()
    rows = list(batch.recipients.order_by("position"))
    assert [row.position for row in rows] == list(range(1, 10))
    assert rows[0].variables == {"plan_tier": "tier 0"}
    assert rows[7].lead_id == people[0].pk
    assert [row.refusal_code for row in rows if row.status == "refused"] == ["no_phone"]
    upload = batch.uploads.get()
    assert (upload.taken_count, upload.refused_count, upload.duplicate_count) == (9, 1, 1)
    errors = list(upload.lead_import.errors.values_list("line", "code", "column"))
    assert errors == [
        (10, "duplicate", ""),
        (11, "phone", "phone"),
        (12, "in_the_future", "consent_date"),
    ]
    assert Consent.objects.filter(lead=rows[0].lead, source="form", purpose="marketing").count() == 1


def test_a_canceled_batch_takes_no_more_rows() -> None:
    space, _ = _space(0)
    batch = _upload(space, "name,phone\n" + "\n".join(f"N{n},+1206555{1000 + n}" for n in range(5)))
    batches.cancel(batch)
    _work()
    assert batch.recipients.count() == 0
    assert batch.uploads.get().lead_import.status == "canceled"


def test_a_header_without_leads_makes_no_batch() -> None:
    space, _ = _space(0)
    with pytest.raises(InvalidInput):
        _upload(space, "plan,tier\na,b\n")
    assert not Batch.objects.exists()
