"""Kill switches, what they take back, and batches that pause themselves."""

from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from crm.models import Lead
from tenex.workspaces.models import AuditEntry, User, Workspace
from tests import rows
from tests.dialing_rows import HOME, agent, leads, number, over, phone, workspace
from tests.prove.fake_carrier import FakeCarrier
from voice.models import (
    Batch,
    BatchStatus,
    Call,
    CallingSwitch,
    CallStatus,
    DialState,
    EndReason,
    Outcome,
    PauseCode,
    Recipient,
    RecipientStatus,
)
from voice.outbound import breaker, claims, dialer, settle
from voice.outbound.claims import Claimed
from voice.services import attempts, batches, calls, switches
from voice.telephony.client import carrier as configured_carrier

pytestmark = pytest.mark.django_db(transaction=True)


def _batch(count: int, **fields: object) -> Batch:
    space = workspace(max_concurrent_calls=100)
    number(space, agent(space))
    people = leads(space, count)
    return batches.create(
        space,
        objective="x",
        lead_ids=[person.pk for person in people],
        concurrency=100,
        **fields,  # type: ignore[arg-type]
    ).batch


def _dialed(batch: Batch) -> list[Call]:
    dialer.tick(budget_s=5)
    return list(Call.objects.filter(batch=batch).order_by("recipient__position"))


def _wanted(carrier: FakeCarrier) -> set[str]:
    return {call.sid for call in carrier.calls.values() if call.wanted == "canceled"}


def test_the_instances_switch_stops_everybody_and_takes_back_what_nobody_answered(
    carrier: FakeCarrier,
) -> None:
    batch = _batch(4)
    queued, ringing, talking, _ = _dialed(batch)
    calls.ring(ringing.pk)
    calls.answer(talking.pk)
    late = batches.append(batch, [leads_more(batch).pk]).batch
    switches.stop(actor="user:ada", reason="wrong list")
    dialer.tick(budget_s=1)
    assert len(carrier.calls) == 4
    assert len(_wanted(carrier)) == 3
    assert talking.provider_sid not in _wanted(carrier)
    for call in (queued, ringing):
        over(call, EndReason.CANCELED, Outcome.CANCELED)
    settle.settle()
    back = Recipient.objects.filter(pk__in=[queued.recipient_id, ringing.recipient_id])
    assert [(row.status, row.calls_made, row.next_at) for row in back] == [("pending", 0, None)] * 2
    assert AuditEntry.objects.filter(action="calling.stopped", workspace=batch.workspace).count() == 1
    switches.start(actor="user:ada")
    dialer.tick(budget_s=5)
    assert len(carrier.calls) == 4 + 3
    late.refresh_from_db()
    assert late.status == BatchStatus.RUNNING


def leads_more(batch: Batch) -> Lead:
    more = Lead.objects.create(
        workspace=batch.workspace, phone=phone(9999), time_zone=HOME.zone, country=HOME.country
    )
    rows.agree(more)
    return more


def test_the_switch_holds_between_the_claim_and_the_request(carrier: FakeCarrier) -> None:
    batch = _batch(1)
    settle.start_due()
    claimed = claims.claim(batch.workspace_id)
    assert isinstance(claimed, Claimed)
    switches.stop(actor="user:ada")
    assert attempts.dial(claimed.attempt_id, configured_carrier()) == DialState.NOT_PLACED
    assert not carrier.calls
    assert Call.objects.get().status == CallStatus.QUEUED


def test_a_worker_that_sleeps_for_a_second_after_its_last_look_does_not_ask(carrier: FakeCarrier) -> None:
    batch = _batch(1)
    settle.start_due()
    claimed = claims.claim(batch.workspace_id)
    assert isinstance(claimed, Claimed)
    fenced = attempts.fence(claimed.attempt_id)
    assert fenced is not None
    late = replace(fenced, deadline_s=fenced.deadline_s - 1.0)
    assert attempts.post(late, configured_carrier()) == DialState.NOT_PLACED
    assert not carrier.calls


def test_a_paused_workspace_takes_back_ringing_phones_and_a_paused_batch_lets_them_ring(
    carrier: FakeCarrier,
) -> None:
    batch = _batch(2)
    queued, ringing = _dialed(batch)
    calls.ring(ringing.pk)
    batches.pause(batch)
    dialer.tick(budget_s=1)
    assert _wanted(carrier) == {queued.provider_sid}
    Workspace.objects.update(calling_paused_at=timezone.now())
    dialer.tick(budget_s=1)
    assert _wanted(carrier) == {queued.provider_sid, ringing.provider_sid}


def test_the_command_throws_the_switch_and_says_how_it_stands(carrier: FakeCarrier) -> None:
    _batch(1)
    out = StringIO()
    call_command("calling", "stop", "--reason", "fire drill", stdout=out)
    assert "STOPPED" in out.getvalue()
    assert "fire drill" in out.getvalue()
    assert switches.is_stopped()
    call_command("calling", "stop", "--reason", "another", stdout=out)
    assert CallingSwitch.objects.get().reason == "fire drill"
    out = StringIO()
    call_command("calling", "start", stdout=out)
    assert out.getvalue().startswith("calling is allowed")
    assert not switches.is_stopped()


@pytest.mark.filterwarnings("ignore:Overriding get_action_choices")  # the theme's, not ours
def test_the_admin_throws_the_switch(carrier: FakeCarrier, settings: Settings, client: Client) -> None:
    client.force_login(User.objects.create_superuser("root@example.com", "a-long-password"))
    page = client.get("/admin/voice/callingswitch/")
    assert page.status_code == 200
    chosen = {"_selected_action": ["1"]}
    assert client.post("/admin/voice/callingswitch/", {"action": "stop_all", **chosen}).status_code == 302
    assert switches.state().stopped_by == "user:root@example.com"
    assert client.post("/admin/voice/callingswitch/", {"action": "start_all", **chosen}).status_code == 302
    assert not switches.is_stopped()
    for name in ("mediaprocess", "carrieraccount"):
        assert client.get(f"/admin/voice/{name}/").status_code == 200


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        ({"busy": 30, "no-answer": 20}, ""),
        ({"rejected": 9, "busy": 1}, ""),  # too few
        ({"rejected": 9, "no-answer": 11}, ""),
        (
            {"rejected": 8, "carrier-failed": 4, "no-answer": 8},
            "12 of the latest 20 calls failed: 8 × the carrier refused the call,"
            " 4 × the carrier could not connect the call.",
        ),
    ],
)
def test_failures_that_jump_are_told_in_words(reasons: dict[str, int], words: str) -> None:
    assert breaker.judge(reasons, min_calls=20, share=0.5) == words


def test_a_batch_whose_calls_fail_pauses_itself_and_once_resumed_is_judged_anew(
    carrier: FakeCarrier, settings: Settings
) -> None:
    settings.BREAKER_MIN_CALLS = 4
    batch = _batch(9)
    made = _dialed(batch)
    for call in made[:3]:
        over(call, EndReason.MODEL_UNAVAILABLE, Outcome.FAILED)
    assert breaker.look() == 0
    over(made[3], EndReason.BUSY, Outcome.BUSY)
    assert breaker.look() == 1
    batch.refresh_from_db()
    assert (batch.status, batch.pause_code) == (BatchStatus.PAUSED, PauseCode.FAILURES_JUMPED)
    assert batch.status_reason == "3 of the latest 4 calls failed: 3 × the speech model was not available."
    told = AuditEntry.objects.get(action="batch.paused", object_id=str(batch.pk))
    assert (told.actor, told.data["reason"]) == ("system:dialer", batch.status_reason)
    batches.resume(batch)
    for call in made[4:]:
        over(call, EndReason.MODEL_UNAVAILABLE, Outcome.FAILED)
    assert breaker.look() == 0  # they began before the pause


def test_calls_that_a_switch_took_back_say_nothing_of_a_batch(
    carrier: FakeCarrier, settings: Settings
) -> None:
    settings.BREAKER_MIN_CALLS = 2
    batch = _batch(4)
    for call in _dialed(batch):
        calls.end(call.pk, EndReason.CANCELED)
    assert breaker.look() == 0


def _answered(batch: Batch, count: int, *, spoke_ms: int | None, lasted_s: float = 20, by: str = "") -> None:
    """Calls of a month, answered, as post-call leaves them."""
    now = timezone.now()
    with transaction.atomic():
        Call.objects.bulk_create(
            Call(
                workspace_id=batch.workspace_id,
                batch=batch,
                direction="outbound",
                status=CallStatus.ENDED,
                end_reason=EndReason.CALLER_HANGUP,
                from_number="+14155550100",
                to_number="+14155560001",
                answered_by=by,
                placed_at=now - timedelta(days=3),
                answered_at=now - timedelta(days=3),
                ended_at=now - timedelta(days=3) + timedelta(seconds=lasted_s),
                latency={} if spoke_ms is None else {"first_audio_ms": spoke_ms},
            )
            for _ in range(count)
        )


def test_answered_calls_with_nobody_of_ours_pause_a_batch(carrier: FakeCarrier) -> None:
    batch = _batch(1)
    settle.start_due()
    _answered(batch, 98, spoke_ms=600)
    _answered(batch, 1, spoke_ms=None)
    _answered(batch, 5, spoke_ms=None, lasted_s=1)  # hung up before we had to speak
    _answered(batch, 5, spoke_ms=None, by="machine_start")
    assert breaker.look_for_abandoned() == 0  # 1 of 104
    _answered(batch, 1, spoke_ms=2600)
    assert breaker.look_for_abandoned() == 1
    batch.refresh_from_db()
    assert (batch.status, batch.pause_code) == (BatchStatus.PAUSED, PauseCode.ABANDONED)
    assert batch.status_reason.startswith("In 2 of 105 answered calls of 30 days")
    assert batch.recipients.filter(status=RecipientStatus.PENDING).count() == 1


@pytest.mark.parametrize(
    ("answered", "abandoned", "pauses"), [(99, 50, False), (1000, 10, False), (1000, 11, True)]
)
def test_a_hundredth_abandoned_is_too_many(answered: int, abandoned: int, pauses: bool) -> None:
    assert bool(breaker.judge_abandoned(answered, abandoned)) is pauses
