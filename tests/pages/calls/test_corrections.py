"""Verdicts that a person corrects."""

from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from crm.models import Lead, TimelineEntry
from crm.services import leads
from tenex.events.models import Event
from tenex.workspaces.models import AuditEntry, Role, Workspace
from tests import rows
from tests.pages import desk
from tests.pages.calls.looks import L, correct, member, text_of
from voice.models import Batch, Call, PhoneNumber, Recipient, Verdict, VerdictCorrection

pytestmark = pytest.mark.django_db


def test_a_correction_reaches_call_lead_recipient_and_webhooks_and_keeps_the_original(
    space: Workspace, client: Client
) -> None:
    lead = rows.lead(space)
    agent = rows.version(space)
    call = desk.judged(space, lead=lead, agent=agent, direction="outbound")
    batch = Batch.objects.create(
        workspace=space, objective="o", agent=agent.agent, number=PhoneNumber.objects.get()
    )
    recipient = Recipient.objects.create(
        workspace=space, batch=batch, lead=lead, position=1, status="done", outcome="qualified"
    )
    Call.objects.filter(pk=call.pk).update(batch=batch, recipient=recipient)
    Verdict.objects.filter(call=call).update(needs_review=True)
    assert call.answered_at
    leads.write_back(
        lead.pk,
        call_id=call.pk,
        called_at=call.answered_at,
        outcome="qualified",
        qualification="qualified",
        talked=True,
        summary="Has a budget.",
        data={},
    )
    assert Lead.objects.get().stage == "qualified"

    assert correct(client, call).status_code == 302

    call.refresh_from_db()
    lead.refresh_from_db()
    recipient.refresh_from_db()
    verdict = Verdict.objects.get()
    assert (call.outcome, recipient.outcome) == ("unqualified", "unqualified")
    assert (lead.qualification, lead.stage, lead.last_outcome) == ("unqualified", "contacted", "unqualified")
    assert (verdict.qualification, verdict.needs_review, verdict.confidence) == ("unqualified", False, 1.0)
    assert verdict.corrected_by == "user:ava@example.com"
    assert verdict.criteria[0] == {"name": "budget", "met": False, "evidence": None}
    row = VerdictCorrection.objects.get()
    assert (row.before["qualification"], row.before["outcome"]) == ("qualified", "qualified")
    assert row.before["criteria"][0]["evidence"]["quote"] == "two thousand dollars"
    event = Event.objects.get(type="verdict.corrected")
    assert event.data["verdict"]["qualification"] == "unqualified"
    assert event.data["previous"]["qualification"] == "qualified"
    assert event.data["reason"] == "Two thousand rupees."
    assert Event.objects.filter(type="lead.updated", call_id=call.pk).count() == 2
    assert TimelineEntry.objects.filter(type="call.verdict_corrected", lead=lead).count() == 1
    entry = AuditEntry.objects.get(action="verdict.corrected")
    assert (entry.actor, entry.data["criteria"]) == ("user:ava@example.com", {"budget": [True, False]})
    page = text_of(client, f"{L}/{call.pk}")
    assert "By hand; the model said: met." in page
    assert "Two thousand rupees." in page


def test_a_later_call_has_the_last_word_about_the_lead(space: Workspace, client: Client) -> None:
    lead = rows.lead(space)
    call = desk.judged(space, lead=lead)
    Lead.objects.update(last_call_at=timezone.now(), qualification="qualified", last_outcome="callback")
    assert correct(client, call).status_code == 302
    lead.refresh_from_db()
    assert (lead.qualification, lead.last_outcome) == ("qualified", "callback")
    assert TimelineEntry.objects.filter(type="call.verdict_corrected").count() == 1


def test_a_second_correction_still_shows_what_the_model_said(space: Workspace, client: Client) -> None:
    call = desk.judged(space)
    correct(client, call)
    answer = correct(client, call, qualification="undetermined", reason="Nobody knows.")
    assert answer.status_code == 302
    assert [row.number for row in VerdictCorrection.objects.all()] == [1, 2]
    assert "Qualified, 80 % sure" in text_of(client, f"{L}/{call.pk}")
    assert Event.objects.filter(type="verdict.corrected").count() == 2


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"reason": "  "}, "reason"),
        ({"qualification": "maybe"}, "qualification"),
        ({"criterion": "x"}, "criteria"),
    ],
)
def test_a_correction_that_does_not_fit_changes_nothing_and_keeps_what_was_typed(
    space: Workspace, client: Client, fields: dict[str, str], field: str
) -> None:
    call = desk.judged(space)
    answer = correct(client, call, **fields)
    assert answer.status_code == 422
    assert answer.context["correction"]["errors"].keys() == {field}
    assert not VerdictCorrection.objects.exists()
    assert Verdict.objects.get().qualification == "qualified"
    if field != "reason":
        assert "Two thousand rupees." in answer.content.decode()


def test_what_has_no_verdict_cannot_be_corrected(space: Workspace, client: Client) -> None:
    call = desk.judged(space)
    Verdict.objects.all().delete()
    assert correct(client, call).status_code == 409
    assert correct(client, rows.call(space, agent=call.agent_version)).status_code == 409


def test_viewers_neither_correct_nor_share_nor_delete(space: Workspace, media: Path) -> None:
    call = desk.judged(space)
    desk.recorded(call, desk.wav([], 100))
    viewer = member(Role.VIEWER, space, "v@example.com")
    assert correct(viewer, call).status_code == 403
    assert viewer.post(f"{L}/{call.pk}/shares", {"hours": "1"}).status_code == 403
    assert viewer.post(f"{L}/{call.pk}/recording/delete").status_code == 403
    page = text_of(viewer, f"{L}/{call.pk}")
    assert "Correct this verdict" not in page
    assert "Make a link" not in page
    assert "Delete the recording" not in page
