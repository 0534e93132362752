"""Knowledge: documents, their versions and passages, and searching them."""

import uuid
from contextlib import closing
from typing import Any, ClassVar

import django_filters as df
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiRequest
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.knowledge_outputs import (
    ChunkOut,
    CorpusHealthOut,
    DocumentDetailOut,
    DocumentOut,
    SearchOut,
    VersionOut,
)
from crm.api.uploads import Upload, receive
from crm.knowledge.parsing import kinds
from crm.models import Document, DocumentSource, DocumentStatus, EntryKind
from crm.models.knowledge import LANGUAGES
from crm.selectors import knowledge as read
from crm.selectors import retrieval
from crm.services import knowledge as write
from crm.services import passages
from tenex.errors import InvalidInput
from tenex.rest import filters as strict
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page, page_in_order
from tenex.rest.schema import PAGE, filter_parameters, operation, page_of
from tenex.rest.serializers import Input
from tenex.rest.views import ApiView, accepted, no_content

TAG = "Knowledge"
MAX_RESULTS = 20
_FORM_FIELDS = ("title", "language")
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "PDF, DOCX, Markdown, text or HTML."},
        "title": {"type": "string", "maxLength": 200},
        "language": {"type": "string", "enum": list(LANGUAGES)},
    },
    "additionalProperties": False,
}
_FILE = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}},
    "additionalProperties": False,
}


_KINDS = {"file": {"contentType": ", ".join(kinds.KINDS)}}
"""The part must say what it is, or its name must; OpenAPI can say the former."""


class DocumentIn(Input):
    """A document that is typed (`text`) or fetched (`url`), one of the two; with `entry_kind` an entry."""

    title = f.CharField(
        max_length=200, required=False, help_text="Required with `text`. A page brings its own."
    )
    text = f.CharField(max_length=900_000, required=False, trim_whitespace=False, help_text="Markdown.")
    url = f.CharField(max_length=2000, required=False, help_text="https, with a public address.")
    entry_kind = f.ChoiceField(
        choices=EntryKind.choices,
        required=False,
        help_text="Makes it a structured entry of up to 2000 characters. `positioning` and `do_not_say` also "
        "reach the instructions of every agent.",
    )
    language = f.ChoiceField(
        choices=[(name, name) for name in LANGUAGES], required=False, help_text="Absent: found out."
    )
    together: ClassVar[dict[str, Any]] = {
        "if": {"required": ["url"]},
        "then": {"properties": {"text": False, "entry_kind": False}},
        "else": {
            "required": ["text", "title"],
            "dependentSchemas": {"entry_kind": {"properties": {"text": {"maxLength": write.ENTRY_CHARS}}}},
        },
    }


class DocumentPatchIn(Input):
    """Changes of a document. `text` of typed ones, `entry_kind` of entries, `url` of pages."""

    title = f.CharField(max_length=200)
    text = f.CharField(max_length=900_000, trim_whitespace=False)
    url = f.CharField(max_length=2000)
    entry_kind = f.ChoiceField(choices=EntryKind.choices)
    language = f.ChoiceField(choices=[(name, name) for name in LANGUAGES], allow_null=True)


class ChunkPatchIn(Input):
    """Whether the passage is found."""

    enabled = f.BooleanField()


class SearchIn(Input):
    """A question, as a caller would ask it."""

    query = f.CharField(max_length=retrieval.MAX_QUERY)
    limit = f.IntegerField(min_value=1, max_value=MAX_RESULTS, required=False, help_text="5 if absent.")


class DocumentFilters(df.FilterSet):  # type: ignore[misc]
    source = df.ChoiceFilter(choices=DocumentSource.choices, help_text="Where it came from.")
    entry_kind = df.ChoiceFilter(choices=EntryKind.choices, help_text="Kind of a structured entry.")
    status = df.ChoiceFilter(choices=DocumentStatus.choices, help_text="Of the newest version.")
    q = df.CharFilter(method="search", max_length=100, help_text="Words of title or address.")

    def search(self, rows: QuerySet[Document], name: str, value: str) -> QuerySet[Document]:
        return rows.filter(read.matching(value))


class DocumentList(ApiView):
    scopes: ClassVar = {"GET": "knowledge:read", "POST": "knowledge:write"}

    @operation(
        "knowledge_documents_list",
        "List documents",
        "The newest first.",
        tag=TAG,
        response=page_of(DocumentOut),
        parameters=filter_parameters(DocumentFilters),
    )
    def get(self, request: Request) -> Response:
        rows = strict.apply(DocumentFilters, self.query, read.all_of(self.workspace.pk))
        found = page(rows, self.query, bound_to=f"documents:{self.workspace.pk}")
        return Response(found.as_json(DocumentOut))

    @operation(
        "knowledge_documents_create",
        "Add a document",
        "JSON for what is typed or fetched, else a form with a `file` (PDF, DOCX, Markdown, text, HTML, up "
        "to 25 MiB). It is `pending` until a worker has read, cut and embedded it, then `indexed`, or "
        "`failed` with `error_code` and `error`; `knowledge.document.indexed` and `.failed` tell. What is "
        "typed is found by its words at once. A file is looked at before it is taken: 413 `too_large`, 415 "
        "`unsupported_document` or `wrong_content`, 422 for one that is protected, damaged or would take too "
        "much.",
        tag=TAG,
        request={
            "application/json": DocumentIn,
            "multipart/form-data": OpenApiRequest(_FORM, encoding=_KINDS),
        },
        response=DocumentDetailOut,
        status=202,
        errors=(409, 503),
        idempotent=True,
    )
    def post(self, request: Request) -> HttpResponseBase:
        if not _is_form(request):
            return self._create(request)
        upload = receive(request, media_type="multipart/form-data", limit_bytes=write.MAX_BYTES)
        with closing(upload.file):
            request._request.body_digest = upload.digest  # type: ignore[attr-defined]
            return self._store(request, upload)

    @idempotent
    def _create(self, request: Request) -> Response:
        self.known_query()
        asked = self.body(DocumentIn)
        language = asked.get("language", "")
        match asked:
            case {"text": _, "url": _}:
                raise InvalidInput("one of text and url", loc=("body", "url"), type_="extra_forbidden")
            case {"url": _, "entry_kind": _}:
                raise InvalidInput("an entry is typed", loc=("body", "entry_kind"), type_="extra_forbidden")
            case {"url": url}:
                document = write.create_url(
                    self.workspace,
                    url=url,
                    title=asked.get("title", ""),
                    language=language,
                    actor=self.principal.actor,
                )
            case {"text": text, "title": title}:
                document = write.create_text(
                    self.workspace,
                    title=title,
                    text=text,
                    entry_kind=asked.get("entry_kind", ""),
                    language=language,
                    actor=self.principal.actor,
                )
            case {"text": _}:
                raise InvalidInput("is required", loc=("body", "title"), type_="missing")
            case _:
                raise InvalidInput("text or url is required", loc=("body", "text"), type_="missing")
        return accepted(_detail(self.workspace.pk, document.pk))

    @idempotent
    def _store(self, request: Request, upload: Upload) -> Response:
        self.known_query()
        fields = _fields(upload, _FORM_FIELDS)
        document = write.create_file(
            self.workspace,
            file=upload.file,
            name=upload.name,
            declared=upload.declared,
            title=fields.get("title", ""),
            language=fields.get("language", ""),
            actor=self.principal.actor,
        )
        return accepted(_detail(self.workspace.pk, document.pk))


class DocumentDetail(ApiView):
    scopes: ClassVar = {"GET": "knowledge:read", "PATCH": "knowledge:write", "DELETE": "knowledge:write"}

    @operation(
        "knowledge_documents_get",
        "Get a document",
        "With what was typed, if it was typed.",
        tag=TAG,
        response=DocumentDetailOut,
        errors=(404,),
    )
    def get(self, request: Request, document_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(_detail(self.workspace.pk, document_id))

    @operation(
        "knowledge_documents_update",
        "Change a document",
        "Makes a new version where something changes; the old one is searched until that is ready. What an "
        "entry tells agents changes at once.",
        tag=TAG,
        request=DocumentPatchIn,
        response=DocumentDetailOut,
        errors=(404,),
    )
    def patch(self, request: Request, document_id: uuid.UUID) -> Response:
        self.known_query()
        changes = {name: value or "" for name, value in self.body(DocumentPatchIn).items()}
        write.update(self.workspace, document_id, actor=self.principal.actor, **changes)
        return Response(_detail(self.workspace.pk, document_id))

    @operation(
        "knowledge_documents_delete",
        "Delete a document",
        "With its versions, passages and files. Nothing of it is found from then on.",
        tag=TAG,
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, document_id: uuid.UUID) -> Response:
        self.known_query()
        write.delete(self.workspace, document_id, actor=self.principal.actor)
        return no_content()


class DocumentFile(ApiView):
    scopes: ClassVar = {"POST": "knowledge:write"}

    @operation(
        "knowledge_documents_replace",
        "Send a file anew",
        "The same bytes change nothing; others are a new version. Only of documents that are files (409 "
        "`no_file`).",
        tag=TAG,
        request={"multipart/form-data": OpenApiRequest(_FILE, encoding=_KINDS)},
        response=DocumentDetailOut,
        status=202,
        errors=(404, 409, 503),
        idempotent=True,
    )
    def post(self, request: Request, document_id: uuid.UUID) -> HttpResponseBase:
        read.get(self.workspace.pk, document_id)
        upload = receive(request, media_type="multipart/form-data", limit_bytes=write.MAX_BYTES)
        with closing(upload.file):
            request._request.body_digest = upload.digest  # type: ignore[attr-defined]
            return self._store(request, document_id, upload)

    @idempotent
    def _store(self, request: Request, document_id: uuid.UUID, upload: Upload) -> Response:
        self.known_query()
        _fields(upload, ())
        write.replace_file(
            self.workspace,
            document_id,
            file=upload.file,
            name=upload.name,
            declared=upload.declared,
            actor=self.principal.actor,
        )
        return accepted(_detail(self.workspace.pk, document_id))


class DocumentVersions(ApiView):
    scopes: ClassVar = {"GET": "knowledge:read"}

    @operation(
        "knowledge_documents_versions",
        "List the versions of a document",
        "The newest first; the last ten are kept.",
        tag=TAG,
        response=page_of(VersionOut),
        parameters=PAGE,
        errors=(404,),
    )
    def get(self, request: Request, document_id: uuid.UUID) -> Response:
        self.known_query(PAGE_PARAMETERS)
        document = read.get(self.workspace.pk, document_id)
        found = page(read.versions(document), self.query, bound_to=f"versions:{document.pk}")
        return Response(found.as_json(VersionOut))


class DocumentReingest(ApiView):
    scopes: ClassVar = {"POST": "knowledge:write"}

    @operation(
        "knowledge_documents_reingest",
        "Read a document again",
        "A page is fetched anew, a file is parsed anew. Where nothing has changed no version is left of it. "
        "A version that waits is tried at once instead.",
        tag=TAG,
        response=DocumentDetailOut,
        status=202,
        errors=(404,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, document_id: uuid.UUID) -> Response:
        self.known_query()
        write.reingest(self.workspace, document_id, actor=self.principal.actor)
        return accepted(_detail(self.workspace.pk, document_id))


class ChunkList(ApiView):
    scopes: ClassVar = {"GET": "knowledge:read"}

    @operation(
        "knowledge_chunks_list",
        "List the passages of a document",
        "Of the version that is searched, in the order of the document.",
        tag=TAG,
        response=page_of(ChunkOut),
        parameters=PAGE,
        errors=(404,),
    )
    def get(self, request: Request, document_id: uuid.UUID) -> Response:
        self.known_query(PAGE_PARAMETERS)
        document = read.get(self.workspace.pk, document_id)
        rows = read.chunks(document)
        found = page_in_order(rows, self.query, by="position", bound_to=f"chunks:{document.pk}")
        return Response(found.as_json(ChunkOut))


class ChunkDetail(ApiView):
    scopes: ClassVar = {"PATCH": "knowledge:write", "DELETE": "knowledge:write"}

    @operation(
        "knowledge_chunks_update",
        "Disable or enable a passage",
        "A disabled passage is not found, and stays out of later versions that have the same text.",
        tag=TAG,
        request=ChunkPatchIn,
        response=ChunkOut,
        errors=(404,),
    )
    def patch(self, request: Request, document_id: uuid.UUID, chunk_id: uuid.UUID) -> Response:
        self.known_query()
        asked = self.body(ChunkPatchIn)
        chunk = read.chunk(self.workspace.pk, document_id, chunk_id)
        if "enabled" in asked:
            chunk = passages.set_chunk(
                self.workspace, document_id, chunk_id, enabled=asked["enabled"], actor=self.principal.actor
            )
        return Response(ChunkOut(chunk).data)

    @operation(
        "knowledge_chunks_delete",
        "Delete a passage",
        "For good: later versions leave the same text out.",
        tag=TAG,
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, document_id: uuid.UUID, chunk_id: uuid.UUID) -> Response:
        self.known_query()
        passages.delete_chunk(self.workspace, document_id, chunk_id, actor=self.principal.actor)
        return no_content()


class Search(ApiView):
    scopes: ClassVar = {"POST": "knowledge:read"}

    @operation(
        "knowledge_search",
        "Search the documents",
        "As an agent does in a call, with what made each passage be found: its place by words, its place by "
        "meaning, and both fused. Nothing is found where nothing is near the question.",
        tag=TAG,
        request=SearchIn,
        response=SearchOut,
    )
    def post(self, request: Request) -> Response:
        self.known_query()
        asked = self.body(SearchIn)
        result = retrieval.search(self.workspace.pk, asked["query"], asked.get("limit", 5), explain=True)
        return Response(searched(result))


class CorpusHealth(ApiView):
    scopes: ClassVar = {"GET": "knowledge:read"}

    @operation(
        "knowledge_health",
        "How the corpus is",
        "What waits, what failed, which model embeds, and the last search in a call that failed.",
        tag=TAG,
        response=CorpusHealthOut,
    )
    def get(self, request: Request) -> Response:
        self.known_query()
        return Response(CorpusHealthOut(read.health(self.workspace.pk)).data)


def searched(result: retrieval.Result) -> dict[str, Any]:
    """A result as the API and MCP tell it."""
    told = {"items": result.found, "model": result.model, "without_vectors": result.meaning or None}
    return dict(SearchOut(told).data)


def _is_form(request: Request) -> bool:
    return (request.content_type or "").lower().startswith("multipart/")


def _detail(workspace_id: uuid.UUID, document_id: uuid.UUID) -> dict[str, Any]:
    document = read.get(workspace_id, document_id)
    return dict(DocumentDetailOut(document, context={"text": read.newest_text(document)}).data)


def _fields(upload: Upload, names: tuple[str, ...]) -> dict[str, str]:
    for name, value in upload.fields.items():
        if name not in names:
            raise InvalidInput("unknown field", loc=("body", name), type_="extra_forbidden")
        if name == "title" and len(value) > 200:
            raise InvalidInput("more than 200 characters", loc=("body", name), type_="too_long")
        if name == "language" and value not in LANGUAGES:
            raise InvalidInput(f"must be one of {', '.join(LANGUAGES)}", loc=("body", name), type_="enum")
    return upload.fields
