"""What a worker does with documents, done here and now."""

import uuid

from django.core.files.storage import default_storage

from crm.knowledge.parsing import kinds
from crm.models import Document, DocumentVersion
from crm.services import corpora, knowledge_ingest


def settle() -> None:
    """Until nothing is due."""
    for _ in range(200):
        versions, workspaces = knowledge_ingest.due(), corpora.due()
        if not versions and not workspaces:
            return
        for version_id in versions:
            knowledge_ingest.run(version_id, slice_s=60)
        for workspace_id in workspaces:
            corpora.run(workspace_id, slice_s=60)
    raise AssertionError("there is always something due")


def ready(document: Document) -> Document:
    """The document when all is done."""
    settle()
    return Document.objects.get(pk=document.pk)


def newest(document: Document) -> DocumentVersion:
    return DocumentVersion.objects.filter(document=document).order_by("-number")[0]


def stored(workspace_id: uuid.UUID) -> list[str]:
    """Names of a workspace's sources in the storage."""
    try:
        return sorted(default_storage.listdir(f"knowledge/{workspace_id}")[1])
    except FileNotFoundError:
        return []


__all__ = ["kinds", "newest", "ready", "settle", "stored"]
