"""Who a person is to us, and all that is known of them, by kind: to count it, and to hand it over."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from crm.models import Lead
from crm.services import persons as crm
from tenex.errors import InvalidInput, NotFound
from tenex.lib import phone as phones
from tenex.workspaces.models import Workspace
from voice.models import (
    Call,
    CallEvent,
    Decision,
    Recipient,
    Recording,
    ToolCall,
    Turn,
    Verdict,
    VerdictCorrection,
)

_OF_CALLS: dict[str, Any] = {
    "turns": Turn,
    "tool_calls": ToolCall,
    "journal": CallEvent,
    "verdicts": Verdict,
    "corrections": VerdictCorrection,
    "recordings": Recording,
}


@dataclass(frozen=True, slots=True)
class Person:
    """Leads, numbers and calls that count as one and the same human being."""

    workspace: Workspace
    leads: list[Lead]
    number: str
    """By which they are known best: the one asked for, else that of the lead; E.164, may be empty."""
    numbers: list[str]
    calls: "QuerySet[Call]"
    """With one of these leads, or with one of these numbers at the other end."""


def named(workspace: Workspace, *, phone: str = "", lead_id: uuid.UUID | None = None) -> Person:
    """Whoever has this number, written in any way, or is this lead.

    Raises:
        InvalidInput: neither is given, or it is no phone number. NotFound: no such lead here.
    """
    if lead_id and not Lead.objects.filter(workspace=workspace, pk=lead_id).exists():
        raise NotFound("there is no such lead here")
    if not (phone or lead_id):
        raise InvalidInput("a phone number or a lead is needed", loc=("body", "phone"), type_="missing")
    number = phones.normalize(phone, region=workspace.default_region) if phone else ""
    return find(workspace, phone=number, lead_ids=[lead_id] if lead_id else [])


def find(workspace: Workspace, *, phone: str = "", lead_ids: Sequence[uuid.UUID] = ()) -> Person:
    """Whoever has this number (E.164) or is one of these leads; nobody has neither."""
    leads = crm.same_person(workspace, phone=phone, lead_ids=lead_ids)
    of_leads = {lead.pk: lead.phone for lead in leads if lead.phone}
    numbers = sorted({*of_leads.values(), phone} - {""})
    theirs = Q(lead__in=leads) | Q(direction="inbound", from_number__in=numbers)
    theirs |= Q(direction="outbound", to_number__in=numbers)
    best = [phone, *(of_leads.get(pk, "") for pk in lead_ids), *numbers]
    return Person(
        workspace,
        leads,
        next(filter(None, best), ""),
        numbers,
        Call.objects.filter(theirs, workspace=workspace),
    )


def count(person: Person) -> dict[str, int]:
    """How much :func:`export` would tell, by kind; every kind is there."""
    found = {kind: rows.count() for kind, rows in _rows(person).items()}
    return {**found, "knowledge": len(mentioned(person))}


def export(person: Person) -> dict[str, list[dict[str, Any]]]:
    """Everything about them as plain data, by kind, for whoever asks what we know."""
    found = {kind: list(rows.values()) for kind, rows in _rows(person).items()}
    return {**found, "knowledge": mentioned(person)}


def mentioned(person: Person) -> list[dict[str, Any]]:
    """Passages of the workspace's documents in which a number or e-mail of theirs stands."""
    return crm.mentioned(person.workspace, person.leads, person.numbers)


def documents(person: Person) -> dict[str, str]:
    """Id -> title of documents that mention them, for people to change: nobody else rewrites them."""
    return {str(one["document_id"]): str(one["document__title"]) for one in mentioned(person)}


def _rows(person: Person) -> dict[str, "QuerySet[Any]"]:
    ids = list(person.calls.values_list("pk", flat=True))
    found: dict[str, QuerySet[Any]] = crm.rows(person.workspace, person.leads, person.numbers)
    found["calls"] = Call.objects.filter(pk__in=ids).order_by("created_at")
    for kind, model in _OF_CALLS.items():
        found[kind] = model.objects.filter(call_id__in=ids)
    found["decisions"] = Decision.objects.filter(Q(call_id__in=ids) | Q(lead__in=person.leads))
    found["recipients"] = Recipient.objects.filter(lead__in=person.leads)
    return found
