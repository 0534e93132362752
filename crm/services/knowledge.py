"""Writing the knowledge corpus."""

import structlog
from django.db import transaction

from crm.knowledge import chunking
from crm.models import Chunk, Document, DocumentStatus
from tenex.lib import storable
from tenex.workspaces.models import Workspace

log = structlog.get_logger(__name__)


def put(workspace: Workspace, title: str, body: str) -> Document:
    """Add or replace the document of that title and index it."""
    cleaned = storable.text(body)
    with transaction.atomic():
        document, created = Document.objects.select_for_update().get_or_create(
            workspace=workspace, title=storable.text(title)[:200], defaults={"body": cleaned}
        )
        if not created and document.body == cleaned and document.status == DocumentStatus.INDEXED:
            return document
        document.body = cleaned
        document.save(update_fields=["body"])
        index(document)
    return document


def index(document: Document) -> int:
    """Cut a document into chunks and replace the ones that it had; returns how many there are now.

    Searches see the old chunks or the new ones, never none.
    """
    with transaction.atomic():
        # Two indexers of one document queue up here instead of colliding on chunk positions.
        Document.objects.select_for_update().get(pk=document.pk)
        found = chunking.passages(document.body)
        Chunk.objects.filter(document=document).delete()
        Chunk.objects.bulk_create(
            Chunk(
                workspace_id=document.workspace_id,
                document=document,
                position=position,
                heading=passage.heading,
                text=passage.text,
            )
            for position, passage in enumerate(found)
        )
        document.status = DocumentStatus.INDEXED if found else DocumentStatus.FAILED
        document.error = "" if found else "there is no text in it"
        document.save(update_fields=["status", "error"])
    log.info("document indexed", document_id=str(document.pk), chunks=len(found))
    return len(found)
