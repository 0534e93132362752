"""Writing phone numbers: buying, importing, routing, giving up.

Here are rows only. What must be done at the carrier is left in them (`pending`, `releasing`) and carried out
after commit by :mod:`voice.services.number_orders`.
"""

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from tenex.errors import Conflict, InvalidInput
from tenex.events import services as events
from tenex.lib import phone
from tenex.lib.wake import wake
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import Agent, Batch, Call, NumberSource, NumberStatus, PhoneNumber
from voice.models.batches import OPEN
from voice.models.calls import LIVE
from voice.services import accounts, parts
from voice.telephony.client import CarrierNumber
from voice.telephony.errors import CarrierGone

SETTLE = "voice.numbers.settle"
"""Name of the task that does what is due at the carrier."""


def create(workspace: Workspace, data: dict[str, Any], actor: str) -> PhoneNumber:
    """Buy a number (`buy`), import one of the carrier account, or (`configure` false) only write it down.

    `data`: e164 or provider_sid, label, agent_id, calendar_id, fallback_number, buy, configure. A number that
    is bought or set up is `pending` until the carrier has answered; `number.updated` tells.

    Raises:
        InvalidInput: not a phone number, not of the carrier account, or no such agent or calendar.
        Conflict: the number is in use.
        CarrierError: an import, and the carrier does not answer.
    """
    fields = _checked(workspace, {k: v for k, v in data.items() if k not in ("buy", "configure")})
    if raw := fields.get("e164", ""):
        fields["e164"] = phone.normalize(raw, region=workspace.default_region, loc=("body", "e164"))
    if data.get("buy"):
        fields |= {"source": NumberSource.BOUGHT, "status": NumberStatus.PENDING}
        accounts.of_workspace(workspace.pk)  # refused here if there is no account to buy with
    elif data.get("configure", True):
        found = _of_the_account(workspace, fields.get("e164", ""), fields.get("provider_sid", ""))
        fields |= {
            "e164": found.e164,
            "provider_sid": found.sid,
            "capabilities": found.capabilities,
            "source": NumberSource.IMPORTED,
            "status": NumberStatus.PENDING,
        }
    fields["account_sid"] = accounts.own_sid(workspace.pk)
    if fields.get("status") == NumberStatus.PENDING:
        fields["next_at"] = timezone.now()
    with transaction.atomic():
        number = _insert(workspace, fields)
        audit.record(
            workspace.id,
            actor,
            "number.ordered" if data.get("buy") else "number.created",
            object_type="number",
            object_id=number.id,
            data={"e164": number.e164, "source": number.source},
        )
        if number.status == NumberStatus.PENDING:
            wake(SETTLE)
        announce(number)
    return number


def update(number: PhoneNumber, data: dict[str, Any], actor: str) -> PhoneNumber:
    """Route a number. The next call already goes to the new agent.

    Raises:
        InvalidInput: no such agent or calendar, or a fallback that is not a phone number.
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
        announce(number)
    return number


def release(number: PhoneNumber, *, at_carrier: bool, actor: str) -> PhoneNumber:
    """Give a number up; with `at_carrier` it goes back to the carrier, and cannot be had again.

    Raises:
        Conflict: an open batch or a live call uses it, or it is being bought.
    """
    with transaction.atomic():
        locked = PhoneNumber.objects.select_for_update().get(pk=number.pk)
        if locked.status in (NumberStatus.RELEASED, NumberStatus.RELEASING):
            return locked
        if locked.status == NumberStatus.PENDING and locked.source == NumberSource.BOUGHT:
            raise Conflict("the number is being bought; wait until that is decided", code="number_pending")
        _refuse_if_used(locked)
        leaving = at_carrier and locked.status != NumberStatus.FAILED
        locked.status = NumberStatus.RELEASING if leaving else NumberStatus.RELEASED
        locked.next_at = timezone.now() if leaving else None
        locked.released_at = None if leaving else timezone.now()
        locked.agent, locked.tries = None, 0
        locked.save(update_fields=["status", "next_at", "released_at", "agent", "tries"])
        audit.record(
            locked.workspace_id,
            actor,
            "number.released",
            object_type="number",
            object_id=locked.id,
            data={"e164": locked.e164, "at_carrier": leaving},
        )
        if leaving:
            wake(SETTLE)
        announce(locked)
    return locked


def announce(number: PhoneNumber) -> None:
    """`number.updated`, in the caller's transaction."""
    events.record(
        workspace_id=number.workspace_id,
        type="number.updated",
        data={
            "number_id": str(number.id),
            "e164": number.e164,
            "label": number.label,
            "status": number.status,
            "agent_id": str(number.agent_id) if number.agent_id else None,
            "calendar_id": str(number.calendar_id) if number.calendar_id else None,
            "fallback_number": number.fallback_number or None,
            "problem": number.problem_code or None,
        },
    )


def _insert(workspace: Workspace, fields: dict[str, Any]) -> PhoneNumber:
    try:
        with transaction.atomic():
            return PhoneNumber.objects.create(workspace=workspace, **fields)
    except IntegrityError as exc:
        raise Conflict("this number is in use", code="number_taken") from exc


def _of_the_account(workspace: Workspace, e164: str, sid: str) -> CarrierNumber:
    """The number with this id, or with this E.164 form, in the account that the workspace uses now."""
    field = "provider_sid" if sid else "e164"
    _, carrier = accounts.of_workspace(workspace.pk)
    if sid:
        try:
            found: CarrierNumber | None = carrier.number(sid)
        except CarrierGone:
            found = None
        if found is not None and e164 not in ("", found.e164):
            raise InvalidInput("the number with this id is another one", loc=("body", field))
    else:
        found = next(iter(carrier.numbers(e164)), None)
    if found is None:
        raise InvalidInput("the carrier account has no such number", loc=("body", field), type_="missing")
    return found


def _refuse_if_used(number: PhoneNumber) -> None:
    batches = Batch.objects.filter(number=number, status__in=OPEN).count()
    calls = Call.objects.filter(Q(number=number), status__in=LIVE).count()
    if batches or calls:
        raise Conflict(
            "an open batch or a live call uses the number",
            code="number_in_use",
            extra={"batches": batches, "calls": calls},
        )


def _checked(workspace: Workspace, data: dict[str, Any]) -> dict[str, Any]:
    fields = dict(data)
    if fields.get("fallback_number"):
        fields["fallback_number"] = phone.normalize(
            fields["fallback_number"], region=workspace.default_region, loc=("body", "fallback_number")
        )
    if "agent_id" in fields:
        fields["agent"] = _agent(workspace, fields.pop("agent_id"))
    if "calendar_id" in fields:
        fields["calendar"] = parts.calendar(workspace, fields.pop("calendar_id"))
    return fields


def _agent(workspace: Workspace, agent_id: uuid.UUID | None) -> Agent | None:
    if agent_id is None:
        return None
    agent = Agent.objects.filter(workspace=workspace, pk=agent_id, archived_at=None).first()
    if agent is None:
        raise InvalidInput("no such agent", loc=("body", "agent_id"), type_="missing")
    return agent
