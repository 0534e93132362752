"""Reading leads. The workspace comes first, always."""

import uuid
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from crm.models import FollowUp, Lead, TimelineEntry
from crm.selectors import search
from tenex.errors import existing
from tenex.workspaces.models import Workspace


def get(workspace_id: uuid.UUID, lead_id: uuid.UUID) -> Lead:
    """
    Raises:
        NotFound: not there, or of another workspace.
    """
    return existing(all_of(workspace_id, archived=None).filter(pk=lead_id).first(), "no such lead")


def all_of(workspace_id: uuid.UUID, *, archived: bool | None = False) -> QuerySet[Lead]:
    """Leads of a workspace, newest first; `archived=None` gives both kinds."""
    found = Lead.objects.filter(workspace_id=workspace_id).select_related("company", "owner")
    return found if archived is None else found.filter(archived_at__isnull=not archived)


def with_consents(rows: QuerySet[Lead]) -> QuerySet[Lead]:
    """The same leads with their consents: one more query, however many they are."""
    return rows.prefetch_related("consents")


def by_phone(workspace_id: uuid.UUID, phone: str) -> Lead | None:
    """The lead with this E.164 number."""
    return all_of(workspace_id).filter(phone=phone).first() if phone else None


def id_by_phone(workspace_id: uuid.UUID, phone: str) -> uuid.UUID | None:
    """The id alone, for who must answer fast."""
    found = Lead.objects.filter(workspace_id=workspace_id, phone=phone, archived_at=None)
    return found.order_by().values_list("pk", flat=True).first()


def twin(lead: Lead) -> Lead | None:
    """Another live lead with the phone or e-mail of `lead`."""
    same = Q()
    if lead.phone:
        same |= Q(phone=lead.phone)
    if lead.email:
        same |= Q(email=lead.email)
    if not same:
        return None
    return all_of(lead.workspace_id).filter(same).exclude(pk=lead.pk).first()


def timeline(workspace_id: uuid.UUID, lead_id: uuid.UUID) -> QuerySet[TimelineEntry]:
    """A lead's history, newest first."""
    return TimelineEntry.objects.filter(workspace_id=workspace_id, lead_id=lead_id)


def follow_ups(workspace_id: uuid.UUID, *, lead_id: uuid.UUID | None = None) -> QuerySet[FollowUp]:
    """What was promised, the next one first."""
    found = FollowUp.objects.filter(workspace_id=workspace_id).select_related("lead")
    return found.filter(lead_id=lead_id) if lead_id else found


def facts(lead: Lead) -> dict[str, Any]:
    """What events and tools say about a lead."""
    return {
        "id": str(lead.id),
        "first_name": lead.first_name,
        "last_name": lead.last_name,
        "title": lead.title,
        "company": lead.company.name if lead.company else None,
        "phone": lead.phone,
        "email": lead.email,
        "time_zone": lead.time_zone,
        "country": lead.country,
        "region": lead.region,
        "source": lead.source,
        "stage": lead.stage,
        "qualification": lead.qualification or None,
        "last_call_at": plain(lead.last_call_at),
        "last_outcome": lead.last_outcome or None,
        "opted_out": lead.opted_out_at is not None,
        "custom": lead.custom,
    }


def plain(value: Any) -> Any:
    """A field's value as JSON."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, uuid.UUID) else value


def found(workspace: Workspace, q: str, *, at_most: int = 8) -> list[Lead]:
    """Leads by what somebody types to choose one; without a word the latest."""
    rows = all_of(workspace.pk).select_related("company")
    return list((rows.filter(search.words(q)) if q.strip() else rows).order_by("-created_at")[:at_most])
