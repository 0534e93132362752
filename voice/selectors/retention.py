"""What would be deleted, what is held, what was deleted."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import Count, Q, QuerySet, Sum

from tenex.errors import existing
from tenex.workspaces.models import Workspace
from voice.models import Call, Erasure, KeptClass, LegalHold, PurgeReceipt
from voice.services import retention


def due(
    workspace: Workspace, now: datetime, *, days: Mapping[KeptClass, int] | None = None
) -> dict[KeptClass, dict[str, int]]:
    """What a purge at `now` would delete, by class: `calls`, and for recordings their number and bytes.

    `days` are retentions to look with instead of the workspace's: so a change is seen before it is made.
    """
    found: dict[KeptClass, dict[str, int]] = {}
    for kept_class in KeptClass:
        older_than = retention.cutoff(workspace, kept_class, now)
        if days and kept_class in days:
            older_than = now - timedelta(days=days[kept_class])
        if kept_class is KeptClass.AUDIO:
            sums = retention.kept_recordings(workspace, older_than).aggregate(
                calls=Count("call_id", distinct=True), recordings=Count("pk"), bytes=Sum("size_bytes")
            )
            found[kept_class] = {name: value or 0 for name, value in sums.items()}
        else:
            found[kept_class] = {"calls": retention.due_calls(workspace, kept_class, older_than).count()}
    return found


def holds(workspace: Workspace) -> QuerySet[LegalHold]:
    """Those that are not released."""
    return LegalHold.objects.filter(workspace=workspace, released_at=None).select_related("call", "lead")


def hold(workspace: Workspace, hold_id: uuid.UUID) -> LegalHold:
    """Raises:
    NotFound: none such in this workspace.
    """
    return existing(LegalHold.objects.filter(workspace=workspace, pk=hold_id).first())


def holds_of_call(call: Call) -> list[LegalHold]:
    """Those that keep this call, whatever they are about."""
    about = Q(call=call) | Q(call=None, lead=None)
    return list(holds(call.workspace).filter(about | Q(lead=call.lead_id) if call.lead_id else about))


def holds_of_lead(workspace: Workspace, lead_id: uuid.UUID) -> list[LegalHold]:
    """Those that keep all calls of this lead."""
    return list(holds(workspace).filter(Q(lead=lead_id) | Q(call=None, lead=None)))


def erasures(workspace: Workspace, *, lead_id: uuid.UUID | None = None, phone: str = "") -> list[Erasure]:
    """What was asked for about a person and is not done yet."""
    about = Q(phone=phone) if phone else Q(pk=None)
    if lead_id is not None:
        about |= Q(lead_ids__contains=[str(lead_id)])
    return list(Erasure.objects.filter(about, workspace=workspace, finished_at=None))


def receipts(workspace: Workspace) -> QuerySet[PurgeReceipt]:
    return PurgeReceipt.objects.filter(workspace=workspace)
