"""Leads: the list and its filters, the form, the import of a file, the page of one and what is done there."""

import io
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.models import Consent, CustomField, Lead, LeadImport, Segment
from crm.services import import_run
from tenex.workspaces.models import AuditEntry, Role, Workspace
from tests import rows
from tests.pages.people import member
from tests.pages.test_dashboard import text_of
from voice.models import Agent, Call, Decision, NumberStatus, PhoneNumber

pytestmark = pytest.mark.django_db


@pytest.fixture
def space() -> Workspace:
    return rows.workspace(time_zone="America/New_York")


@pytest.fixture
def client(space: Workspace) -> Client:
    return member(Role.OPERATOR, space)


def page(client: Client, path: str, *, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return answer.content.decode()


# --- the list ---


def test_the_list_is_found_by_name_number_and_firm_and_filtered(client: Client, space: Workspace) -> None:
    rows.lead(space, first_name="Maria", last_name="Lopez", company_name="Acme")
    ben = rows.lead(space, first_name="Ben", phone="+14155550102", stage="qualified")
    rows.agree(ben)
    rows.lead(rows.workspace("other"), first_name="Foreign", phone="+14155550103")
    assert "Foreign" not in page(client, "/console/leads")
    for query, there, gone in [
        ("q=lop", "Maria", "Ben"),
        ("q=(415)+555-0102", "Ben", "Maria"),
        ("q=acme", "Maria", "Ben"),
        ("stage=qualified", "Ben", "Maria"),
        ("consent=marketing", "Ben", "Maria"),
        ("q=&stage=&consent=marketing", "Ben", "Maria"),
    ]:
        text = page(client, f"/console/leads?{query}")
        assert there in text
        assert gone not in text
    assert "No lead matches" in page(client, "/console/leads?q=zebulon")


def test_the_list_has_pages_and_the_same_number_of_queries(client: Client, space: Workspace) -> None:
    def queries(path: str) -> tuple[int, str]:
        with CaptureQueriesContext(connection) as seen:
            text = page(client, path)
        return len(seen), text

    rows.agree(rows.lead(space))
    page(client, "/console/leads")
    few, text = queries("/console/leads")
    assert 'rel="next"' not in text
    made = [rows.lead(space, first_name=f"Lead {n}", phone=f"+1415555{n:04}") for n in range(200, 260)]
    rows.agree(*made)
    many, text = queries("/console/leads")
    assert many == few
    [further] = re.findall(r'href="(\?cursor=[^"]+)" rel="next"', text)
    assert "Maria" in page(client, f"/console/leads{further}")


def test_a_wrong_filter_is_said(client: Client) -> None:
    assert 'role="alert"' in page(client, "/console/leads?stage=lost", status=422)


def test_filters_are_kept_as_a_segment(client: Client, space: Workspace) -> None:
    rows.lead(space, stage="qualified")
    rows.lead(space, phone="+14155550102", first_name="Ben")
    answer = client.post("/console/leads/segments?stage=qualified&has_phone=true", {"name": "Warm"})
    segment = Segment.objects.get()
    assert answer["Location"] == f"/console/leads?segment_id={segment.pk}"
    assert segment.rules == {
        "all": [
            {"field": "stage", "op": "eq", "value": "qualified"},
            {"field": "phone", "op": "is_set", "value": True},
        ]
    }
    text = page(client, answer["Location"])
    assert f"/console/batches/new?segment_id={segment.pk}" in text
    assert "Maria" in text
    assert "Ben" not in text
    again = client.post("/console/leads/segments?stage=qualified", {"name": "Warm"}, follow=True)
    assert "No segment was made" in again.content.decode()
    archived = client.post("/console/leads/segments?archived=true", {"name": "Old"}, follow=True)
    assert "cannot have this condition" in archived.content.decode()


# --- the form ---


def test_a_lead_is_added_and_changed(client: Client, space: Workspace) -> None:
    CustomField.objects.create(workspace=space, key="seats", type="number", label="Seats")
    sent = {
        "first_name": "Maria",
        "phone": "415 555 0101",
        "company_name": "Acme",
        "custom.seats": "40",
        "stage": "new",
    }
    answer = client.post("/console/leads/new", sent)
    lead = Lead.objects.get()
    assert answer["Location"] == f"/console/leads/{lead.pk}"
    assert (lead.phone, lead.company and lead.company.name, lead.custom) == (
        "+14155550101",
        "Acme",
        {"seats": 40},
    )
    form = page(client, f"/console/leads/{lead.pk}/edit")
    assert 'value="40"' in form
    changed = {**sent, "company_name": "", "custom.seats": "", "last_name": "Lopez"}
    client.post(f"/console/leads/{lead.pk}/edit", changed)
    lead.refresh_from_db()
    assert (lead.last_name, lead.company, lead.custom) == ("Lopez", None, {})
    assert "Saved." in page(client, f"/console/leads/{lead.pk}")


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("phone", "12", "e-phone"),
        ("email", "nobody", "not an e-mail address"),
        ("time_zone", "Mars/Base", "not an IANA time zone name"),
        ("country", "Atlantis", "not a country"),
        ("custom.seats", "many", "must be a number"),
        ("owner_id", "7", "no such user"),
        ("stage", "lost", "must be one of"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_what_was_typed_is_kept(
    client: Client, space: Workspace, field: str, value: str, problem: str
) -> None:
    CustomField.objects.create(workspace=space, key="seats", type="number")
    answer = client.post("/console/leads/new", {"first_name": "Maria", field: value})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert problem in text
    assert f'id="e-{field}"' in text
    assert 'value="Maria"' in text
    assert not Lead.objects.exists()


def test_a_number_that_a_lead_has_leads_to_that_lead(client: Client, space: Workspace) -> None:
    there = rows.lead(space)
    answer = client.post("/console/leads/new", {"first_name": "Ben", "phone": "+14155550101"})
    assert answer.status_code == 409
    assert f"/console/leads/{there.pk}" in answer.content.decode()


# --- the import ---

FILE = (
    b"Full Name;Mobile;Tier\n"
    b"Maria Lopez;+1 415 555 0101;gold\n"
    b"Ben;not a number;gold\n"
    b"Ada Day;+1 415 555 0103;tin\n"
)


def upload(content: bytes = FILE, name: str = "leads.csv") -> Any:
    file = io.BytesIO(content)
    file.name = name
    return file


def test_the_columns_of_a_file_are_guessed_with_its_first_rows(client: Client, space: Workspace) -> None:
    CustomField.objects.create(workspace=space, key="plan", type="text", label="Plan")
    answer = client.post("/console/leads/import/columns", {"file": upload()})
    text = answer.content.decode()
    chosen = re.findall(r'name="column-(\d)".*?<option value="([^"]+)" selected', text, re.DOTALL)
    assert chosen == [("0", "full_name"), ("1", "phone"), ("2", "-")]
    assert "separated by semicolon" in text
    assert "Maria Lopez" in text
    assert '<option value="custom.plan">Plan</option>' in text
    assert not LeadImport.objects.exists()
    unknown = client.post("/console/leads/import/columns", {"file": upload(b"a,b\n1,2\n")})
    assert "No column is known" in unknown.content.decode()
    zipped = client.post("/console/leads/import/columns", {"file": upload(b"PK\x03\x04....")})
    assert "ZIP file" in zipped.content.decode()


def test_a_file_is_imported_as_its_columns_were_named_and_bad_rows_are_shown(
    client: Client, space: Workspace
) -> None:
    CustomField.objects.create(workspace=space, key="plan", type="choice", choices=["gold", "silver"])
    sent = {
        "file": upload(),
        "on_duplicate": "update",
        "header-0": "Full Name",
        "column-0": "full_name",
        "header-1": "Mobile",
        "column-1": "phone",
        "header-2": "Tier",
        "column-2": "custom.plan",
    }
    answer = client.post("/console/leads/import", sent)
    row = LeadImport.objects.get()
    assert answer["Location"] == f"/console/leads/imports/{row.pk}"
    assert 'hx-trigger="every 1s"' in page(client, answer["Location"])
    while import_run.run(row.pk):
        pass
    text = page(client, answer["Location"])
    assert "hx-trigger" not in text
    assert "New leads 1 " in text_of(text)
    assert "must be one of gold, silver" in text
    assert re.search(r"Line.*Mobile.*Tier", text_of(text))
    assert Lead.objects.get().custom == {"plan": "gold"}
    errors = client.get(f"{answer['Location']}/errors.csv")
    assert errors["Content-Type"].startswith("text/csv")
    late = client.post(f"{answer['Location']}/cancel", follow=True)
    assert "The import is over" in late.content.decode()


def test_a_check_alone_writes_no_lead(client: Client) -> None:
    client.post("/console/leads/import", {"file": upload(), "dry_run": "1"})
    row = LeadImport.objects.get()
    while import_run.run(row.pk):
        pass
    assert "Would be new 2 " in text_of(page(client, f"/console/leads/imports/{row.pk}"))
    assert not Lead.objects.exists()


def test_an_import_is_stopped(client: Client) -> None:
    client.post("/console/leads/import", {"file": upload()})
    row = LeadImport.objects.get()
    client.post(f"/console/leads/imports/{row.pk}/cancel")
    row.refresh_from_db()
    assert row.status == "canceled"


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({}, "Choose a CSV file."),
        ({"file": upload(b"\n"), "on_duplicate": "skip"}, "The first line is empty"),
        ({"file": upload(), "on_duplicate": "merge"}, "There is no such choice."),
        ({"file": upload(), "header-0": "Full Name", "column-0": "nonsense"}, "Full Name: no such field."),
    ],
)
def test_a_file_that_cannot_be_read_says_why(client: Client, sent: dict[str, Any], problem: str) -> None:
    answer = client.post("/console/leads/import", sent)
    assert answer.status_code == 422
    assert problem in answer.content.decode()


# --- one lead ---


@pytest.fixture
def ready(space: Workspace, settings: Any) -> Lead:
    """A lead in a workspace that can call."""
    settings.OPENAI_API_KEY = "sk-test"
    agent = rows.version(space)
    PhoneNumber.objects.create(
        workspace=space, e164="+14155550100", agent=agent.agent, status=NumberStatus.ACTIVE
    )
    return rows.lead(space, time_zone="America/New_York")


@pytest.fixture
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    _clock(monkeypatch, 17)


@pytest.fixture
def _night(monkeypatch: pytest.MonkeyPatch) -> None:
    _clock(monkeypatch, 7)


def _clock(monkeypatch: pytest.MonkeyPatch, hour: int) -> None:
    """The instant that decisions are about: a Tuesday at this hour of UTC."""
    from voice.services import eligibility

    at = datetime(2030, 6, 4, hour, tzinfo=UTC)
    monkeypatch.setattr(eligibility, "timezone", SimpleNamespace(now=lambda: at))


def test_a_lead_without_consent_is_not_called_and_the_reason_is_shown(client: Client, ready: Lead) -> None:
    assert "No: No consent to marketing calls holds." in text_of(page(client, f"/console/leads/{ready.pk}"))
    answer = client.post(f"/console/leads/{ready.pk}/call", follow=True)
    assert "Not called: No consent to marketing calls holds." in answer.content.decode()
    assert '<div class="notice" data-tone="bad" role="status">' in answer.content.decode()
    assert not Call.objects.exists()
    assert Decision.objects.get().code == "no_consent"


@pytest.mark.usefixtures("_night")
def test_at_night_it_is_said_from_when_on_and_the_call_can_wait(client: Client, ready: Lead) -> None:
    rows.agree(ready)
    text = text_of(page(client, f"/console/leads/{ready.pk}"))
    assert "Not now: Outside the calling hours of the lead. From Jun 4 2030, 12:00 on." in text
    answer = client.post(f"/console/leads/{ready.pk}/call", follow=True)
    assert "It may be called from Tue Jun 4, 12:00 (EDT)." in answer.content.decode()
    assert not Call.objects.exists()
    client.post(f"/console/leads/{ready.pk}/call", {"when": "later"})
    assert Call.objects.get().status == "queued"


@pytest.mark.usefixtures("_noon")
def test_who_agreed_is_called_within_hours(client: Client, space: Workspace, ready: Lead) -> None:
    rows.agree(ready)
    assert "Yes, now." in text_of(page(client, f"/console/leads/{ready.pk}"))
    answer = client.post(f"/console/leads/{ready.pk}/call", {"objective": "Say hello"}, follow=True)
    assert "is being dialed" in answer.content.decode()
    call = Call.objects.get()
    assert (call.lead, call.objective, call.status) == (ready, "Say hello", "queued")
    foreign = rows.version(rows.workspace("other"))
    wrong = client.post(f"/console/leads/{ready.pk}/call", {"agent_id": str(foreign.agent_id)})
    assert wrong.status_code == 422
    assert "there is no such agent" in wrong.content.decode()


def test_consents_are_recorded_and_revoked(client: Client, space: Workspace, ready: Lead) -> None:
    path = f"/console/leads/{ready.pk}/consents"
    given = {"purpose": "marketing", "given_at": "2026-01-02T03:04"}
    wrong = client.post(path, {**given, "source": "", "proof": "Yes"})
    assert wrong.status_code == 422
    assert "say where it was given" in wrong.content.decode()
    assert "Yes</textarea>" in wrong.content.decode()
    late = client.post(path, {"purpose": "marketing", "source": "form", "given_at": "2099-01-02T03:04"})
    assert "must not be in the future" in late.content.decode()
    client.post(path, {**given, "source": "form"})
    one = Consent.objects.get()
    assert one.given_at == datetime(2026, 1, 2, 8, 4, tzinfo=UTC)  # New York
    assert one.recorded_by == "user:ava@example.com"
    client.post(f"{path}/{one.pk}/revoke", {"reason": "asked"})
    one.refresh_from_db()
    assert one.revoked_at is not None
    assert AuditEntry.objects.filter(action="consent.revoked").exists()


def test_a_number_that_is_never_called_again_stays_so(client: Client, ready: Lead) -> None:
    rows.agree(ready)
    client.post(f"/console/leads/{ready.pk}/do-not-call", {"reason": "wrote an e-mail"})
    text = page(client, f"/console/leads/{ready.pk}")
    assert "The lead asked not to be called." in text
    assert 'data-open="stop"' not in text
    answer = client.post(f"/console/leads/{ready.pk}/call", follow=True)
    assert "asked not to be called" in answer.content.decode()


def test_notes_and_the_archive(client: Client, ready: Lead) -> None:
    client.post(f"/console/leads/{ready.pk}/notes", {"text": "<b>Called back</b>"})
    assert "&lt;b&gt;Called back&lt;/b&gt;" in page(client, f"/console/leads/{ready.pk}")
    assert client.post(f"/console/leads/{ready.pk}/notes", {"text": " "}).status_code == 422
    client.post(f"/console/leads/{ready.pk}/archive")
    assert "Archived" in page(client, f"/console/leads/{ready.pk}")
    assert "Maria" not in page(client, "/console/leads")
    client.post(f"/console/leads/{ready.pk}/unarchive")
    assert "Maria" in page(client, "/console/leads")


def test_the_page_shows_calls_and_verdicts_with_the_same_number_of_queries(
    client: Client, space: Workspace, ready: Lead
) -> None:
    version = Agent.objects.get(workspace=space).current_version

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            page(client, f"/console/leads/{ready.pk}")
        return len(seen)

    rows.call(space, agent=version, lead=ready)
    queries()
    few = queries()
    for n in range(5):
        rows.call(space, agent=version, lead=ready, created_at=timezone.now() - timedelta(days=n))
        rows.agree(ready)
    assert queries() == few


@pytest.mark.parametrize(
    "path",
    ["", "/edit", "/call", "/notes", "/consents", "/do-not-call", "/archive", "/unarchive"],
)
def test_a_lead_of_another_workspace_is_not_there(client: Client, path: str) -> None:
    foreign = rows.lead(rows.workspace("other"))
    send = client.get if path in ("", "/edit") else client.post
    assert send(f"/console/leads/{foreign.pk}{path}").status_code == 404


def test_who_only_reads_changes_nothing(space: Workspace, ready: Lead) -> None:
    viewer = member(Role.VIEWER, space, "viewer@example.com")
    text = page(viewer, f"/console/leads/{ready.pk}")
    assert "Call now" not in text
    assert "Do not call" not in text
    for path in ("call", "notes", "consents", "do-not-call", "archive"):
        assert viewer.post(f"/console/leads/{ready.pk}/{path}").status_code == 403
    for path in ("new", "import"):
        assert viewer.get(f"/console/leads/{path}").status_code == 403


def test_what_changes_something_is_no_link(client: Client, ready: Lead) -> None:
    assert client.get(f"/console/leads/{ready.pk}/archive").status_code == 405


def test_every_form_needs_its_token(space: Workspace, ready: Lead) -> None:
    strict = member(Role.OWNER, space, csrf=True)
    assert strict.post(f"/console/leads/{ready.pk}/archive").status_code == 403
