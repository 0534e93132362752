"""The instance's kill switch: while it is on nobody is dialed, in any workspace.

The dialer's last look before each request reads the row, so what is not with the carrier when this commits
is not dialed; what the carrier has and nobody answered yet is canceled by the next tick, which this wakes.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import transaction
from django.utils import timezone

from tenex.lib.wake import wake
from tenex.workspaces.models import AuditEntry, Workspace
from voice.models import CallingSwitch

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Switch:
    """Whether calling is stopped, since when, by whom and why."""

    stopped_at: datetime | None = None
    stopped_by: str = ""
    reason: str = ""


def state() -> Switch:
    """The switch as it is."""
    row = CallingSwitch.objects.first()
    return Switch(row.stopped_at, row.stopped_by, row.reason) if row else Switch()


def is_stopped() -> bool:
    """Whether nobody may be dialed at all."""
    return CallingSwitch.objects.filter(stopped_at__isnull=False).exists()


def stop(*, actor: str, reason: str = "") -> Switch:
    """Stop all dialing of the instance; one that is stopped already stays as it is."""
    with transaction.atomic():
        row, _ = CallingSwitch.objects.select_for_update().get_or_create(pk=1)
        if row.stopped_at is None:
            row.stopped_at, row.stopped_by, row.reason = timezone.now(), actor[:200], reason[:300]
            row.save()
            _audit(actor, "calling.stopped", {"reason": row.reason})
            log.warning("all calling stopped", actor=actor, reason=row.reason)
        wake("voice.outbound.tick")
    return Switch(row.stopped_at, row.stopped_by, row.reason)


def start(*, actor: str) -> Switch:
    """Let the instance dial again."""
    with transaction.atomic():
        row = CallingSwitch.objects.select_for_update().filter(stopped_at__isnull=False).first()
        if row is not None:
            row.stopped_at, row.stopped_by, row.reason = None, "", ""
            row.save()
            _audit(actor, "calling.started", {})
            log.warning("calling started again", actor=actor)
        wake("voice.outbound.tick")
    return Switch()


def _audit(actor: str, action: str, data: dict[str, str]) -> None:
    """A line in the log of every workspace: each of them was stopped."""
    AuditEntry.objects.bulk_create(
        [
            AuditEntry(workspace_id=pk, actor=actor, action=action, object_type="instance", data=data)
            for pk in Workspace.objects.values_list("pk", flat=True)
        ],
        batch_size=1000,
    )
