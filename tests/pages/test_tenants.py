"""Every page: no session, the door; ids of another workspace, nothing; no scope, a refusal."""

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

import crm.pages.urls
import tenex.pages.urls
import voice.console.urls
from crm.calendars.availability import Period
from crm.models import Calendar, Chunk, Document, Lead, LeadImport, Meeting
from crm.services import calendars, knowledge
from tenex.workspaces.models import Membership, Role, User, Workspace
from tests import rows
from voice.models import Agent, Batch, Call, PhoneNumber, VoiceProfile

PATTERNS: list[URLPattern] = [
    *voice.console.urls.urlpatterns,
    *crm.pages.urls.urlpatterns,
    *tenex.pages.urls.urlpatterns,
]
PUBLIC = {
    "login",
    "logout",
    "setup",
    "join",
    "shared_call",
    "shared_peaks",
    "shared_recording",
    "voice_sample",
}
"""The door itself, and what has a credential in its address."""


def _paths(ids: dict[str, object], *, only_with_ids: bool) -> Iterator[tuple[str, str]]:
    """Name and address of every page, ids put in."""
    for pattern in PATTERNS:
        route = pattern.pattern
        known = {name: ids.get(name) for name in route.converters}
        if pattern.name in PUBLIC or (only_with_ids and not known):
            continue
        path = str(route)
        for name, value in known.items():
            assert value is not None, f"{pattern.name}: give this test an id for {name}"
            kind = type(route.converters[name]).__name__.removesuffix("Converter").lower()
            kind = {"string": "str"}.get(kind, kind)
            path = path.replace(f"<{kind}:{name}>", str(value))
        assert "<" not in path, path
        yield str(pattern.name), f"/console/{path}"


@pytest.fixture
def others() -> dict[str, object]:
    """One of everything in a workspace that is not the reader's."""
    space = rows.workspace("other")
    lead = rows.lead(space)
    call = rows.call(space, lead=lead)
    agent = Agent.objects.get(workspace=space)
    batch = Batch.objects.create(
        workspace=space, objective="x", agent=agent, number=PhoneNumber.objects.get(workspace=space)
    )
    read_in = LeadImport.objects.create(
        workspace=space, actor="user:o", columns=[], size_bytes=1, next_byte=0, next_line=1
    )
    document = knowledge.put(space, "Terms", "We refund within thirty days.")
    calendar = rows.calendar(space)
    start = timezone.now() + timedelta(days=1)
    meeting = calendars.book(calendar, Period(start, start + timedelta(minutes=30)), lead, now=timezone.now())
    return {
        "connector_id": calendar.pk, "meeting_id": meeting.pk,
        "call_id": call.pk, "agent_id": agent.pk, "batch_id": batch.pk, "lead_id": lead.pk,
        "import_id": read_in.pk, "profile_id": VoiceProfile.objects.get(workspace=space).pk,
        "share_id": uuid.uuid4(), "consent_id": uuid.uuid4(), "recipient_id": uuid.uuid4(),
        "recording_id": uuid.uuid4(),
        "hold_id": uuid.uuid4(), "user_id": uuid.uuid4(), "invitation_id": uuid.uuid4(),
        "document_id": document.pk, "chunk_id": Chunk.objects.get(document=document).pk,
        "number": 1, "key": "calls", "token": "x", "kind": "x", "act": "archive",
    }  # fmt: skip


def _member(space: Workspace, role: Role = Role.OWNER) -> Client:
    user = User.objects.create_user(f"{uuid.uuid4()}@example.com", "correct horse battery")
    Membership.objects.create(user=user, workspace=space, role=role)
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.django_db
def test_without_a_session_every_page_is_the_door(others: dict[str, object]) -> None:
    seen = 0
    for name, path in _paths(others, only_with_ids=False):
        for answer in (Client().get(path), Client().post(path)):
            if answer.status_code == 405:
                continue
            assert answer.status_code == 302, f"{name}: {answer.status_code}"
            assert answer["Location"].startswith("/console/login"), name
            seen += 1
    assert seen > 60


@pytest.mark.django_db
def test_ids_of_another_workspace_lead_nowhere(others: dict[str, object]) -> None:
    mine = rows.workspace("mine")
    client = _member(mine)
    before = _state(others)
    seen = 0
    for name, path in _paths(others, only_with_ids=True):
        answers = [
            client.get(path, follow=True),
            client.post(path, {"text": "x", "reason": "x"}),
        ]
        for answer in answers:
            if answer.status_code == 405:
                continue
            assert answer.status_code == 404, f"{name}: {answer.status_code}"
            seen += 1
    assert seen > 40
    assert _state(others) == before


def _state(ids: dict[str, object]) -> list[object]:
    tables = {
        "call_id": Call, "agent_id": Agent, "batch_id": Batch, "lead_id": Lead, "connector_id": Calendar,
        "meeting_id": Meeting, "document_id": Document,
    }  # fmt: skip
    return [list(table.objects.filter(pk=ids[name]).values()) for name, table in tables.items()]  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_who_only_looks_changes_nothing(others: dict[str, object]) -> None:
    """In their own workspace: every address that takes a POST refuses a viewer, or does nothing by it."""
    space = Workspace.objects.get(slug="other")
    client = _member(space, Role.VIEWER)
    before = _state(others)
    for name, path in _paths(others, only_with_ids=False):
        answer = client.post(path, {"text": "x", "reason": "x"})
        if name in {"batch_preview", "agent_preview"}:  # looks, whose questions are too long for an address
            continue
        assert answer.status_code in (302, 403, 404, 405, 422), f"{name}: {answer.status_code}"
        if answer.status_code == 302:
            assert name in {"choose_workspace"}, f"{name} let a viewer through"
    assert _state(others) == before
