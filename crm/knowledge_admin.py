"""The knowledge corpus in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from crm.models import Chunk, Corpus, Document, DocumentSource, DocumentVersion, EntryKind
from crm.selectors import knowledge as read
from crm.services import knowledge
from tenex.adminsite import Evidence, EvidenceInline, Page, ServiceForm


class VersionInline(EvidenceInline):
    model = DocumentVersion
    fields = ("number", "status", "error", "content_type", "size_bytes", "fetched_at", "indexed_at", "actor")
    readonly_fields = fields


class DocumentForm(ServiceForm):
    """What was typed can be typed anew; files and pages come in through the console or the API."""

    text = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 20}), required=False, help_text="Markdown. Of typed documents."
    )
    entry_kind = forms.ChoiceField(
        choices=[("", "A document"), *EntryKind.choices], required=False, label="Kind"
    )

    class Meta:
        model = Document
        fields = ("workspace", "title", "language", "entry_kind")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row = self.instance
        if row._state.adding:
            return
        typed = row.source in (DocumentSource.TEXT, DocumentSource.ENTRY)
        self.fields["text"].disabled = not typed
        self.fields["entry_kind"].disabled = row.source != DocumentSource.ENTRY
        if typed:
            self.initial["text"] = read.newest_text(row)

    def write(self, row: Document, changed: dict[str, Any]) -> Document:
        if row._state.adding:
            return knowledge.create_text(
                self.cleaned_data["workspace"],
                title=changed["title"],
                text=changed.get("text", ""),
                entry_kind=changed.get("entry_kind", ""),
                language=changed.get("language", ""),
                actor=self.actor,
            )
        return knowledge.update(row.workspace, row.pk, actor=self.actor, **changed)


@admin.register(Document)
class DocumentAdmin(Page):
    """Saving puts it into the queue: calls find the new text as soon as it is indexed."""

    form = DocumentForm
    resource = "knowledge"
    console = "/console/knowledge/"
    list_display = ("title", "source", "entry_kind", "workspace", "status", "error", "updated_at")
    list_filter = ("status", "source", "entry_kind", "workspace")
    search_fields = ("title", "url")
    fields = (
        "workspace", "title", "language", "entry_kind", "text", "source", "url", "status", "error", "served",
        "created_at", "updated_at",
    )  # fmt: skip
    readonly_fields = ("source", "url", "status", "error", "served", "created_at", "updated_at")
    inlines = (VersionInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.readonly_fields, "workspace") if obj else self.readonly_fields

    def delete_model(self, request: HttpRequest, obj: Document) -> None:
        knowledge.delete(obj.workspace, obj.pk, actor=f"user:{request.user.get_username()}")


@admin.register(Chunk)
class ChunkAdmin(Evidence):
    resource = "knowledge"
    list_display = ("document", "position", "heading", "page", "live", "enabled")
    list_filter = ("live", "enabled", "language", "workspace")
    search_fields = ("title", "heading", "text")
    list_select_related = ("document",)
    fields = (
        "workspace", "document", "version", "position", "title", "heading", "page", "text", "language",
        "live", "enabled",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("search")


@admin.register(Corpus)
class CorpusAdmin(Evidence):
    """How the corpus is: counted when, embedded by which model, and the last search that failed."""

    resource = "knowledge"
    list_display = ("workspace", "chunks", "embedded_by", "counted_at", "faults", "fault", "fault_at")
    exclude = ("words", "lease_until", "tries")
