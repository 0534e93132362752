"""What is known of a workspace's passages as a whole: counts of words, missing vectors, failed searches."""

import time
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from crm.knowledge.embedding import engines
from crm.models import Chunk, ChunkVector, Corpus
from crm.selectors import corpora as read
from tenex.lib import backoff
from tenex.lib.wake import wake

log = structlog.get_logger(__name__)

SLICE_S: Final = 5.0
"""Then the worker takes whatever else waits: calls are finalized by the same processes."""
LEASE_S: Final = 180.0
_FREQUENT: Final = 3000
"""Words whose frequency is kept; of all others it is enough to know that they are rare."""
_FEWEST: Final = 2


def changed(workspace_id: uuid.UUID) -> None:
    """Passages came or went. In the transaction of that."""
    Corpus.objects.get_or_create(workspace_id=workspace_id)
    Corpus.objects.filter(pk=workspace_id).update(stale=True)
    transaction.on_commit(lambda: read.forget(workspace_id))
    wake("crm.knowledge.corpus", str(workspace_id), after_s=1.0)


def lacks_vectors(workspace_id: uuid.UUID) -> None:
    """Live passages were added whose vectors are still to be made."""
    Corpus.objects.filter(pk=workspace_id).update(embedded_by="")


def due(limit: int = 50) -> list[uuid.UUID]:
    """Workspaces whose passages have to be counted or embedded, also after a change of the model."""
    waiting = Corpus.objects.filter(Q(stale=True) | ~Q(embedded_by=engines.model()))
    now = timezone.now()
    return list(
        waiting.filter(lease_until__lte=now).order_by("lease_until").values_list("pk", flat=True)[:limit]
    )


def run(workspace_id: uuid.UUID, *, slice_s: float = SLICE_S) -> bool:
    """Count words and make missing vectors for some seconds; whether there is more. One worker at a time."""
    now = timezone.now()
    waiting = Corpus.objects.filter(pk=workspace_id, lease_until__lte=now)
    if not waiting.update(lease_until=now + timedelta(seconds=LEASE_S)):
        return False
    row = Corpus.objects.get(pk=workspace_id)
    if row.stale:
        count(workspace_id)
    if row.embedded_by == engines.model():
        _free(workspace_id)
        return False
    until = time.monotonic() + slice_s
    try:
        while time.monotonic() < until:
            if not _batch(workspace_id):
                _complete(workspace_id)
                _free(workspace_id)
                return False
    except engines.EmbeddingFailed as exc:
        wait_s = backoff.delay_s(row.tries + 1, first_s=5.0, longest_s=600.0)
        log.warning("passages not embedded", workspace_id=str(workspace_id), error=exc.detail)
        Corpus.objects.filter(pk=workspace_id).update(
            lease_until=timezone.now() + timedelta(seconds=wait_s), tries=F("tries") + 1
        )
        return False
    _free(workspace_id)
    return True


def _free(workspace_id: uuid.UUID) -> None:
    Corpus.objects.filter(pk=workspace_id).update(lease_until=timezone.now(), tries=0)


def _batch(workspace_id: uuid.UUID) -> int:
    model = engines.model()
    live = Chunk.objects.filter(workspace_id=workspace_id, live=True).exclude(vector__model=model)
    chunks = list(live.defer("search").order_by("pk")[: engines.BATCH[model]])
    if chunks:
        embed(workspace_id, chunks)
    return len(chunks)


def _complete(workspace_id: uuid.UUID) -> None:
    """Note that no vector is missing, unless one came meanwhile that has none."""
    model = engines.model()
    with transaction.atomic():
        Corpus.objects.select_for_update().get(pk=workspace_id)
        lacking = Chunk.objects.filter(workspace_id=workspace_id, live=True).exclude(vector__model=model)
        if not lacking.exists():
            Corpus.objects.filter(pk=workspace_id).update(embedded_by=model)


def embed(workspace_id: uuid.UUID, chunks: Sequence[Chunk]) -> None:
    """Make the vectors of these passages, and keep them.

    Raises:
        EmbeddingFailed.
    """
    model = engines.model()
    made = engines.passages(workspace_id, [told(one) for one in chunks])
    with transaction.atomic():
        # A passage may have been deleted meanwhile: its vector has no place any more.
        there = set(
            Chunk.objects.select_for_update(no_key=True)
            .filter(pk__in=[one.pk for one in chunks])
            .values_list("pk", flat=True)
        )
        ChunkVector.objects.bulk_create(
            (
                ChunkVector(chunk_id=one.pk, workspace_id=workspace_id, model=model, embedding=vector)
                for one, vector in zip(chunks, made, strict=True)
                if one.pk in there
            ),
            update_conflicts=True,
            unique_fields=["chunk"],
            update_fields=["model", "embedding"],
        )


def told(chunk: Chunk) -> str:
    """A passage as the model reads it: with what it stands under, without which many say nothing."""
    return "\n".join(part for part in (chunk.title, chunk.heading, chunk.text) if part)


def count(workspace_id: uuid.UUID) -> None:
    """How many passages there are, in which languages, and how often their words occur."""
    Corpus.objects.update_or_create(workspace_id=workspace_id, defaults={"stale": False})
    live = Chunk.objects.filter(workspace_id=workspace_id, live=True, enabled=True)
    languages = sorted(live.order_by().values_list("language", flat=True).distinct())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT word, ndoc FROM ts_stat(%s) WHERE ndoc >= %s ORDER BY ndoc DESC, word LIMIT %s",
            [
                f"SELECT search FROM crm_chunk WHERE workspace_id = '{uuid.UUID(str(workspace_id))}'"  # noqa: S608
                " AND live AND enabled",
                _FEWEST,
                _FREQUENT,
            ],
        )
        words = {str(word): int(passages) for word, passages in cursor}
    Corpus.objects.filter(pk=workspace_id).update(
        chunks=live.count(), languages=languages, words=words, counted_at=timezone.now()
    )
    read.forget(workspace_id)


def note_fault(workspace_id: uuid.UUID, what: str) -> None:
    """A search failed: for the people who run it."""
    Corpus.objects.get_or_create(workspace_id=workspace_id)
    Corpus.objects.filter(pk=workspace_id).update(
        faults=F("faults") + 1, fault=what[:200], fault_at=timezone.now()
    )
