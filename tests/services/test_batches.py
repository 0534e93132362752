"""Batches: what may be asked of them."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from crm.models import Consent, Lead
from crm.services import suppressions
from tenex.errors import Conflict, InvalidInput
from tenex.events.models import Event
from tenex.workspaces.models import Workspace
from tests.dialing_rows import agent, leads, number, workspace
from tests.rows import together
from voice.models import Batch, BatchStatus, Call, CallStatus, Decision, Recipient, RecipientStatus
from voice.services import batches, dialing

pytestmark = pytest.mark.django_db


def _space(count: int = 3) -> tuple[Workspace, list[Lead]]:
    space = workspace()
    number(space, agent(space))
    return space, leads(space, count)


def test_a_batch_takes_its_leads_in_order_and_needs_no_agent_if_there_is_one() -> None:
    space, people = _space()
    made = batches.create(space, objective="Qualify", lead_ids=[person.pk for person in people])
    assert (made.accepted, made.rejected, made.created) == (3, [], True)
    rows = Recipient.objects.filter(batch=made.batch).order_by("position")
    assert [row.lead_id for row in rows] == [person.pk for person in people]
    assert made.batch.agent.slug.startswith("ava")


def test_leads_that_may_not_be_called_are_rejected_with_a_reason() -> None:
    space, people = _space(6)
    fine, archived, silent, out, listed, twice = people
    Lead.objects.filter(pk=archived.pk).update(archived_at=timezone.now())
    Lead.objects.filter(pk=silent.pk).update(phone=None)
    Lead.objects.filter(pk=out.pk).update(opted_out_at=timezone.now())
    assert listed.phone is not None
    suppressions.add(space.pk, listed.phone, source="api")
    Lead.objects.filter(pk=listed.pk).update(opted_out_at=None)
    ids = [person.pk for person in people] + [str(twice.pk)]
    made = batches.create(space, objective="x", lead_ids=ids)
    assert made.accepted == 2
    assert {(one.lead_id, one.code) for one in made.rejected} == {
        (str(archived.pk), "archived"),
        (str(silent.pk), "no_phone"),
        (str(out.pk), "opted_out"),
        (str(listed.pk), "suppressed"),
        (str(twice.pk), "duplicate"),
    }
    assert all(one.detail for one in made.rejected)
    assert set(made.batch.recipients.values_list("lead_id", flat=True)) == {fine.pk, twice.pk}


def test_ids_of_nobody_or_of_another_workspace_make_no_batch() -> None:
    space, people = _space()
    other, strangers = workspace(), None
    strangers = leads(other, 1)
    for wrong, type_ in ((strangers[0].pk, "missing"), (uuid.uuid4(), "missing"), ("x", "uuid_parsing")):
        with pytest.raises(InvalidInput) as caught:
            batches.create(space, objective="x", lead_ids=[people[0].pk, wrong])
        assert (caught.value.loc, caught.value.type_) == (("body", "lead_ids", 1), type_)
    assert not Batch.objects.exists()


def test_a_request_takes_500_leads_and_not_none() -> None:
    space, people = _space(1)
    for ids in ([], [people[0].pk] * 501):
        with pytest.raises(InvalidInput):
            batches.create(space, objective="x", lead_ids=ids)
    assert batches.create(space, objective="x", lead_ids=[people[0].pk] * 500).accepted == 1


def test_what_is_another_workspaces_is_missing() -> None:
    space, people = _space()
    other = workspace()
    stranger = agent(other)
    foreign = number(other, stranger, "+14155550111")
    ids = [people[0].pk]
    with pytest.raises(InvalidInput, match="agent"):
        batches.create(space, objective="x", lead_ids=ids, agent=stranger)
    with pytest.raises(InvalidInput, match="number"):
        batches.create(space, objective="x", lead_ids=ids, number=foreign)


@pytest.mark.django_db(transaction=True)
def test_the_same_reference_is_the_same_batch_even_at_once() -> None:
    space, people = _space()
    ids = [person.pk for person in people]
    made = together(
        *[lambda: batches.create(space, objective="x", lead_ids=ids, client_reference="order-1")] * 5
    )
    assert {one.batch.pk for one in made} == {Batch.objects.get().pk}
    assert sorted(one.created for one in made) == [False, False, False, False, True]
    assert Recipient.objects.count() == 3


def test_more_leads_are_appended_until_the_batch_is_over() -> None:
    space, people = _space(4)
    batch = batches.create(space, objective="x", lead_ids=[people[0].pk]).batch
    more = batches.append(batch, [people[0].pk, people[1].pk])
    assert (more.accepted, [one.code for one in more.rejected]) == (1, ["duplicate"])
    assert list(batch.recipients.order_by("position").values_list("position", flat=True)) == [1, 2]
    batches.cancel(batch)
    with pytest.raises(Conflict, match="over"):
        batches.append(batch, [people[2].pk])


def test_pause_resume_cancel() -> None:
    space, people = _space()
    batch = batches.create(space, objective="x", lead_ids=[person.pk for person in people]).batch
    assert batches.pause(batch, reason="lunch").status == BatchStatus.PAUSED
    assert batches.pause(batch).status == BatchStatus.PAUSED
    assert batches.resume(batch).status == BatchStatus.RUNNING
    assert batches.cancel(batch).status == BatchStatus.CANCELED
    assert set(batch.recipients.values_list("status", flat=True)) == {RecipientStatus.CANCELED}
    assert batches.cancel(batch).status == BatchStatus.CANCELED
    for act in (batches.pause, batches.resume):
        with pytest.raises(Conflict):
            act(batch)
    event = Event.objects.get(type="batch.completed")
    assert (event.data["status"], event.data["total"]) == ("canceled", 3)


def test_a_single_call_is_queued_for_a_lead_or_a_number() -> None:
    space, people = _space()
    call = dialing.place(space, lead=people[0], objective="Say hello")
    assert (call.status, call.to_number, call.objective) == (CallStatus.QUEUED, people[0].phone, "Say hello")
    by_number = dialing.place(space, phone=str(people[1].phone))
    assert by_number.lead_id == people[1].pk
    assert Call.objects.count() == 2


def test_a_number_that_nobody_has_agreed_to_be_called_on_is_not_dialed() -> None:
    space, people = _space()
    with pytest.raises(Conflict) as caught:
        dialing.place(space, phone="(415) 555-7001")
    assert caught.value.code == "no_consent"
    Consent.objects.all().delete()
    with pytest.raises(Conflict) as caught:
        dialing.place(space, lead=people[0])
    assert caught.value.code == "no_consent"
    assert "consents" in caught.value.detail
    assert not Call.objects.exists()
    assert Decision.objects.filter(stage="enqueue", allowed=False, code="no_consent").count() == 2


def test_whoever_may_not_be_called_is_a_conflict_with_its_code() -> None:
    space, people = _space()
    suppressions.add(space.pk, "+14155557001", source="api")
    with pytest.raises(Conflict) as caught:
        dialing.place(space, phone="+14155557001")
    assert caught.value.code == "suppressed"
    Lead.objects.filter(pk=people[0].pk).update(opted_out_at=timezone.now() - timedelta(days=1))
    people[0].refresh_from_db()
    with pytest.raises(Conflict) as caught:
        dialing.place(space, lead=people[0])
    assert caught.value.code == "opted_out"
    with pytest.raises(InvalidInput):
        dialing.place(space)
    assert not Call.objects.exists()
