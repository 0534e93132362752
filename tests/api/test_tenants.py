"""Another tenant's things do not exist (promises.md D1).

Every place where a request can name a row (tests.api.matrix finds them in the OpenAPI document), with the row
of another workspace: the answer is the one for an id that nobody has, byte for byte. A place that the matrix
does not know, and a route that is not described, fail.
"""

import uuid
from dataclasses import fields
from typing import Any

import pytest
from django.apps import apps
from django.db.models import Model

from tests.api import matrix
from tests.api.matrix import Answer, Request, Slot
from tests.api.routes import Route, all_routes
from tests.api.world import Api, Tenant
from voice.models import Call

ROUTES = all_routes()
NOWHERE = uuid.UUID(matrix.NOWHERE)


def ids(tenant: Tenant) -> dict[str, str]:
    """Name of a parameter or field -> this tenant's own: what the world has of everything, under its name."""
    found = {
        "key": tenant.key_prefix,
        "user_id": str(tenant.owner.id),
        "organization_id": str(tenant.lead.company_id),
        "agent_version_id": str(tenant.agent.current_version_id),
        "number": "1",
    }
    for one in fields(tenant):
        value = getattr(tenant, one.name)
        if isinstance(value, Model):
            found[f"{one.name}_id"] = str(value.pk)
        elif isinstance(value, uuid.UUID):
            found[one.name] = str(value)
        elif isinstance(value, dict):
            found |= value
    return found


def fill(route: Route, values: dict[str, str]) -> str:
    return route.path.format_map(values)


def everything() -> dict[str, list[Any]]:
    """All rows of all tenants, but for the note that somebody exported their own leads."""
    found = {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models()
        if model._meta.app_label in ("workspaces", "events", "webhooks", "crm", "voice")
    }
    audit = found["workspaces.AuditEntry"]
    found["workspaces.AuditEntry"] = [row for row in audit if row["action"] != "leads.exported"]
    return found


def asker(api: Api) -> matrix.Ask:
    def ask(request: Request) -> Answer:
        answer: Any = api.request(
            request.method, request.path, request.body, content_type=request.content_type
        )
        body = b"" if answer.streaming else answer.content
        return Answer(answer.status_code, dict(answer.headers), body)

    return ask


def check(alice: Tenant, charlie: Tenant, slots: list[Slot]) -> None:
    assert slots
    own, other = ids(alice), ids(charlie)
    secrets = [value for value in other.values() if len(value) > 7] + [charlie.workspace.slug]
    before = everything()
    found = [
        problem
        for slot in slots
        for problem in matrix.problems(
            slot, matrix.known(other, slot.kind), own, asker(alice.api), secrets=secrets
        )
    ]
    assert found == []
    assert everything() == before


def test_an_id_of_another_workspace_is_an_id_that_does_not_exist(alice: Tenant, charlie: Tenant) -> None:
    check(alice, charlie, [slot for slot in matrix.slots() if not slot.operation.runs_in_threads])


@pytest.mark.django_db(transaction=True)
def test_nor_does_it_for_what_is_streamed(alice: Tenant, charlie: Tenant) -> None:
    check(alice, charlie, [slot for slot in matrix.slots() if slot.operation.runs_in_threads])


def test_every_route_is_in_the_matrix() -> None:
    described = {(one.path, one.method) for one in matrix.operations()}
    assert described == {(route.path, method) for route in ROUTES for method in route.methods}
    places = {(slot.operation.path, slot.name) for slot in matrix.slots() if slot.place == "path"}
    for route in ROUTES:
        for name in route.parameters:
            assert (route.path, name) in places or name == "number", f"{route.path}: {name}"


def test_the_matrix_sees_ids_at_any_depth() -> None:
    found = {(slot.operation.id, slot.place, slot.name) for slot in matrix.slots()}
    assert {
        ("calls_get", "path", "call_id"),
        ("calls_list", "query", "batch_id"),
        ("batches_create", "body", "lead_ids"),
        ("leads_update", "body", "organization_id"),
    } <= found


def test_the_tenants_own_ids_are_found(alice: Tenant) -> None:
    """So that the matrix does not pass because its requests make no sense."""
    own = ids(alice)
    for one in matrix.operations():
        if one.method == "GET" and not one.runs_in_threads:
            answer = asker(alice.api)(matrix.plain(one, own))
            assert answer.status not in (401, 403, 404, 405, 422), f"{one.id}: {answer.body!r}"


@pytest.mark.parametrize(
    "path",
    [
        one.path
        for one in matrix.operations()
        if one.method == "GET" and not one.runs_in_threads and "{" not in one.path
    ],
)
def test_a_list_holds_only_what_is_its_own(alice: Tenant, charlie: Tenant, path: str) -> None:
    one = next(one for one in matrix.operations() if (one.path, one.method) == (path, "GET"))
    text = asker(alice.api)(matrix.plain(one, ids(alice))).body.decode()
    for value in ids(charlie).values():
        assert value == "1" or value not in text
    assert str(charlie.workspace.id) not in text
    assert charlie.workspace.slug not in text


def test_a_cursor_of_another_tenant_is_garbage(alice: Tenant, charlie: Tenant) -> None:
    for tenant in (alice, charlie):
        Call.objects.create(workspace=tenant.workspace, direction="inbound", from_number="+1", to_number="+2")
    cursor = charlie.api.get("/api/v1/voice/calls?limit=1").json()["next_cursor"]
    assert charlie.api.get(f"/api/v1/voice/calls?limit=1&cursor={cursor}").status_code == 200
    assert alice.api.get(f"/api/v1/voice/calls?limit=1&cursor={cursor}").status_code == 422
