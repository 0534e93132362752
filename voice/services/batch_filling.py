"""Batches of whole segments: their leads are put in by portions, each in a transaction of its own."""

import uuid

import structlog
from django.db import transaction

from tenex.lib.wake import wake
from voice.models import Batch
from voice.services import batches

log = structlog.get_logger(__name__)

_PORTIONS_A_RUN = 40
"""So one run puts 20,000 leads in at most; the next run goes on."""


def fill() -> int:
    """Put the next portions into every batch that still waits for some; how many portions."""
    filled = 0
    waiting = Batch.objects.filter(filling_from__isnull=False).order_by("created_at")
    for batch_id in list(waiting.values_list("pk", flat=True)[:_PORTIONS_A_RUN]):
        while filled < _PORTIONS_A_RUN and _portion(batch_id):
            filled += 1
    if filled:
        wake("voice.outbound.tick")
    return filled


def _portion(batch_id: uuid.UUID) -> bool:
    """One portion; False if somebody else is at it, or nothing is left."""
    with transaction.atomic():
        batch = (
            Batch.objects.select_for_update(skip_locked=True)
            .filter(pk=batch_id, filling_from__isnull=False)
            .first()
        )
        if batch is None:
            return False
        accepted = batches.fill(batch)
        log.info("batch filled", batch_id=str(batch_id), leads=accepted, more=batch.filling_from is not None)
    return True
