"""Every tool with every id that it takes, as another tenant's and as nobody's (promises.md D1, E2)."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rest_framework import serializers as f

from tenex.mcp.registry import Tool, catalog
from tests.api.world import Tenant

NOWHERE = "01900000-0000-7000-8000-000000000000"


def ids(tenant: Tenant) -> dict[str, Any]:
    """Argument -> this tenant's own. An argument that names a row and is not here fails the matrix."""
    return {
        "lead_ids": [str(tenant.lead.id)],
        "calendar_connector_id": str(tenant.calendar.id),
        "agent_id": str(tenant.agent.id),
        "number_id": str(tenant.number.id),
        "call_batch_id": str(tenant.batch.id),
        "call_id": str(tenant.call.id),
        "prefix": tenant.key_prefix,
    }


NOBODYS = {
    **dict.fromkeys(("calendar_connector_id", "agent_id", "number_id", "call_batch_id", "call_id"), NOWHERE),
    "lead_ids": [NOWHERE],
    "prefix": "zzzzzzzz",
}
_OTHERS: dict[str, Any] = {"objective": "Book a demo", "name": "n", "confirm": True, "query": "refunds"}
"""Required arguments that name no row, and those without which a tool only talks."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A call that is right but for `argument`: `theirs` is another tenant's, `nobodys` nobody's."""

    tool: Tool
    argument: str
    theirs: dict[str, Any]
    nobodys: dict[str, Any]


def arguments(tool: Tool, own: Tenant) -> dict[str, Any]:
    """Valid ones."""
    fields = tool.arguments().fields
    known = ids(own) | _OTHERS
    return {name: known[name] for name, one in fields.items() if one.required or name in _OTHERS}


def names_a_row(name: str, field: Any) -> bool:
    inner = field.child if isinstance(field, f.ListField) else field
    return (
        isinstance(inner, f.UUIDField) or name in {"prefix", "key", "slug"} or name.endswith(("_id", "_ids"))
    )


def cells(own: Tenant, other: Tenant) -> Iterator[Cell]:
    for tool in catalog().tools.values():
        right, foreign = arguments(tool, own), ids(other)
        for name, field in tool.arguments().fields.items():
            if names_a_row(name, field):
                yield Cell(tool, name, right | {name: foreign[name]}, right | {name: NOBODYS[name]})


def told_of(tenant: Tenant) -> list[str]:
    """What an answer to somebody else must never hold."""
    flat = [one for value in ids(tenant).values() for one in (value if isinstance(value, list) else [value])]
    return [*flat, str(tenant.workspace.id), str(uuid.UUID(str(tenant.owner.pk)))]
