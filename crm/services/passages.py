"""Passages: cut out of a version, put in place of the ones before, and taken out by hand."""

import uuid
from typing import Any

from django.db import transaction

from crm.knowledge import blocks, chunking, languages
from crm.knowledge.parsing.refusals import Refused
from crm.models import Chunk, ChunkExclusion, Document, DocumentVersion
from crm.selectors import knowledge as read
from crm.services import corpora
from tenex.lib import storable
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit


def set_chunk(
    workspace: Workspace, document_id: uuid.UUID, chunk_id: uuid.UUID, *, enabled: bool, actor: str
) -> Chunk:
    """Take a passage out of what is found, or let it in again; holds for its text in later versions too.

    Raises:
        NotFound.
    """
    with transaction.atomic():
        document = locked(workspace, document_id)
        chunk = read.chunk(workspace.pk, document_id, chunk_id)
        if chunk.enabled == enabled:
            return chunk
        Chunk.objects.filter(document=document, digest=chunk.digest).update(enabled=enabled)
        if enabled:
            ChunkExclusion.objects.filter(document=document, digest=chunk.digest).delete()
        else:
            ChunkExclusion.objects.get_or_create(
                document=document, digest=chunk.digest, defaults={"deleted": False}
            )
        chunk.enabled = enabled
        note(document, actor, "chunk_enabled" if enabled else "chunk_disabled", {"chunk_id": str(chunk_id)})
        corpora.changed(workspace.pk)
    return chunk


def delete_chunk(workspace: Workspace, document_id: uuid.UUID, chunk_id: uuid.UUID, *, actor: str) -> None:
    """Delete a passage for good: its text is left out of later versions too.

    Raises:
        NotFound.
    """
    with transaction.atomic():
        document = locked(workspace, document_id)
        chunk = read.chunk(workspace.pk, document_id, chunk_id)
        ChunkExclusion.objects.update_or_create(
            document=document, digest=chunk.digest, defaults={"deleted": True}
        )
        Chunk.objects.filter(document=document, digest=chunk.digest).delete()
        note(document, actor, "chunk_deleted", {"chunk_id": str(chunk_id)})
        corpora.changed(workspace.pk)


def cut(version: DocumentVersion, document: Document, found: list[blocks.Block]) -> int:
    """Replace the version's passages by those of its text; how many. In the caller's transaction.

    Raises:
        Refused: there is no text.
    """
    passages = [one for one in chunking.passages(found) if one.text.strip()]
    if not passages:
        raise Refused("no_text")
    whole = blocks.as_text(found)
    version.language = document.language or version.language or languages.found(whole)
    version.text_sha256 = chunking.digest(whole)
    version.text = whole if version.text == "" else version.text
    version.save(update_fields=["language", "text_sha256", "text", "pages"])
    out = dict(ChunkExclusion.objects.filter(document=document).values_list("digest", "deleted"))
    Chunk.objects.filter(version=version).delete()
    rows = [
        Chunk(
            workspace_id=version.workspace_id,
            document=document,
            version=version,
            position=position,
            title=document.title,
            heading=storable.text(one.heading)[:300],
            page=one.page,
            text=storable.text(one.text),
            digest=one.digest,
            language=version.language,
            enabled=one.digest not in out,
        )
        for position, one in enumerate(passages)
        if not out.get(one.digest, False)
    ]
    Chunk.objects.bulk_create(rows, batch_size=500)
    return len(rows)


def serve(document: Document, version: DocumentVersion) -> None:
    """From now on this version is what is found. In the caller's transaction, under the document's lock."""
    Chunk.objects.filter(document=document).exclude(version=version).filter(live=True).delete()
    Chunk.objects.filter(version=version).update(live=True)
    document.served = version.number
    document.save(update_fields=["served"])
    corpora.changed(document.workspace_id)


def locked(workspace: Workspace, document_id: uuid.UUID) -> Document:
    """The document, under its lock.

    Raises:
        NotFound.
    """
    read.get(workspace.pk, document_id)
    return Document.objects.select_for_update().get(pk=document_id)


def note(document: Document, actor: str, what: str, data: dict[str, Any] | None = None) -> None:
    """A line of the audit log."""
    audit.record(
        document.workspace_id,
        actor,
        f"knowledge.{what}",
        object_type="document",
        object_id=document.pk,
        data={"title": document.title, **(data or {})},
    )
