"""What `decide` is asked about, read from the rows: for one lead or for many at once."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from crm.models import Consent, Lead, Suppression
from crm.services import suppressions
from tenex.workspaces.models import Workspace
from tenex.workspaces.selectors import callers
from voice.models import (
    Batch,
    BatchStatus,
    Call,
    CallingSwitch,
    CallStatus,
    Direction,
    NumberStatus,
    PhoneNumber,
)
from voice.models.agents import AgentVersion
from voice.outbound import policy, rulebook
from voice.outbound.contactability import SOON, Agreement, Facts
from voice.services import accounts, model_access
from voice.services.timing import scaled

_LATEST = 100
"""Attempts that are looked at, of each number: no limit of a rule counts more."""
_ON_THE_PHONE = (CallStatus.DIALING, CallStatus.RINGING, CallStatus.IN_PROGRESS)
_OVER = (BatchStatus.COMPLETED, BatchStatus.CANCELED)


def of(
    workspace: Workspace,
    lead: Lead | None,
    phone: str,
    number: PhoneNumber | None,
    version: AgentVersion | None,
    batch: Batch | None,
) -> Facts:
    """About a dial of `phone` now; `lead` is whose number it is, as far as we know."""
    known = _Known(workspace, [phone] if phone else [], [lead.pk] if lead else [])
    return known.about(_means(workspace, number, version, batch), lead, phone)


def to_dial(
    workspace: Workspace,
    lead: Lead | None,
    phone: str,
    number: PhoneNumber | None,
    version: AgentVersion | None,
    batch: Batch | None,
) -> Facts:
    """:func:`of`, and the number is this transaction's until it ends: nobody else of any workspace decides
    about it meanwhile. If somebody else does already, the number counts as on the phone."""
    won = not phone or _lock_number(phone)
    found = of(workspace, lead, phone, number, version, batch)
    return found if won else replace(found, on_the_phone=True)


class Person(NamedTuple):
    """The part of a lead that is decided about: light, where thousands are looked at."""

    pk: uuid.UUID
    phone: str | None
    time_zone: str
    country: str
    region: str
    archived_at: datetime | None
    opted_out_at: datetime | None


def of_many(
    workspace: Workspace,
    leads: Sequence[Lead | Person],
    number: PhoneNumber | None,
    version: AgentVersion | None,
    batch: Batch | None,
    *,
    as_if_running: bool = True,
) -> dict[uuid.UUID, Facts]:
    """Lead's id -> facts, in the same few queries for any number of leads.

    `as_if_running` leaves out whether the batch runs yet: what a preview or an enqueue wants to know.
    """
    known = _Known(workspace, [lead.phone for lead in leads if lead.phone], [lead.pk for lead in leads])
    means = _means(workspace, number, version, batch)
    if as_if_running:
        means["batch_running"] = True
    return {lead.pk: known.about(means, lead, lead.phone or "") for lead in leads}


def _means(
    workspace: Workspace, number: PhoneNumber | None, version: AgentVersion | None, batch: Batch | None
) -> dict[str, Any]:
    """What is the same for all leads of one batch."""
    return {
        "window": policy.window_of(workspace, batch),
        "purpose": policy.purpose_of(workspace, batch),
        "countries": policy.countries_of(workspace),
        "limits": policy.limits_of(workspace),
        "strict": policy.strict(workspace),
        "number_owned": number is None or number.workspace_id == workspace.pk,
        "number_active": number is not None and number.status == NumberStatus.ACTIVE,
        "has_agent": version is not None and version.agent.archived_at is None,
        "batch_over": batch is not None and batch.status in _OVER,
        "batch_running": batch is None
        or (batch.status == BatchStatus.RUNNING and batch.soft_budget_at is None),
        "calling_stopped": CallingSwitch.objects.filter(stopped_at__isnull=False).exists(),
        "workspace_paused": workspace.calling_paused_at is not None,
        "model_configured": model_access.usable(workspace.pk),
        "carrier_configured": number is None or accounts.may_dial(workspace.pk, number.account_sid),
        "soon": scaled(SOON.total_seconds()),
        "rules": rulebook.standard(),
    }


@dataclass(slots=True)
class _Past:
    """Attempts at one number."""

    placed: list[datetime] = field(default_factory=list)
    on_the_phone: bool = False


class _Known:
    """What the rows know of some numbers and leads."""

    def __init__(self, workspace: Workspace, phones: Iterable[str], lead_ids: Iterable[uuid.UUID]) -> None:
        self._digests = {phone: suppressions.digest(phone) for phone in phones}
        caller = callers.workspace_ids(workspace)
        self._listed = {
            bytes(found)
            for found in Suppression.objects.filter(
                workspace__in=caller, phone_hash__in=list(self._digests.values())
            ).values_list("phone_hash", flat=True)
        }
        self._past = _past(caller, list(self._digests))
        self._consents = _consents(list(lead_ids))

    def about(self, means: Mapping[str, Any], lead: Lead | Person | None, phone: str) -> Facts:
        past = self._past.get(phone) or _Past()
        return Facts(
            phone=phone,
            consents=tuple(self._consents.get(lead.pk, ())) if lead else (),
            stated_zone=lead.time_zone if lead else "",
            country=lead.country if lead else "",
            region=lead.region if lead else "",
            archived=bool(lead and lead.archived_at),
            opted_out=bool(lead and lead.opted_out_at),
            suppressed=self._digests.get(phone) in self._listed,
            on_the_phone=past.on_the_phone,
            placed=tuple(past.placed[:_LATEST]),
            placed_in_all=len(past.placed),
            **means,
        )


def _past(caller: Sequence[uuid.UUID], phones: Sequence[str]) -> dict[str, _Past]:
    """By number. A call that waits for its (next) attempt is none yet, and does not block itself."""
    rows = (
        Call.objects.filter(to_number__in=phones, direction=Direction.OUTBOUND, workspace__in=caller)
        .exclude(status=CallStatus.QUEUED)
        .order_by()
        .values_list("to_number", "status", "placed_at")
    )
    found: dict[str, _Past] = defaultdict(_Past)
    for to_number, status, placed_at in rows:
        past = found[to_number]
        past.on_the_phone |= status in _ON_THE_PHONE
        if placed_at is not None:
            past.placed.append(placed_at)
    for past in found.values():
        past.placed.sort(reverse=True)
    return found


def _consents(lead_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Agreement]]:
    """By lead, the newest first."""
    rows = (
        Consent.objects.filter(lead__in=lead_ids)
        .order_by("-given_at", "-id")
        .values_list("lead_id", "id", "purpose", "given_at", "expires_at", "revoked_at")
    )
    found: dict[uuid.UUID, list[Agreement]] = defaultdict(list)
    for lead_id, consent_id, purpose, given_at, expires_at, revoked_at in rows:
        found[lead_id].append(Agreement(consent_id, purpose, given_at, expires_at, revoked_at))
    return found


def _lock_number(phone: str) -> bool:
    """Never waits: two claims that look at the same numbers in another order would wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"number:{phone}"])
        return bool(cursor.fetchone()[0])
