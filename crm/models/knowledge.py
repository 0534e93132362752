"""What an agent may look up during a call."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import GeneratedField, Value

from tenex.lib.models import Row
from tenex.workspaces.models import Workspace


class DocumentStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    INDEXED = "indexed", "Indexed"
    FAILED = "failed", "Failed"


class Document(Row):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="documents")
    title = models.CharField(max_length=200)
    body = models.TextField(help_text="Markdown.")
    status = models.CharField(max_length=10, choices=DocumentStatus.choices, default=DocumentStatus.PENDING)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("title",)

    def __str__(self) -> str:
        return self.title


class Chunk(Row):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="chunks")
    position = models.PositiveIntegerField()
    heading = models.CharField(max_length=300, blank=True)
    text = models.TextField()
    search = GeneratedField(
        expression=SearchVector("heading", weight="A", config=Value("english"))
        + SearchVector("text", weight="B", config=Value("english")),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta:
        ordering = ("document", "position")
        constraints = [models.UniqueConstraint(fields=("document", "position"), name="chunk_position_once")]
        indexes = [GinIndex(fields=("search",), name="chunk_search")]
