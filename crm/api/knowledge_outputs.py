"""How documents, passages and search results look on the wire."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f

from crm.models import Chunk, Document, DocumentSource, DocumentStatus, DocumentVersion, EntryKind
from crm.selectors.knowledge import Health
from crm.selectors.retrieval import Found
from tenex.rest.serializers import Output


class DocumentOut(Output):
    """A document. `status` is of the newest version; `served_version` is the one that is searched."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id")
    title = f.CharField()
    source = f.ChoiceField(choices=DocumentSource.choices)  # type: ignore[assignment]
    entry_kind = f.SerializerMethodField(help_text="Of a structured entry.")
    url = f.SerializerMethodField()
    language = f.SerializerMethodField(help_text="null: found out.")
    status = f.ChoiceField(choices=DocumentStatus.choices)
    error_code = f.SerializerMethodField(help_text="Why the newest version failed.")
    error = f.SerializerMethodField(help_text="The same for people.")
    latest_version = f.IntegerField(source="latest")
    served_version = f.IntegerField(source="served", allow_null=True)
    chunks = f.IntegerField(source="passages", help_text="Passages that are searched, disabled ones too.")
    chunks_disabled = f.IntegerField(source="passages_off")
    created_at = f.DateTimeField()
    updated_at = f.DateTimeField()

    @extend_schema_field({"type": ["string", "null"], "enum": [*EntryKind.values, None]})
    def get_entry_kind(self, row: Document) -> str | None:
        return row.entry_kind or None

    def get_url(self, row: Document) -> str | None:
        return row.url or None

    def get_language(self, row: Document) -> str | None:
        return row.language or None

    def get_error_code(self, row: Document) -> str | None:
        return row.error_code or None

    def get_error(self, row: Document) -> str | None:
        return row.error or None


class DocumentDetailOut(DocumentOut):
    """A document with what was typed."""

    text = f.SerializerMethodField(help_text="Of typed documents and entries: the newest text, Markdown.")

    def get_text(self, row: Document) -> str | None:
        typed = row.source in (DocumentSource.TEXT, DocumentSource.ENTRY)
        return self.context["text"] if typed else None


class VersionOut(Output):
    """One state of a document's source."""

    id = f.UUIDField()
    number = f.IntegerField()
    status = f.ChoiceField(choices=DocumentStatus.choices)
    error_code = f.SerializerMethodField()
    error = f.SerializerMethodField()
    file_name = f.CharField()
    content_type = f.CharField()
    size_bytes = f.IntegerField()
    sha256 = f.CharField(help_text="Of the source; empty for what was typed.")
    url = f.CharField(help_text="Where it was fetched from, after redirects.")
    fetched_at = f.DateTimeField(allow_null=True)
    language = f.CharField()
    pages = f.IntegerField(allow_null=True)
    chunks = f.IntegerField(source="passages")
    actor = f.CharField()
    created_at = f.DateTimeField()
    indexed_at = f.DateTimeField(allow_null=True)

    def get_error_code(self, row: DocumentVersion) -> str | None:
        return row.error_code or None

    def get_error(self, row: DocumentVersion) -> str | None:
        return row.error or None


class ChunkOut(Output):
    """A passage. Disabled ones are not found, and their text stays out of later versions."""

    id = f.UUIDField()
    position = f.IntegerField()
    heading = f.CharField()
    page = f.IntegerField(allow_null=True)
    text = f.CharField()
    enabled = f.BooleanField()
    embedding_model = f.SerializerMethodField(help_text="null: its vector is still to come.")

    def get_embedding_model(self, row: Chunk) -> str | None:
        vector = getattr(row, "vector", None)
        return vector.model if vector is not None else None


class MarkedOut(Output):
    """A piece of a text."""

    text = f.CharField()
    match = f.BooleanField(help_text="Whether it is one of the question's words.")


class FoundOut(Output):
    """A passage and why it was found."""

    chunk_id = f.UUIDField()
    document_id = f.UUIDField()
    document = f.CharField()
    entry_kind = f.SerializerMethodField()
    heading = f.CharField()
    page = f.IntegerField(allow_null=True)
    text = f.CharField()
    parts = f.SerializerMethodField(help_text="The text again, in pieces.")
    score = f.FloatField(help_text="Of both ranks together; compares within one answer only.")
    text_rank = f.IntegerField(
        source="words_place", allow_null=True, help_text="Its place by words, from 1; null: not found so."
    )
    text_score = f.FloatField(source="words_score", allow_null=True)
    vector_rank = f.IntegerField(
        source="meaning_place", allow_null=True, help_text="Its place by meaning, from 1; null: not found so."
    )
    vector_distance = f.FloatField(
        source="distance", allow_null=True, help_text="0 is the same, 1 unrelated."
    )

    @extend_schema_field({"type": ["string", "null"], "enum": [*EntryKind.values, None]})
    def get_entry_kind(self, one: Found) -> str | None:
        return one.kind or None

    @extend_schema_field(MarkedOut(many=True))
    def get_parts(self, one: Found) -> list[dict[str, Any]]:
        return parts(one.marked or one.text)


class SearchOut(Output):
    """What an agent would be given."""

    items = FoundOut(many=True)
    model = f.CharField(help_text="Whose vectors were compared.")
    without_vectors = f.CharField(allow_null=True, help_text="Why meaning took no part; null when it did.")


class CorpusHealthOut(Output):
    """How the corpus is."""

    engine = f.CharField(help_text="The model that makes vectors.")
    documents = f.IntegerField()
    pending = f.IntegerField()
    failed = f.IntegerField()
    chunks = f.IntegerField(source="passages")
    chunks_without_vectors = f.IntegerField(source="without_vectors")
    search_faults = f.IntegerField(source="faults")
    last_fault = f.SerializerMethodField()
    last_fault_at = f.DateTimeField(source="fault_at", allow_null=True)

    def get_last_fault(self, one: Health) -> str | None:
        return one.fault or None


def parts(marked: str) -> list[dict[str, Any]]:
    """A text with \\x01 and \\x02 around words, as pieces."""
    found: list[dict[str, Any]] = []
    for piece in marked.split("\x01"):
        word, end, rest = piece.partition("\x02")
        if not end:
            word, rest = "", piece
        found += [{"text": text, "match": match} for text, match in ((word, True), (rest, False)) if text]
    return found
