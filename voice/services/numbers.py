"""Writing phone numbers: which agent answers, and where calls go when none can."""

import uuid
from typing import Any

from django.db import IntegrityError, transaction

from tenex.errors import Conflict, InvalidInput
from tenex.events import services as events
from tenex.lib import phone
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import Agent, PhoneNumber


def create(workspace: Workspace, data: dict[str, Any], actor: str) -> PhoneNumber:
    """Import a number that the carrier account has.

    Raises:
        InvalidInput: not a phone number, or no such agent.
        Conflict: the number is in use.
    """
    fields = _checked(workspace, data)
    e164 = phone.normalize(data["e164"], region=workspace.default_region, loc=("body", "e164"))
    with transaction.atomic():
        try:
            with transaction.atomic():
                number = PhoneNumber.objects.create(workspace=workspace, **{**fields, "e164": e164})
        except IntegrityError as exc:
            raise Conflict("this number is in use", code="number_taken") from exc
        audit.record(workspace.id, actor, "number.created", object_type="number", object_id=number.id)
        _announce(number)
    return number


def update(number: PhoneNumber, data: dict[str, Any], actor: str) -> PhoneNumber:
    """Route a number. The next call already goes to the new agent.

    Raises:
        InvalidInput: no such agent, or a fallback that is not a phone number.
    """
    fields = _checked(number.workspace, data)
    for name, value in fields.items():
        setattr(number, name, value)
    with transaction.atomic():
        number.save(update_fields=list(fields))
        audit.record(
            number.workspace_id,
            actor,
            "number.updated",
            object_type="number",
            object_id=number.id,
            data={"fields": sorted(data)},
        )
        _announce(number)
    return number


def _checked(workspace: Workspace, data: dict[str, Any]) -> dict[str, Any]:
    fields = dict(data)
    if fields.get("fallback_number"):
        fields["fallback_number"] = phone.normalize(
            fields["fallback_number"], region=workspace.default_region, loc=("body", "fallback_number")
        )
    if "agent_id" in fields:
        fields["agent"] = _agent(workspace, fields.pop("agent_id"))
    return fields


def _agent(workspace: Workspace, agent_id: uuid.UUID | None) -> Agent | None:
    if agent_id is None:
        return None
    agent = Agent.objects.filter(workspace=workspace, pk=agent_id, archived_at=None).first()
    if agent is None:
        raise InvalidInput("no such agent", loc=("body", "agent_id"), type_="missing")
    return agent


def _announce(number: PhoneNumber) -> None:
    events.record(
        workspace_id=number.workspace_id,
        type="number.updated",
        data={
            "number_id": str(number.id),
            "e164": number.e164,
            "label": number.label,
            "agent_id": str(number.agent_id) if number.agent_id else None,
            "fallback_number": number.fallback_number or None,
        },
    )
