"""What agents look things up in: documents, a document, and what a question would find."""

import uuid
from typing import Any, Final

from django.contrib import messages
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from crm.api.knowledge import DocumentFilters
from crm.api.knowledge_outputs import parts
from crm.models import Document, DocumentSource, DocumentStatus, EntryKind
from crm.models.knowledge import LANGUAGES, LOCAL_MODEL
from crm.pages.column_form import stream
from crm.selectors import knowledge as read
from crm.selectors import retrieval
from crm.services import knowledge as write
from crm.services import passages
from tenex.errors import InvalidInput, NotFound, TenexError, Unavailable, existing
from tenex.pages.forms import filled, problems
from tenex.pages.views import PageView
from tenex.rest import filters as strict
from tenex.rest.errors import QueryInvalid
from tenex.rest.pagination import page, page_in_order

WAYS: Final = (
    ("file", "File", "upload"),
    ("url", "Web page", "link"),
    ("text", "Text", "edit"),
    ("entry", "Entry", "flag"),
)
HINTS: Final = {
    EntryKind.POSITIONING: "What the company is and for whom. Every agent is told it before it speaks.",
    EntryKind.OFFER: "What is sold, with its price and terms. Found when somebody asks.",
    EntryKind.QUESTION: "A question that tells a good lead from others. Found when an agent looks for one.",
    EntryKind.DO_NOT_SAY: "What no agent may say or imply. Every agent is told it before it speaks.",
}
ACCEPT: Final = ".pdf,.docx,.md,.markdown,.txt,.html,.htm,application/pdf,text/plain,text/html,text/markdown"
_ENGINES: Final = {LOCAL_MODEL: "Packaged model (offline)"}


class DocumentList(PageView):
    """Filters as the API's list has them, and how the corpus is."""

    scope = "knowledge:read"
    nav = "knowledge"

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = filled(request.GET)
        context: dict[str, Any] = {
            "asked": asked,
            "sources": DocumentSource.choices,
            "statuses": DocumentStatus.choices,
            "kinds": EntryKind.choices,
            "may_write": self.principal.allows("knowledge:write"),
        }
        try:
            rows = strict.apply(DocumentFilters, asked, read.all_of(self.workspace.pk))
            found = page(rows, asked, bound_to=f"documents:{self.workspace.pk}")
        except (InvalidInput, QueryInvalid) as exc:
            return self.page("console/knowledge.html", {**context, "problems": problems(exc)}, status=422)
        health = read.health(self.workspace.pk)
        waiting = any(one.status == DocumentStatus.PENDING for one in found.items)
        context |= {
            "documents": found.items,
            "next_cursor": found.next_cursor,
            "health": health,
            "engine": _ENGINES.get(health.engine, health.engine.split("/")[1]),
            "is_open": waiting,
        }
        part = request.headers.get("HX-Request") and request.GET.get("part") == "1"
        return self.page("console/knowledge_part.html" if part else "console/knowledge.html", context)


class DocumentNew(PageView):
    """A file, a page of the web, a text, or an entry."""

    scope = "knowledge:write"
    nav = "knowledge"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._form()

    def post(self, request: HttpRequest) -> HttpResponseBase:
        try:
            document = self._made(request)
        except TenexError as exc:
            if isinstance(exc, NotFound):
                raise
            return self._form(error=said(exc), status=exc.status)
        messages.success(request, f"“{document.title}” was added.")
        return HttpResponseRedirect(reverse("document", args=[document.pk]))

    def _made(self, request: HttpRequest) -> Document:
        sent = request.POST
        actor = self.principal.actor
        language = sent.get("language", "")
        if language not in LANGUAGES:
            language = ""
        title = sent.get("title", "").strip()
        match self._way():
            case "url":
                url = sent.get("url", "").strip()
                return write.create_url(self.workspace, url=url, title=title, language=language, actor=actor)
            case "file":
                file = file_of(request)
                return write.create_file(
                    self.workspace,
                    file=stream(file),
                    name=file.name or "",
                    declared=file.content_type or "",
                    title=title,
                    language=language,
                    actor=actor,
                )
            case way:
                kind = sent.get("entry_kind", "") if way == "entry" else ""
                if way == "entry" and kind not in EntryKind.values:
                    raise InvalidInput("choose what it is", loc=("body", "kind"), type_="enum")
                if not title:
                    raise InvalidInput("a title is needed", loc=("body", "title"), type_="missing")
                return write.create_text(
                    self.workspace,
                    title=title,
                    text=sent.get("text", ""),
                    entry_kind=kind,
                    language=language,
                    actor=actor,
                )

    def _way(self) -> str:
        way = self.request.POST.get("as") or self.request.GET.get("as", "")
        return way if way in {key for key, _, _ in WAYS} else "file"

    def _form(self, *, error: str = "", status: int = 200) -> HttpResponse:
        context = {
            "way": self._way(),
            "ways": WAYS,
            "sent": self.request.POST,
            "error": error,
            "languages": LANGUAGES,
            "kinds": [(value, label, HINTS[EntryKind(value)]) for value, label in EntryKind.choices],
            "accept": ACCEPT,
            "entry_chars": write.ENTRY_CHARS,
        }
        return self.page("console/knowledge_new.html", context, status=status)


class DocumentPage(PageView):
    """A document: where it stands, its versions and its passages."""

    scope = "knowledge:read"
    nav = "knowledge"

    def get(self, request: HttpRequest, document_id: uuid.UUID) -> HttpResponse:
        return self.page(*_document_page(self, document_id))


def _document_page(view: PageView, document_id: uuid.UUID, error: str = "") -> tuple[str, dict[str, Any]]:
    document = read.get(view.workspace.pk, document_id)
    asked = filled(view.request.GET)
    typed = document.source in (DocumentSource.TEXT, DocumentSource.ENTRY)
    rows = read.chunks(document)
    if (first := asked.get("from", "")).isdecimal():
        rows = rows.filter(position__gte=min(int(first[:9]), 10**8))
    chunks = page_in_order(rows, asked, by="position", bound_to=f"chunks:{document.pk}")
    context = {
        "document": document,
        "typed": typed,
        "text": read.newest_text(document) if typed else "",
        "versions": list(read.versions(document)[:10]),
        "chunks": chunks.items,
        "next_cursor": chunks.next_cursor,
        "is_open": document.status == DocumentStatus.PENDING,
        "may_write": view.principal.allows("knowledge:write"),
        "languages": LANGUAGES,
        "kinds": EntryKind.choices,
        "accept": ACCEPT,
        "error": error,
    }
    part = view.request.headers.get("HX-Request") and view.request.GET.get("part") == "1"
    return "console/document_part.html" if part else "console/document.html", context


class ChunkPlace(PageView):
    """Where a passage is that a call has cited."""

    scope = "knowledge:read"
    nav = "knowledge"

    def get(self, request: HttpRequest, chunk_id: uuid.UUID) -> HttpResponseBase:
        found = existing(
            read.place_of(self.workspace.pk, chunk_id),
            "this passage was changed or deleted since; the call has kept its text",
        )
        document_id, position = found
        query = f"?from={position - 2}" if position > 20 else ""
        return HttpResponseRedirect(f"{reverse('document', args=[document_id])}{query}#chunk-{chunk_id}")


class _Change(PageView):
    """A form of a document's page: back to it, or the page with what is wrong."""

    scope = "knowledge:write"
    nav = "knowledge"
    done = ""

    def post(self, request: HttpRequest, document_id: uuid.UUID, **names: Any) -> HttpResponseBase:
        try:
            self.act(request, document_id, **names)
        except TenexError as exc:
            if isinstance(exc, NotFound | Unavailable):
                raise
            template, context = _document_page(self, document_id, said(exc))
            return self.page(template, context, status=exc.status)
        if self.done:
            messages.success(request, self.done)
        return HttpResponseRedirect(self.after(document_id))

    def after(self, document_id: uuid.UUID) -> str:
        return reverse("document", args=[document_id])

    def act(self, request: HttpRequest, document_id: uuid.UUID, **names: Any) -> None:
        raise NotImplementedError


class DocumentEdit(_Change):
    done = "Saved. It is searched as soon as it is indexed."

    def act(self, request: HttpRequest, document_id: uuid.UUID, **names: Any) -> None:
        fields = ("title", "language", "text", "entry_kind", "url")
        changes = {name: request.POST[name].strip() for name in fields if name in request.POST}
        if changes.get("language") and changes["language"] not in LANGUAGES:
            raise InvalidInput("no such language", loc=("body", "language"), type_="enum")
        if "title" in changes and not changes["title"]:
            raise InvalidInput("a title is needed", loc=("body", "title"), type_="missing")
        write.update(self.workspace, document_id, actor=self.principal.actor, **changes)


class DocumentFile(_Change):
    done = "The file was taken. What was found before is found until the new one is indexed."

    def act(self, request: HttpRequest, document_id: uuid.UUID, **names: Any) -> None:
        read.get(self.workspace.pk, document_id)
        file = file_of(request)
        write.replace_file(
            self.workspace,
            document_id,
            file=stream(file),
            name=file.name or "",
            declared=file.content_type or "",
            actor=self.principal.actor,
        )


class DocumentReingest(_Change):
    done = "It is read again."

    def act(self, request: HttpRequest, document_id: uuid.UUID, **names: Any) -> None:
        write.reingest(self.workspace, document_id, actor=self.principal.actor)


class DocumentDelete(_Change):
    done = "The document was deleted."

    def act(self, request: HttpRequest, document_id: uuid.UUID, **names: Any) -> None:
        write.delete(self.workspace, document_id, actor=self.principal.actor)

    def after(self, document_id: uuid.UUID) -> str:
        return reverse("knowledge")


class ChunkAct(_Change):
    """A passage is taken out, let in again, or deleted."""

    def act(self, request: HttpRequest, document_id: uuid.UUID, **names: Any) -> None:
        chunk_id, act = names["chunk_id"], names["act"]
        actor = self.principal.actor
        if act == "delete":
            passages.delete_chunk(self.workspace, document_id, chunk_id, actor=actor)
        elif act in ("enable", "disable"):
            passages.set_chunk(self.workspace, document_id, chunk_id, enabled=act == "enable", actor=actor)
        else:
            raise NotFound("there is no such action")


class VersionSource(PageView):
    """The source as it came, to be saved and never to be shown by the browser as a page of ours."""

    scope = "knowledge:read"

    def get(self, request: HttpRequest, document_id: uuid.UUID, number: int) -> HttpResponseBase:
        document = read.get(self.workspace.pk, document_id)
        version = read.version(document, number)
        if version.file and default_storage.exists(version.file):
            name = version.file_name or f"{document.title}{version.file[version.file.rfind('.') :]}"
            answer: HttpResponseBase = FileResponse(
                default_storage.open(version.file),
                as_attachment=True,
                filename=name,
                content_type="application/octet-stream",
            )
        elif version.text:
            answer = HttpResponse(version.text, content_type="text/plain; charset=utf-8")
            answer["Content-Disposition"] = f'attachment; filename="{document.pk}-v{number}.md"'
        else:
            raise NotFound("there is no source of this version")
        answer["X-Content-Type-Options"] = "nosniff"
        answer["Cache-Control"] = "no-store"
        return answer


class Search(PageView):
    """What an agent would be given for a question, and why."""

    scope = "knowledge:read"
    nav = "knowledge"

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = request.GET.get("q", "").strip()[: retrieval.MAX_QUERY]
        context: dict[str, Any] = {"q": asked, "health": read.health(self.workspace.pk)}
        if asked:
            result = retrieval.search(self.workspace.pk, asked, 10, explain=True)
            best = max((one.score for one in result.found), default=1.0)
            context |= {
                "result": result,
                "found": [
                    {
                        "one": one,
                        "parts": parts(one.marked or one.text),
                        "share": round(100 * one.score / best),
                        "nearness": None if one.distance is None else 1 - one.distance,
                        "given": number < AGENT_GETS,
                        "kind": EntryKind(one.kind).label if one.kind else "",
                    }
                    for number, one in enumerate(result.found)
                ],
                "agent_gets": AGENT_GETS,
            }
        return self.page("console/knowledge_search.html", context)


AGENT_GETS: Final = 4
"""Passages of one look-up in a call (voice.tools.knowledge)."""


def file_of(request: HttpRequest) -> "UploadedFile[Any]":
    """The file of a form.

    Raises:
        InvalidInput: there is none.
    """
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile) or not file.size:
        raise InvalidInput("choose a file that is not empty", loc=("body", "file"), type_="missing")
    return file


def said(exc: TenexError) -> str:
    """What is wrong, as a sentence."""
    about = str(exc.loc[-1]) if isinstance(exc, InvalidInput) and exc.loc[-1] not in ("file", "body") else ""
    text = f"{about.replace('_', ' ')}: {exc.detail}" if about else exc.detail
    return f"{text[:1].upper()}{text[1:]}."
