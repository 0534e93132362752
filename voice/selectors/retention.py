"""What would be deleted, what is held, what was deleted."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Q, QuerySet, Sum

from tenex.errors import NotFound
from tenex.workspaces.models import Workspace
from voice.models import Call, Erasure, KeptClass, LegalHold, PurgeReceipt
from voice.services import retention

DAYS_MOST: Final = 36_500


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a purge would delete of one class. Figures: `calls`; of recordings also `recordings`, `bytes`."""

    kept_class: KeptClass
    days: int
    """That were looked with."""
    older_than: datetime
    """Calls that ended before this instant."""
    now: dict[str, int]
    """With the days of the workspace."""
    then: dict[str, int]
    """With the days that were asked for; the same if none were."""
    changed: bool
    """Other days were asked for than the workspace has."""

    @property
    def label(self) -> str:
        return str(self.kept_class.label)

    @property
    def more(self) -> bool:
        """These days would delete of more calls than today's."""
        return self.then["calls"] > self.now["calls"]


def outlook(
    workspace: Workspace, now: datetime, *, days: Mapping[KeptClass, int] | None = None
) -> list[Outlook]:
    """What a purge at `now` would delete, class by class, and what it would with other `days` (at most
    :data:`DAYS_MOST` count): so a change is seen before it is made."""
    return [_outlook(workspace, kept_class, now, (days or {}).get(kept_class)) for kept_class in KeptClass]


def _outlook(workspace: Workspace, kept_class: KeptClass, now: datetime, asked: int | None) -> Outlook:
    own = retention.days_of(workspace, kept_class)
    days = own if asked is None else min(asked, DAYS_MOST)
    today = _due(workspace, kept_class, now - timedelta(days=own))
    older_than = now - timedelta(days=days)
    then = today if days == own else _due(workspace, kept_class, older_than)
    return Outlook(kept_class, days, older_than, today, then, days != own)


def _due(workspace: Workspace, kept_class: KeptClass, older_than: datetime) -> dict[str, int]:
    if kept_class is not KeptClass.AUDIO:
        return {"calls": retention.due_calls(workspace, kept_class, older_than).count()}
    sums = retention.kept_recordings(workspace, older_than).aggregate(
        calls=Count("call_id", distinct=True), recordings=Count("pk"), bytes=Sum("size_bytes")
    )
    return {name: value or 0 for name, value in sums.items()}


def all_holds(workspace: Workspace) -> QuerySet[LegalHold]:
    """Released ones too."""
    return LegalHold.objects.filter(workspace=workspace)


def holds(workspace: Workspace) -> QuerySet[LegalHold]:
    """Those that are not released."""
    return LegalHold.objects.filter(workspace=workspace, released_at=None).select_related("call", "lead")


def hold(workspace: Workspace, hold_id: uuid.UUID) -> LegalHold:
    """Raises:
    NotFound: none such in this workspace.
    """
    row = LegalHold.objects.filter(workspace=workspace, pk=hold_id).first()
    if row is None:
        raise NotFound("there is no such thing here")
    return row


def holds_of_call(call: Call) -> list[LegalHold]:
    """Those that keep this call, whatever they are about."""
    about = Q(call=call) | Q(call=None, lead=None)
    return list(holds(call.workspace).filter(about | Q(lead=call.lead_id) if call.lead_id else about))


def holds_of_lead(workspace: Workspace, lead_id: uuid.UUID) -> list[LegalHold]:
    """Those that keep all calls of this lead."""
    return list(holds(workspace).filter(Q(lead=lead_id) | Q(call=None, lead=None)))


def erasures(workspace: Workspace) -> QuerySet[Erasure]:
    """Done and not done."""
    return Erasure.objects.filter(workspace=workspace).select_related("receipt")


def erasure(workspace: Workspace, erasure_id: uuid.UUID) -> Erasure:
    """Raises:
    NotFound: none such in this workspace.
    """
    row = erasures(workspace).filter(pk=erasure_id).first()
    if row is None:
        raise NotFound("there is no such thing here")
    return row


def receipts(workspace: Workspace) -> QuerySet[PurgeReceipt]:
    return PurgeReceipt.objects.filter(workspace=workspace)
