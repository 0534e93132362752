"""Typed documents that are there become their own first version; their passages wait for vectors only."""

import hashlib

from django.db import migrations
from django.utils import timezone

ROWS = 100


def digest(text):
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()


def fill(apps, schema_editor):
    Document = apps.get_model("crm", "Document")
    Version = apps.get_model("crm", "DocumentVersion")
    Chunk = apps.get_model("crm", "Chunk")
    Corpus = apps.get_model("crm", "Corpus")
    while documents := list(Document.objects.filter(latest=0).order_by("pk")[:ROWS]):
        for document in documents:
            indexed = document.status == "indexed"
            version = Version.objects.create(
                workspace_id=document.workspace_id,
                document=document,
                number=1,
                status=document.status,
                error=document.error,
                actor="system:migration",
                text=document.body,
                content_type="text/markdown",
                size_bytes=len(document.body.encode()),
                text_sha256=digest(document.body) if indexed else "",
                language="english",
                indexed_at=timezone.now() if indexed else None,
            )
            chunks = list(Chunk.objects.filter(document=document).defer("search"))
            for chunk in chunks:
                chunk.version, chunk.title, chunk.digest = version, document.title, digest(chunk.text)
                chunk.language, chunk.live = "english", True
            Chunk.objects.bulk_update(chunks, ["version", "title", "digest", "language", "live"])
            document.latest, document.served = 1, 1 if chunks else None
            document.save(update_fields=["latest", "served"])
            Corpus.objects.get_or_create(workspace_id=document.workspace_id)


class Migration(migrations.Migration):
    dependencies = [("crm", "0042_knowledge")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
