"""Forgetting a lead as a person: what the CRM knows goes, an empty row stays for the figures of batches."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from crm.models import (
    Consent,
    FollowUp,
    Lead,
    LeadImport,
    LeadImportRow,
    Meeting,
    SegmentMember,
    Suppression,
    TimelineEntry,
)
from crm.models.imports import OPEN
from crm.selectors import knowledge
from crm.services import calendars, suppressions
from tenex.workspaces.models import Workspace


def same_person(workspace: Workspace, *, phone: str, lead_ids: Sequence[uuid.UUID]) -> list[Lead]:
    """Leads (archived ones too) with this number or one of these ids, or number or e-mail of such a one."""
    rows = Lead.objects.filter(workspace=workspace)
    found = rows.filter(Q(pk__in=lead_ids) | (Q(phone=phone) if phone else Q(pk__in=[])))
    numbers = {lead.phone for lead in found if lead.phone}
    mails = {lead.email for lead in found if lead.email}
    return list(
        rows.filter(Q(pk__in=[lead.pk for lead in found]) | Q(phone__in=numbers) | Q(email__in=mails))
    )


def import_under_way(workspace: Workspace) -> bool:
    """Whether a file is being read in, in which they may be once more."""
    return LeadImport.objects.filter(workspace=workspace, status__in=OPEN).exists()


def forget(workspace: Workspace, leads: Sequence[Lead], numbers: Sequence[str]) -> dict[str, int]:
    """Delete or empty every row of the CRM about them, in the caller's transaction; rows by kind.

    `numbers` are all of theirs, also those of no lead.

    The do-not-call list keeps the keyed hash and nothing else.
    """
    ids = [lead.pk for lead in leads]
    counts = {
        "leads": len(ids),
        "timeline": TimelineEntry.objects.filter(lead_id__in=ids).delete()[0],
        "consents": Consent.objects.filter(lead_id__in=ids).delete()[0],
        "follow_ups": FollowUp.objects.filter(lead_id__in=ids).delete()[0],
        "segment_members": SegmentMember.objects.filter(lead_id__in=ids).delete()[0],
        "meetings": calendars.forget(ids),
        "import_rows": LeadImportRow.objects.filter(lead_id__in=ids).delete()[0],
    }
    _listed(workspace, numbers).update(phone_hint="", reason="", call_id=None)
    now = timezone.now()
    Lead.objects.filter(pk__in=ids).update(
        first_name="", last_name="", title="", phone=None, email=None, time_zone="", country="", region="",
        source="", notes="", custom={}, company=None, owner=None, opted_out_at=now, archived_at=now,
        updated_at=now,
    )  # fmt: skip
    return counts


def mentioned(workspace: Workspace, leads: Sequence[Lead], numbers: Sequence[str]) -> list[dict[str, Any]]:
    """Passages of documents in which a number or e-mail of theirs stands.

    A document is the workspace's own text: it is listed for people to decide, and never rewritten silently.
    """
    needles = {*numbers, *(lead.phone or "" for lead in leads), *(lead.email or "" for lead in leads)} - {""}
    return knowledge.mentions(workspace.pk, sorted(needles))


def rows(workspace: Workspace, leads: Sequence[Lead], numbers: Sequence[str]) -> dict[str, QuerySet[Any]]:
    """What the CRM knows about them, by kind."""
    ids = [lead.pk for lead in leads]
    them = Lead.objects.filter(pk__in=ids).annotate(company_name=F("company__name"))
    found: dict[str, QuerySet[Any]] = {"leads": them.order_by("created_at")}
    for kind, model in _OF_LEADS.items():
        found[kind] = model.objects.filter(lead_id__in=ids)
    members = SegmentMember.objects.filter(lead_id__in=ids).annotate(segment_name=F("segment__name"))
    found["segments"] = members.order_by("created_at")
    found["do_not_call"] = _listed(workspace, numbers).order_by("created_at")
    return found


def _listed(workspace: Workspace, numbers: Sequence[str]) -> QuerySet[Suppression]:
    hashes = [suppressions.digest(number) for number in numbers]
    return Suppression.objects.filter(workspace=workspace, phone_hash__in=hashes)


_OF_LEADS: dict[str, Any] = {
    "timeline": TimelineEntry,
    "consents": Consent,
    "follow_ups": FollowUp,
    "meetings": Meeting,
    "import_rows": LeadImportRow,
}
