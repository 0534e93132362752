"""Whether a lead may be called at all, whatever the hour. The dialer asks again before each dial."""

import uuid
from dataclasses import dataclass

from crm.models import Lead
from crm.services import suppressions


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a lead was not accepted (contract.md 6)."""

    lead_id: str
    code: str
    detail: str


def reject(lead: Lead) -> Rejection | None:
    """The first reason against calling `lead`, or None."""
    if lead.archived_at is not None:
        return Rejection(str(lead.pk), "archived", "The lead is archived.")
    if not lead.phone:
        return Rejection(str(lead.pk), "no_phone", "The lead has no phone number.")
    if lead.opted_out_at is not None:
        return Rejection(str(lead.pk), "opted_out", "The lead asked not to be called.")
    return reject_number(lead.workspace_id, lead.phone, lead_id=str(lead.pk))


def reject_number(workspace_id: uuid.UUID, e164: str, *, lead_id: str = "") -> Rejection | None:
    """The same for a number that may have no lead yet."""
    if suppressions.is_suppressed(workspace_id, e164):
        return Rejection(lead_id, "suppressed", "The number is on the do-not-call list.")
    return None
