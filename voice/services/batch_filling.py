"""Leads of whole segments and of files, put into their batches by portions, each in its own transaction."""

import uuid

import structlog
from django.db import transaction

from tenex.lib.wake import wake
from voice.models import Batch
from voice.services import batch_uploads, batches

log = structlog.get_logger(__name__)

_PORTIONS_A_RUN = 40
"""So one run puts 20,000 leads in at most; the next run goes on."""


def fill() -> int:
    """Put the next portions into every batch that still waits for some; how many portions.

    As many as a run takes: there may be more.
    """
    filled = 0
    waiting = Batch.objects.filter(filling_from__isnull=False).order_by("created_at")
    for batch_id in list(waiting.values_list("pk", flat=True)[:_PORTIONS_A_RUN]):
        while filled < _PORTIONS_A_RUN and _portion(batch_id):
            filled += 1
    for upload_id in batch_uploads.waiting():
        while filled < _PORTIONS_A_RUN and batch_uploads.portion(upload_id):
            filled += 1
    if filled:
        wake("voice.outbound.tick")
    return filled


def is_more(filled: int) -> bool:
    """Whether a run that put in so many portions ended before the leads did."""
    return filled >= _PORTIONS_A_RUN


def _portion(batch_id: uuid.UUID) -> bool:
    """One portion; False if somebody else is at it, or nothing is left."""
    with transaction.atomic():
        batch = (
            Batch.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(pk=batch_id, filling_from__isnull=False)
            .first()
        )
        if batch is None:
            return False
        accepted = batches.fill(batch)
        log.info("batch filled", batch_id=str(batch_id), leads=accepted, more=batch.filling_from is not None)
    return True
