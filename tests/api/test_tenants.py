"""Another tenant's things do not exist (promises.md D1).

Every route and method with the ids of another workspace: the answer is the one for an id that nobody has,
byte for byte. A route with a parameter, or a body field with an id, that this matrix does not know fails it.
"""

import uuid
from typing import Any

import pytest
from django.db.models import Model
from rest_framework import serializers

from crm.models import Lead, TimelineEntry
from tenex.rest.serializers import Input
from tenex.webhooks.models import WebhookSubscription
from tenex.workspaces.models import ApiKey
from tests.api.routes import Route, all_routes
from tests.api.world import Tenant
from voice.models import Agent, AgentVersion, Batch, Call, PhoneNumber, Recipient, Recording, VoiceProfile

ROUTES = all_routes()
WITH_ID = [(route, method) for route in ROUTES if route.parameters for method in route.methods]
IN_THREADS = [one for one in WITH_ID if one[0].path.endswith(("/stream", "/media"))]
"""They read in threads of their own, which see only what is committed."""
NOWHERE = uuid.UUID("01900000-0000-7000-8000-000000000000")

BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/voice/calls/{call_id}/say": {"text": "Hello"},
    "/api/v1/voice/calls/{call_id}/transfer": {"to": "+14155550199"},
    "/api/v1/voice/batches/{batch_id}/leads": {"lead_ids": [str(NOWHERE)]},
    "/api/v1/voice/agents/{agent_id}": {"name": "Taken over"},
    "/api/v1/voice/profiles/{profile_id}": {"name": "Taken over"},
    "/api/v1/voice/numbers/{number_id}": {"label": "Taken over"},
    "/api/v1/voice/webhooks/{webhook_id}": {"description": "Taken over"},
    "/api/v1/crm/leads/{lead_id}": {"first_name": "Taken over"},
}
"""Valid bodies, so that nothing but the id is wrong."""


def ids(tenant: Tenant) -> dict[str, str]:
    """Path parameter -> this tenant's own."""
    return {
        "call_id": str(tenant.call.id),
        "recording_id": str(tenant.recording.id),
        "session_id": str(tenant.session.id),
        "batch_id": str(tenant.batch.id),
        "agent_id": str(tenant.agent.id),
        "profile_id": str(tenant.profile.id),
        "number_id": str(tenant.number.id),
        "webhook_id": str(tenant.webhook_id),
        "lead_id": str(tenant.lead.id),
        "key": tenant.key_prefix,
        "number": "1",
    }


def fill(route: Route, values: dict[str, str]) -> str:
    return route.path.format_map(values)


def nobodys() -> dict[str, str]:
    return {
        name: str(NOWHERE) for name in ("call_id", "recording_id", "session_id", "batch_id", "agent_id")
    } | {
        "profile_id": str(NOWHERE),
        "number_id": str(NOWHERE),
        "webhook_id": str(NOWHERE),
        "lead_id": str(NOWHERE),
        "key": "zzzzzzzz",
        "number": "1",
    }


_KEPT: tuple[type[Model], ...] = (
    Agent, AgentVersion, ApiKey, Batch, Call, Lead, PhoneNumber, Recipient, Recording, TimelineEntry,
    VoiceProfile, WebhookSubscription,
)  # fmt: skip


def everything() -> list[Any]:
    return [list(model._default_manager.order_by("pk").values()) for model in _KEPT]


@pytest.mark.parametrize(
    ("route", "method"),
    [one for one in WITH_ID if one not in IN_THREADS],
    ids=lambda one: getattr(one, "path", one),
)
def test_an_id_of_another_workspace_is_an_id_that_does_not_exist(
    alice: Tenant, charlie: Tenant, route: Route, method: str
) -> None:
    check_foreign_id(alice, charlie, route, method)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("route", "method"), IN_THREADS, ids=lambda one: getattr(one, "path", one))
def test_nor_does_it_for_what_is_streamed(alice: Tenant, charlie: Tenant, route: Route, method: str) -> None:
    check_foreign_id(alice, charlie, route, method)


def check_foreign_id(alice: Tenant, charlie: Tenant, route: Route, method: str) -> None:
    alice.api.get("/api/v1/voice/settings")  # the key's first use is noted
    before = everything()
    body = BODIES.get(route.path) if method in ("POST", "PATCH", "PUT") else None
    theirs = alice.api.request(method, fill(route, ids(charlie)), body)
    nowhere = alice.api.request(method, fill(route, nobodys()), body)
    expected = 401 if "recording_id" in route.parameters else 404  # played by token only
    assert theirs.status_code == nowhere.status_code == expected, theirs.content
    assert theirs.content == nowhere.content
    assert set(theirs.headers) == set(nowhere.headers)
    assert everything() == before


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if "GET" in r.methods and not r.parameters], ids=lambda route: route.path
)
def test_a_list_holds_only_what_is_its_own(alice: Tenant, charlie: Tenant, route: Route) -> None:
    answer = alice.api.get(route.path)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert str(alice.workspace.id) in text or answer.json()["items"] or "suppressions" in route.path
    for value in ids(charlie).values():
        assert value == "1" or value not in text
    assert str(charlie.workspace.id) not in text


def foreign_bodies(own: Tenant, other: Tenant) -> dict[tuple[str, str], dict[str, Any]]:
    """(route, field) -> a body that is right but for this field, which is another tenant's."""
    lead, agent = str(own.lead.id), str(own.agent.id)
    session = {"agent_id": agent, "lead_id": lead}
    batch = {"lead_ids": [lead], "objective": "Book a demo", "agent_id": agent}
    their = {
        "agent_id": str(other.agent.id),
        "lead_id": str(other.lead.id),
        "lead_ids": [str(other.lead.id)],
        "number_id": str(other.number.id),
        "profile_id": str(other.profile.id),
        "calendar_id": str(other.calendar.id),
        "calendar_connector_id": str(other.calendar.id),
        "owner_id": str(other.owner.id),
        "organization_id": str(NOWHERE),
    }
    bases: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
        "/api/v1/voice/sessions": (session, ("agent_id", "lead_id", "number_id", "calendar_connector_id")),
        "/api/v1/voice/batches": (
            batch,
            ("agent_id", "lead_ids", "number_id", "calendar_connector_id"),
        ),
        "/api/v1/voice/batches/{batch_id}/leads": ({}, ("lead_ids",)),
        "/api/v1/voice/agents": ({"name": "B", "system_prompt": "x"}, ("profile_id", "calendar_id")),
        "/api/v1/voice/agents/{agent_id}": ({}, ("profile_id", "calendar_id")),
        "/api/v1/voice/numbers": ({"e164": "+14155550188"}, ("agent_id",)),
        "/api/v1/voice/numbers/{number_id}": ({}, ("agent_id",)),
        "/api/v1/crm/leads": ({}, ("owner_id", "organization_id")),
        "/api/v1/crm/leads/{lead_id}": ({}, ("owner_id", "organization_id")),
    }
    return {
        (path, field): {**base, field: their[field]}
        for path, (base, fields) in bases.items()
        for field in fields
    }


def test_an_id_of_another_workspace_in_a_body_is_missing(alice: Tenant, charlie: Tenant) -> None:
    before = Call.objects.count(), Batch.objects.count(), Agent.objects.count()
    for (path, field), body in foreign_bodies(alice, charlie).items():
        route = next(one for one in ROUTES if one.path == path)
        method = "PATCH" if "PATCH" in route.methods else "POST"
        nowhere = {**body, field: [str(NOWHERE)] if field.endswith("ids") else str(NOWHERE)}
        answers = [alice.api.request(method, fill(route, ids(alice)), one) for one in (body, nowhere)]
        assert [one.status_code for one in answers] == [422, 422], (path, field, answers[0].content)
        errors = [one.json()["detail"] for one in answers]  # type: ignore[attr-defined]
        assert errors[0] == errors[1]
        assert errors[0][0]["type"] == "missing"
        assert errors[0][0]["loc"][:2] == ["body", field]
    assert (Call.objects.count(), Batch.objects.count(), Agent.objects.count()) == before


def test_every_body_field_that_names_a_row_is_in_the_matrix(alice: Tenant, charlie: Tenant) -> None:
    known = {field for _, field in foreign_bodies(alice, charlie)}
    for form in _subclasses(Input):
        if form.__module__.endswith((".mcp", "mcp.forms")):
            continue  # tests/mcp/test_tools.py
        for name, field in form().fields.items():
            inner = field.child if isinstance(field, serializers.ListField) else field
            if isinstance(inner, serializers.UUIDField):
                assert name in known, f"{form.__name__}.{name}"


def _subclasses(kind: type[Input]) -> list[type[Input]]:
    return [one for direct in kind.__subclasses__() for one in (direct, *_subclasses(direct))]


def test_a_cursor_of_another_tenant_is_garbage(alice: Tenant, charlie: Tenant) -> None:
    for tenant in (alice, charlie):
        Call.objects.create(workspace=tenant.workspace, direction="inbound", from_number="+1", to_number="+2")
    cursor = charlie.api.get("/api/v1/voice/calls?limit=1").json()["next_cursor"]
    assert charlie.api.get(f"/api/v1/voice/calls?limit=1&cursor={cursor}").status_code == 200
    assert alice.api.get(f"/api/v1/voice/calls?limit=1&cursor={cursor}").status_code == 422
