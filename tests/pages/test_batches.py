"""Batches: made, previewed, started, paused and stopped from their pages, and what their pages show."""

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.models import LeadImport, Segment
from tenex.workspaces.models import AuditEntry, Role, Workspace
from tests import dialing_rows, rows
from tests.pages.people import member
from tests.pages.test_dashboard import text_of
from voice.console.batches import BatchPage
from voice.models import AgentVersion, Batch, BatchVersion, Call, CallStatus, EndReason, Recipient
from voice.services import batch_filling, batches, switches

pytestmark = pytest.mark.django_db


class Place:
    """A workspace that can call, and a browser of one of its operators."""

    def __init__(self) -> None:
        self.space: Workspace = dialing_rows.workspace(default_purpose="marketing")
        self.agent = dialing_rows.agent(self.space)
        self.number = dialing_rows.number(self.space, self.agent)
        self.client = member(Role.OPERATOR, self.space)

    def page(self, path: str, *, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status
        return answer.content.decode()

    def batch(self, count: int = 3, **fields: Any) -> Batch:
        leads = dialing_rows.leads(self.space, count)
        given = {"objective": "Book a demo", "name": "Autumn", "draft": True, **fields}
        return batches.create(self.space, lead_ids=[one.pk for one in leads], **given).batch


@pytest.fixture
def place(settings: Any) -> Place:
    settings.OPENAI_API_KEY = "sk-test"
    return Place()


FORM = {"objective": "Book a demo", "name": "Autumn", "concurrency": "3", "machine_detection": "1"}


# --- made and changed ---


def test_a_batch_is_made_of_a_segment_as_a_draft(place: Place) -> None:
    dialing_rows.leads(place.space, 4)
    segment = Segment.objects.create(
        workspace=place.space,
        name="All",
        kind="rules",
        rules={"all": [{"field": "stage", "op": "eq", "value": "new"}]},
    )
    sent = {
        **FORM,
        "leads_from": "segment",
        "segment_id": str(segment.pk),
        "starts_at": "2031-05-01T10:30",
        "window_start": "09:30",
        "window_end": "17:00",
        "window_days": ["1", "2"],
        "budget_hard_minor": "12.50",
        "retry_after_h": "1.5",
        "max_attempts": "3",
    }
    answer = place.client.post("/console/batches/new", sent)
    batch = Batch.objects.get()
    assert answer["Location"] == f"/console/batches/{batch.pk}"
    assert (batch.status, batch.recipients.count(), batch.budget_hard_minor) == ("draft", 4, 1250)
    assert (batch.retry_after_s, batch.max_attempts, batch.window_days) == (5400, 3, [1, 2])
    assert f"{batch.window_start:%H:%M}" == "09:30"
    assert f"{batch.starts_at:%Y-%m-%d %H:%M}" == "2031-05-01 10:30"
    assert "A draft: look at the preview" in place.page(answer["Location"])


def test_a_batch_is_made_of_a_file_with_its_columns(place: Place) -> None:
    file = io.BytesIO(b"Phone,Plan tier\n" + f"{dialing_rows.phone(7)},gold\n".encode())
    file.name = "people.csv"
    columns = place.client.post("/console/leads/import/columns", {"file": file, "variables": "1"})
    assert 'value="variables.plan_tier" selected' in columns.content.decode()
    file.seek(0)
    sent = {
        **FORM,
        "leads_from": "file",
        "file": file,
        "header-0": "Phone",
        "column-0": "phone",
        "header-1": "Plan tier",
        "column-1": "variables.plan_tier",
    }
    place.client.post("/console/batches/new", sent)
    batch = Batch.objects.get()
    upload = batch.uploads.get()
    from crm.services import import_run

    while import_run.run(upload.lead_import_id):
        pass
    batch_filling.fill()
    assert batch.recipients.get().variables == {"plan_tier": "gold"}
    text = text_of(place.page(f"/console/batches/{batch.pk}"))
    assert "people.csv" in text
    assert LeadImport.objects.get().keeps_rows


@pytest.mark.parametrize(
    ("changed", "field", "problem"),
    [
        ({"objective": ""}, "objective", "may not be blank"),
        ({"objective": "Hi {{nobody.knows}}"}, "objective", ""),
        ({"segment_id": "", "leads_from": "segment"}, "segment_id", "choose a segment"),
        ({"leads_from": "file"}, "file", "choose a CSV file"),
        ({"concurrency": "many"}, "concurrency", "not a number"),
        ({"concurrency": "9999"}, "concurrency", "less than or equal to 500"),
        ({"window_start": "09:00"}, "window_end", "give window_start and window_end"),
        ({"budget_soft_minor": "20", "budget_hard_minor": "10"}, "budget_soft_minor", "must not be above"),
        ({"voicemail_policy": "leave_message"}, "voicemail_message", "needed to leave a message"),
        ({"starts_at": "soon"}, "starts_at", "not a date and time"),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    place: Place, changed: dict[str, str], field: str, problem: str
) -> None:
    answer = place.client.post("/console/batches/new", {**FORM, "leads_from": "none", **changed})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert f'id="e-{field}"' in text
    assert problem in text
    assert 'value="Autumn"' in text
    assert not Batch.objects.exists()


def test_versions_are_weighed_against_each_other(place: Place) -> None:
    second = AgentVersion.objects.create(agent=place.agent, number=2, system_prompt="x")
    first = AgentVersion.objects.get(agent=place.agent, number=1)
    part = place.page(f"/console/batches/versions?agent_id={place.agent.pk}")
    assert f'name="weight-{second.pk}"' in part
    sent = {
        **FORM,
        "leads_from": "none",
        "agent_id": str(place.agent.pk),
        f"weight-{first.pk}": "3",
        f"weight-{second.pk}": "1",
    }
    place.client.post("/console/batches/new", sent)
    weights = BatchVersion.objects.order_by("weight").values_list("agent_version__number", "weight")
    assert list(weights) == [(2, 1), (1, 3)]
    foreign = dialing_rows.agent(rows.workspace("other"))
    assert "Choose an agent" in place.page(f"/console/batches/versions?agent_id={foreign.pk}")


def test_a_started_batch_changes_what_it_still_may(place: Place) -> None:
    batch = place.batch(draft=False)
    batches.run_due()
    text = place.page(f"/console/batches/{batch.pk}/edit")
    assert 'name="agent_id"' not in text
    sent = {"objective": "Call them", "name": "Winter", "concurrency": "9", "budget_hard_minor": "5"}
    answer = place.client.post(f"/console/batches/{batch.pk}/edit", sent)
    assert answer.status_code == 302
    batch.refresh_from_db()
    assert (batch.name, batch.objective, batch.concurrency, batch.budget_hard_minor) == (
        "Winter",
        "Call them",
        9,
        500,
    )
    assert batch.machine_detection
    batches.cancel(batch)
    over = place.client.post(f"/console/batches/{batch.pk}/edit", sent)
    assert over.status_code == 409
    assert "The batch is over." in over.content.decode()


# --- previewed, started, stopped ---


def test_a_preview_says_who_is_called_and_who_not_and_starts_nothing(place: Place) -> None:
    batch = place.batch(2)
    agreed = list(batch.recipients.values_list("lead_id", flat=True))
    silent = rows.lead(place.space, phone=dialing_rows.phone(50), first_name="Silent")
    Recipient.objects.create(workspace=place.space, batch=batch, lead=silent, position=9)
    answer = place.client.post(f"/console/batches/{batch.pk}/preview")
    text = text_of(answer.content.decode())
    assert "Called at once 2 " in text
    assert "Not called 1 " in text
    assert "No consent is recorded" in text
    assert "POST /api" not in text
    assert "fewer than 20 past calls" in text
    batch.refresh_from_db()
    assert batch.status == "draft"
    assert not Call.objects.exists()
    listed = place.page(f"/console/batches/{batch.pk}/prospects?when=never")
    assert f"/console/leads/{silent.pk}" in listed
    assert f"/console/leads/{agreed[0]}" not in listed


def test_a_batch_is_started_paused_resumed_and_canceled(place: Place) -> None:
    batch = place.batch()
    path = f"/console/batches/{batch.pk}"

    def do(verb: str, **sent: str) -> str:
        answer = place.client.post(f"{path}/{verb}", sent, follow=True)
        batch.refresh_from_db()
        return answer.content.decode()

    assert "Started." in do("start")
    batches.run_due()
    assert 'hx-trigger="every 2s"' in place.page(path)
    assert "An operator paused it: lunch" in text_of(do("pause", reason="lunch"))
    assert (batch.status, batch.pause_code) == ("paused", "operator")
    assert "Goes on." in do("resume")
    assert batch.status == "running"
    assert "Canceled." in do("cancel", reason="enough")
    assert (batch.status, batch.status_reason) == ("canceled", "enough")
    assert "The batch is over." in do("start")
    assert 'id="cancel"' not in place.page(path)
    actors = set(AuditEntry.objects.filter(object_type="batch").values_list("actor", flat=True))
    assert "user:ava@example.com" in actors


def test_a_draft_without_leads_says_so(place: Place) -> None:
    batch = batches.create(place.space, objective="x", draft=True).batch
    answer = place.client.post(f"/console/batches/{batch.pk}/start", follow=True)
    assert "Nobody is in the batch." in answer.content.decode()


def test_a_part_of_the_page_brings_new_controls_only_when_the_batch_has_moved(place: Place) -> None:
    batch = place.batch(draft=False)
    batches.run_due()
    same = place.page(f"/console/batches/{batch.pk}?part=1&was=running")
    assert "batch-controls" not in same
    assert 'id="recipients" hx-swap-oob="true"' in same
    assert "<html" not in same
    batches.pause(batch)
    moved = place.page(f"/console/batches/{batch.pk}?part=1&was=running")
    assert 'id="batch-controls" hx-swap-oob="true"' in moved
    assert "hx-trigger" not in moved


def test_what_is_deleted_meanwhile_is_said_to_be(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = place.batch()

    def gone(*_: Any, **__: Any) -> None:
        raise Batch.NotUpdated

    monkeypatch.setattr(BatchPage, "get", gone)
    assert "it has been deleted meanwhile" in place.page(f"/console/batches/{batch.pk}", status=404)


def test_one_lead_is_taken_out(place: Place) -> None:
    batch = place.batch()
    one = batch.recipients.first()
    assert one is not None
    place.client.post(f"/console/batches/{batch.pk}/recipients/{one.pk}/withdraw")
    one.refresh_from_db()
    assert one.status == "canceled"


def test_the_kill_switch_is_the_admins(place: Place) -> None:
    assert "Stop all calling" not in place.page("/console/batches")
    assert place.client.post("/console/batches/calling", {"paused": "1"}).status_code == 403
    boss = member(Role.ADMIN, place.space, "boss@example.com")
    boss.post("/console/batches/calling", {"paused": "1"})
    assert Workspace.objects.filter(pk=place.space.pk, calling_paused_at__isnull=False).exists()
    assert "Calling is paused" in place.page("/console/batches")
    boss.post("/console/batches/calling", {"paused": "0"})
    assert not Workspace.objects.filter(pk=place.space.pk, calling_paused_at__isnull=False).exists()
    switches.stop(actor="root", reason="maintenance")
    assert "All calling of this system is stopped" in place.page(f"/console/batches/{place.batch().pk}")


# --- what is shown ---


def finished(batch: Batch, one: Recipient, outcome: str) -> Call:
    at = timezone.now() - timedelta(hours=1)
    talked = outcome != "no-answer"
    Recipient.objects.filter(pk=one.pk).update(status="done", outcome=outcome, calls_made=1)
    return rows.call(
        batch.workspace,
        agent=AgentVersion.objects.get(agent=batch.agent, number=1),
        number=batch.number,
        direction="outbound",
        status=CallStatus.FINALIZED,
        outcome=outcome,
        end_reason=EndReason.CALLER_HANGUP if talked else EndReason.NO_ANSWER,
        batch=batch,
        recipient=one,
        lead=one.lead,
        placed_at=at,
        answered_at=at if talked else None,
        ended_at=at + timedelta(seconds=60),
        finalized_at=at + timedelta(seconds=70),
        duration_ms=60_000 if talked else None,
    )


def test_the_funnel_reasons_hours_and_versions_of_a_batch(place: Place) -> None:
    batch = place.batch(4)
    first, second, third, fourth = batch.recipients.order_by("position")
    finished(batch, first, "qualified")
    finished(batch, second, "no-answer")
    Recipient.objects.filter(pk=third.pk).update(
        status="refused", refusal_code="no_consent", refusal_detail="x"
    )
    text = text_of(place.page(f"/console/batches/{batch.pk}"))
    assert "Dialed 2 67 % of 3" in text
    assert "A person answered 1 50 % of 2 few" in text
    assert "No consent is recorded 1" in text
    assert "Version 1 – 2 50 % of 2 few 100 % of 1 few" in text
    page = place.page(f"/console/batches/{batch.pk}")
    assert f"/console/calls?batch_id={batch.pk}&amp;outcome=qualified" in page
    assert "?status=refused&amp;code=no_consent#recipients" in page
    refused = place.page(f"/console/batches/{batch.pk}?status=refused&code=no_consent")
    assert f"lead-{third.pk}" in refused
    assert f"lead-{fourth.pk}" not in refused
    assert 'role="alert"' in place.page(f"/console/batches/{batch.pk}?status=lost", status=422)


async def _lines(answer: Any) -> list[str]:
    return b"".join([chunk async for chunk in answer]).decode().splitlines()


@pytest.mark.django_db(transaction=True)
def test_all_results_come_as_a_file(place: Place) -> None:
    batch = place.batch(2)
    answer = place.client.get(f"/console/batches/{batch.pk}/results.csv")
    assert answer["Content-Type"].startswith("text/csv")
    header, *lines = async_to_sync(_lines)(answer)
    assert header.startswith("position,lead_id,lead_name")
    assert len(lines) == 2


def test_the_list_shows_progress_and_is_filtered(place: Place) -> None:
    batch = place.batch(4)
    finished(batch, batch.recipients.first(), "qualified")  # type: ignore[arg-type]
    text = place.page("/console/batches?q=autumn&status=draft")
    assert "1 of 4 done" in text
    assert "No batch matches" in place.page("/console/batches?status=running")
    assert 'role="alert"' in place.page("/console/batches?status=lost", status=422)


def test_the_number_of_queries_does_not_grow(place: Place) -> None:
    def count(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            place.page(path)
        return len(seen)

    batch = place.batch(20)
    everyone = list(batch.recipients.order_by("position"))
    finished(batch, everyone[0], "qualified")
    paths = (
        "/console/batches",
        f"/console/batches/{batch.pk}",
        f"/console/batches/{batch.pk}?part=1&was=draft",
    )
    for path in paths:
        count(path)
    few = [count(path) for path in paths]
    for one in everyone[1:12]:
        finished(batch, one, "unqualified")
    for _ in range(4):
        batches.create(place.space, objective="x", draft=True)
    assert [count(path) for path in paths] == few


@pytest.mark.parametrize(
    "path", ["", "/edit", "/prospects", "/preview", "/start", "/pause", "/resume", "/cancel"]
)
def test_a_batch_of_another_workspace_is_not_there(place: Place, path: str) -> None:
    foreign = Place.__new__(Place)
    foreign.space = dialing_rows.workspace()
    foreign.agent = dialing_rows.agent(foreign.space)
    foreign.number = dialing_rows.number(foreign.space, foreign.agent, "+14155550177")
    batch = batches.create(foreign.space, objective="x", draft=True).batch
    send = place.client.get if path in ("", "/edit", "/prospects") else place.client.post
    assert send(f"/console/batches/{batch.pk}{path}").status_code == 404


def test_who_only_reads_starts_nothing(place: Place) -> None:
    batch = place.batch()
    viewer: Client = member(Role.VIEWER, place.space, "viewer@example.com")
    text = viewer.get(f"/console/batches/{batch.pk}").content.decode()
    assert not re.search(r"/batches/[^/\"]+/(start|cancel|pause)\"", text)
    for verb in ("start", "pause", "resume", "cancel"):
        assert viewer.post(f"/console/batches/{batch.pk}/{verb}").status_code == 403
    assert viewer.get("/console/batches/new").status_code == 403
    assert viewer.post(f"/console/batches/{batch.pk}/preview").status_code == 200
