"""What the rows say of a lead, for one or for five hundred, and what a decision leaves behind."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.models import Lead
from crm.services import consents, suppressions
from tests.dialing_rows import agent, leads, number, outbound_call, over, workspace
from tests.prove.fake_carrier import FakeCarrier
from tests.rows import agree, together
from voice.models import (
    Batch,
    Call,
    CallingSwitch,
    CallStatus,
    Decision,
    EndReason,
    Outcome,
    Recipient,
)
from voice.outbound import dialer, facts
from voice.outbound.contactability import Allow, Refuse, decide
from voice.services import batches, decisions, dialing
from voice.services.decisions import About, Decided

pytestmark = pytest.mark.django_db(transaction=True)


def _queries(count: int) -> int:
    space = workspace()
    who = agent(space)
    own = number(space, who, f"+1415555{count:04}")
    people = leads(space, count)
    with CaptureQueriesContext(connection) as made:
        known = facts.of_many(space, people, own, who.current_version, None)
    assert len(known) == count
    assert all(one.consents and one.number_active for one in known.values())
    return len(made)


def test_five_hundred_leads_cost_the_queries_of_one() -> None:
    assert _queries(1) == _queries(500) <= 6


def test_one_and_many_say_the_same() -> None:
    space = workspace()
    who = agent(space)
    own = number(space, who)
    people = leads(space, 3)
    suppressions.add(space.pk, people[1].phone, source="api")
    outbound_call(space, status=CallStatus.RINGING, to_number=people[2].phone)
    people = list(Lead.objects.order_by("phone"))
    many = facts.of_many(space, people, own, who.current_version, None)
    for lead in people:
        assert facts.of(space, lead, lead.phone or "", own, who.current_version, None) == many[lead.pk]
    assert [many[lead.pk].suppressed for lead in people] == [False, True, False]
    assert [many[lead.pk].on_the_phone for lead in people] == [False, False, True]


def test_workspaces_of_one_legal_name_are_one_caller() -> None:
    one, two = (workspace(legal_name=name) for name in ("Acme Robots, Inc.", "ACME ROBOTS, INC."))
    stranger, nameless = workspace(legal_name="Other, Ltd."), workspace()
    [lead] = leads(one, 1)
    suppressions.add(two.pk, lead.phone, source="key")
    call = outbound_call(two, status=CallStatus.DIALING, to_number=lead.phone)

    def seen_by(space: object) -> tuple[bool, bool, int]:
        known = facts.of(space, None, lead.phone or "", None, None, None)  # type: ignore[arg-type]
        return known.suppressed, known.on_the_phone, known.placed_in_all

    assert seen_by(one) == seen_by(two) == (True, True, 1)
    assert seen_by(stranger) == seen_by(nameless) == (False, False, 0)
    over(call, EndReason.NO_ANSWER, Outcome.NO_ANSWER)
    assert seen_by(one) == (True, False, 1)


def test_a_number_is_decided_about_by_one_claim_at_a_time() -> None:
    from django.db import transaction

    space = workspace()
    [lead] = leads(space, 1)

    def ask() -> bool:
        with transaction.atomic():
            known = facts.to_dial(space, lead, lead.phone or "", None, None, None)
            import time

            time.sleep(0.3)
            return known.on_the_phone

    assert sorted(together(ask, ask)) == [False, True]


def test_the_switch_of_the_system_and_the_hours_of_a_batch() -> None:
    space = workspace()
    who = agent(space)
    own = number(space, who)
    batch = Batch(workspace=space, agent=who, number=own, status="running", purpose="informational")
    known = facts.of(space, None, "", own, who.current_version, batch)
    assert (known.purpose, known.calling_stopped, known.batch_running) == ("informational", False, True)
    CallingSwitch.objects.create(stopped_at=timezone.now())
    batch.status = "paused"
    batch.window_start, batch.window_end = timezone.now().time(), timezone.now().time()
    batch.window_days = [2]
    known = facts.of(space, None, "", own, who.current_version, batch)
    assert (known.calling_stopped, known.batch_running, known.window.days) == (True, False, (2,))
    assert known.window.start == batch.window_start
    assert not facts.of(space, None, "", number(workspace(), None, "+14155550111"), None, None).number_owned


# --- decisions ------------------------------------------------------------------------------------


def test_an_enqueue_and_a_dial_leave_their_decisions(carrier: FakeCarrier) -> None:
    space = workspace()
    number(space, agent(space))
    fine, silent = leads(space, 2)
    Lead.objects.filter(pk=silent.pk).update(phone=None)
    made = batches.create(space, objective="x", lead_ids=[fine.pk, silent.pk])
    taken = {row.lead_id: row for row in Decision.objects.filter(stage="enqueue")}
    assert (taken[fine.pk].allowed, taken[fine.pk].batch_id) == (True, made.batch.pk)
    assert taken[fine.pk].recipient == Recipient.objects.get()
    assert (taken[silent.pk].allowed, taken[silent.pk].code, taken[silent.pk].recipient) == (
        False,
        "no_phone",
        None,
    )
    assert taken[fine.pk].inputs["consent_id"]
    dialer.tick(budget_s=5)
    [dialed] = Decision.objects.filter(stage="dial")
    assert (dialed.allowed, dialed.call) == (True, Call.objects.get())
    assert dialed.inputs["zones"][0]["from"] == "stated"


def test_a_consent_that_is_revoked_while_the_lead_waits_ends_it(carrier: FakeCarrier) -> None:
    space = workspace()
    number(space, agent(space))
    [lead] = leads(space, 1)
    batches.create(space, objective="x", lead_ids=[lead.pk])
    call = dialing.place(space, lead=lead)
    consents.revoke(space, lead.pk, lead.consents.get().pk, actor="test")
    dialer.tick(budget_s=5)
    call.refresh_from_db()
    assert not carrier.calls
    assert (call.status, call.end_reason) == ("ended", "canceled")
    assert Recipient.objects.get().refusal_code == "consent_revoked"
    assert Decision.objects.filter(stage="dial", code="consent_revoked", until=None).count() == 2


def test_an_informational_consent_serves_a_workspace_that_informs(carrier: FakeCarrier) -> None:
    space = workspace(default_purpose="informational")
    number(space, agent(space))
    [lead] = leads(space, 1, agreed=False)
    agree(lead, purpose="informational")
    batches.create(space, objective="x", lead_ids=[lead.pk])
    dialer.tick(budget_s=5)
    assert list(carrier.dialed()) == [lead.phone]


def test_a_refusal_that_repeats_itself_is_one_row() -> None:
    space = workspace()
    who = agent(space)
    own = number(space, who)
    [lead] = leads(space, 1)
    call = outbound_call(space, to_number=lead.phone, lead=lead)
    known = facts.of(space, lead, lead.phone or "", own, who.current_version, None)
    about = About(space.pk, lead.pk, call_id=call.pk)
    now = timezone.now()

    def says(code: str, seconds: float) -> bool:
        answer = Refuse(code, "x", now + timedelta(seconds=seconds))
        return decisions.record_dial(Decided(about, known, answer, now))

    assert [says("on_the_phone", n) for n in (1, 2, 3)] == [True, False, False]
    assert [says("outside_window", n) for n in (9, 9, 10)] == [True, False, True]
    assert says("on_the_phone", 4)
    assert decisions.record_dial(Decided(about, replace(known), Allow(), now))
    assert decisions.record_dial(Decided(about, known, Allow(), now)), "each dial has its own"
    assert Decision.objects.count() == 6


def test_previews_are_written_in_bulk_and_forgotten() -> None:
    space = workspace()
    who = agent(space)
    own = number(space, who)
    people = leads(space, 500)
    batch = Batch.objects.create(workspace=space, objective="x", agent=who, number=own)
    known = facts.of_many(space, people, own, who.current_version, batch)
    now = timezone.now()
    written = decisions.record_many(
        "preview",  # type: ignore[arg-type]
        [Decided(About(space.pk, lead, batch.pk), one, decide(one, now), now) for lead, one in known.items()],
    )
    assert written == Decision.objects.filter(batch=batch, stage="preview").count() == 500
    assert decisions.forget_previews(batch.pk) == 500
    assert not Decision.objects.exists()
