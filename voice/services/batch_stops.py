"""A batch that the system pauses by itself, and what is told of any pause."""

import uuid

import structlog
from django.db import transaction

from tenex.events import services as events
from tenex.workspaces.services import audit
from voice.models import Batch, BatchStatus, PauseCode
from voice.services import batches

log = structlog.get_logger(__name__)

ACTOR = "system:dialer"


def pause(batch_id: uuid.UUID, code: PauseCode, reason: str) -> bool:
    """Pause a running batch with a code and words for people; False if it does not run (any more)."""
    with transaction.atomic():
        batch = Batch.objects.select_for_update().filter(pk=batch_id, status=BatchStatus.RUNNING).first()
        if batch is None:
            return False
        batch.status, batch.pause_code, batch.status_reason = BatchStatus.PAUSED, code, reason[:200]
        batch.save(update_fields=["status", "pause_code", "status_reason"])
        audit.record(
            batch.workspace_id,
            ACTOR,
            "batch.paused",
            object_type="batch",
            object_id=batch.pk,
            data={"code": str(code), "reason": batch.status_reason},
        )
        announce_paused(batch)
    log.warning("batch paused", batch_id=str(batch_id), code=str(code), reason=reason)
    return True


def announce_paused(batch: Batch) -> None:
    """`batch.paused`, in the transaction of the pause: the event counter is the last lock."""
    data = {**batches.facts(batch), "pause_code": batch.pause_code, "reason": batch.status_reason}
    events.record(workspace_id=batch.workspace_id, type="batch.paused", data=data)
