"""Whether a lead may be called at all, whatever the hour. The dialer asks again before each dial."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from crm.models import Lead, Suppression
from crm.services import suppressions


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a lead was not accepted (contract.md 6)."""

    lead_id: str
    code: str
    detail: str


def reject_many(workspace_id: uuid.UUID, leads: Sequence[Lead]) -> dict[uuid.UUID, Rejection]:
    """The first reason against calling each lead that may not be called, in one query for all of them."""
    phones = {lead.phone: suppressions.digest(lead.phone) for lead in leads if lead.phone}
    listed = {
        bytes(found)
        for found in Suppression.objects.filter(
            workspace_id=workspace_id, phone_hash__in=list(phones.values())
        ).values_list("phone_hash", flat=True)
    }
    found: dict[uuid.UUID, Rejection] = {}
    for lead in leads:
        reason = _of_lead(lead)
        if reason is None and phones[lead.phone or ""] in listed:
            reason = _listed(str(lead.pk))
        if reason is not None:
            found[lead.pk] = reason
    return found


def reject(lead: Lead) -> Rejection | None:
    """The first reason against calling `lead`, or None."""
    return _of_lead(lead) or reject_number(lead.workspace_id, lead.phone or "", lead_id=str(lead.pk))


def _of_lead(lead: Lead) -> Rejection | None:
    if lead.archived_at is not None:
        return Rejection(str(lead.pk), "archived", "The lead is archived.")
    if not lead.phone:
        return Rejection(str(lead.pk), "no_phone", "The lead has no phone number.")
    if lead.opted_out_at is not None:
        return Rejection(str(lead.pk), "opted_out", "The lead asked not to be called.")
    return None


def reject_number(workspace_id: uuid.UUID, e164: str, *, lead_id: str = "") -> Rejection | None:
    """The same for a number that may have no lead yet."""
    if suppressions.is_suppressed(workspace_id, e164):
        return _listed(lead_id)
    return None


def _listed(lead_id: str) -> Rejection:
    return Rejection(lead_id, "suppressed", "The number is on the do-not-call list.")
