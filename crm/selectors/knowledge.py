"""Reading the knowledge corpus: documents, versions, passages, what agents are told, and how it is."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from crm.knowledge.embedding import engines
from crm.models import (
    Chunk,
    Corpus,
    Document,
    DocumentSource,
    DocumentStatus,
    DocumentVersion,
    EntryKind,
)
from tenex.errors import existing

GUIDANCE_ENTRIES: Final = 20
GUIDANCE_CHARS: Final = 400
"""Of each kind, and of each entry: what reaches an agent's instructions has to leave room for the rest."""


def all_of(workspace_id: uuid.UUID) -> QuerySet[Document]:
    """With `passages` (those that are searched) and `passages_off` (of these the disabled ones)."""
    return Document.objects.filter(workspace_id=workspace_id).annotate(
        passages=_counted(Q()), passages_off=_counted(Q(enabled=False))
    )


def _counted(which: Q) -> Any:
    mine = Chunk.objects.filter(which, document=OuterRef("pk"), live=True).order_by().values("document")
    return Coalesce(Subquery(mine.annotate(n=Count("pk")).values("n"), output_field=IntegerField()), 0)


def get(workspace_id: uuid.UUID, document_id: uuid.UUID) -> Document:
    """
    Raises:
        NotFound: not there, or of another workspace.
    """
    return existing(all_of(workspace_id).filter(pk=document_id).first(), "no such document")


def matching(q: str) -> Q:
    """Documents with these words in title or address."""
    found = Q()
    for word in q.split()[:5]:
        found &= Q(title__icontains=word) | Q(url__icontains=word)
    return found


def versions(document: Document) -> QuerySet[DocumentVersion]:
    """The newest first, without their texts."""
    return document.versions.defer("text").annotate(passages=Count("chunks")).order_by("-number")


def version(document: Document, number: int) -> DocumentVersion:
    """
    Raises:
        NotFound.
    """
    return existing(document.versions.filter(number=number).first(), "no such version")


def newest_text(document: Document) -> str:
    """What was typed last."""
    return document.versions.order_by("-number").values_list("text", flat=True).first() or ""


def chunks(document: Document) -> QuerySet[Chunk]:
    """The passages that are searched, in their order."""
    live = Chunk.objects.filter(document=document, live=True).defer("search")
    return live.select_related("vector").order_by("position")


def chunk(workspace_id: uuid.UUID, document_id: uuid.UUID, chunk_id: uuid.UUID) -> Chunk:
    """
    Raises:
        NotFound.
    """
    return existing(
        Chunk.objects.filter(workspace_id=workspace_id, document_id=document_id, pk=chunk_id, live=True)
        .defer("search")
        .first(),
        "no such passage",
    )


def place_of(workspace_id: uuid.UUID, chunk_id: uuid.UUID) -> tuple[uuid.UUID, int] | None:
    """(document, position) of a passage that is searched; None if it was changed or deleted since."""
    rows = Chunk.objects.filter(workspace_id=workspace_id, pk=chunk_id, live=True)
    return rows.values_list("document_id", "position").first()


@dataclass(frozen=True, slots=True)
class Guidance:
    """What every agent of the workspace is told before it speaks."""

    positioning: tuple[str, ...] = ()
    do_not_say: tuple[str, ...] = ()


def guidance(workspace_id: uuid.UUID) -> Guidance:
    """The latest texts of the entries that reach an agent's instructions, each cut to its room."""
    newest = DocumentVersion.objects.filter(document=OuterRef("pk")).order_by("-number").values("text")[:1]
    told: dict[str, list[str]] = {EntryKind.POSITIONING: [], EntryKind.DO_NOT_SAY: []}
    rows = (
        Document.objects.filter(
            workspace_id=workspace_id, source=DocumentSource.ENTRY, entry_kind__in=list(told)
        )
        .order_by("created_at", "pk")
        .values_list("entry_kind", Subquery(newest))
    )
    for kind, text in rows:
        if len(told[kind]) < GUIDANCE_ENTRIES:
            told[kind].append(" ".join((text or "").split())[:GUIDANCE_CHARS])
    return Guidance(*(tuple(filter(None, texts)) for texts in told.values()))


@dataclass(frozen=True, slots=True)
class Health:
    """How the corpus is, for whoever runs it."""

    engine: str
    documents: int
    pending: int
    failed: int
    passages: int
    without_vectors: int
    faults: int
    fault: str
    fault_at: datetime | None


def health(workspace_id: uuid.UUID) -> Health:
    counted = Document.objects.filter(workspace_id=workspace_id).aggregate(
        documents=Count("pk"),
        pending=Count("pk", filter=Q(status=DocumentStatus.PENDING)),
        failed=Count("pk", filter=Q(status=DocumentStatus.FAILED)),
    )
    row = Corpus.objects.filter(pk=workspace_id).first()
    model = engines.model()
    live = Chunk.objects.filter(workspace_id=workspace_id, live=True)
    complete = row is not None and row.embedded_by == model
    return Health(
        engine=model,
        passages=row.chunks if row and not row.stale else live.count(),
        without_vectors=0 if complete else live.exclude(vector__model=model).count(),
        faults=row.faults if row else 0,
        fault=row.fault if row else "",
        fault_at=row.fault_at if row else None,
        **counted,
    )


def mentions(workspace_id: uuid.UUID, needles: list[str]) -> list[dict[str, Any]]:
    """Documents in which one of these texts stands, for whoever asks what is known of a person.

    A phone number is found however it is written.
    """
    digits = [
        only for one in needles if len(only := "".join(filter(str.isdigit, one))) >= 7 and "@" not in one
    ]
    texts = [one for one in needles if "@" in one]
    said = Q()
    for one in texts:
        said |= Q(text__icontains=one)
    for one in digits:
        # With anything but digits between them; the country's code may be left out.
        pattern = r"[^0-9]{0,3}".join(one[-9:])
        said |= Q(text__regex=pattern)
    if not said:
        return []
    found = Chunk.objects.filter(said, workspace_id=workspace_id, live=True).order_by("document", "position")
    return [
        dict(one) for one in found.values("document_id", "document__title", "id", "heading", "page")[:500]
    ]
