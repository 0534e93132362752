"""Writing the knowledge corpus: documents, their versions, and passages that are taken out.

A version is a place in a queue; a worker turns it into passages (crm.services.knowledge_ingest). Only what
was typed is there at once: its first version is found by its words while its vectors are still to come.
"""

import hashlib
import uuid
from collections.abc import Mapping
from pathlib import PurePath
from typing import IO, Any, Final
from urllib.parse import urlsplit

import structlog
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from crm.knowledge import blocks, chunking, fetching
from crm.knowledge.parsing import kinds, sandbox
from crm.knowledge.parsing.refusals import MAX_CHARS, Refused
from crm.models import (
    Document,
    DocumentSource,
    DocumentStatus,
    DocumentVersion,
    EntryKind,
)
from crm.selectors import knowledge as read
from crm.services import corpora, passages
from tenex.errors import Conflict, InvalidInput, TenexError
from tenex.lib import guarded_http, storable
from tenex.lib.ids import uuid7
from tenex.lib.wake import wake
from tenex.workspaces.models import Workspace

log = structlog.get_logger(__name__)

MAX_BYTES: Final = 25 * 1024 * 1024
MAX_DOCUMENTS: Final = 5000
MAX_PENDING: Final = 200
ENTRY_CHARS: Final = 2000
FOLDER: Final = "knowledge"
_BLOCK_BYTES: Final = 1 << 20
_ENDING: Final = {kinds.PDF: ".pdf", kinds.DOCX: ".docx", kinds.HTML: ".html", kinds.MARKDOWN: ".md"}


class DocumentRefused(TenexError):
    """The document is too large, or of a kind that is not read."""

    code = "unsupported_document"
    status = 415


def refusal(exc: Refused, field: str) -> TenexError:
    """What the API answers to it: 413 and 415 have a code, everything else is a wrong field."""
    if exc.status == 422:
        return InvalidInput(exc.words, loc=("body", field), type_=exc.code)
    made = DocumentRefused(exc.words, code=exc.code)
    made.status = exc.status
    return made


# --- documents


def create_text(
    workspace: Workspace,
    *,
    title: str,
    text: str,
    entry_kind: str = "",
    language: str = "",
    actor: str,
) -> Document:
    """A document, or with `entry_kind` an entry, of Markdown that was typed; found by its words at once.

    Raises:
        InvalidInput: there is no text in it, or too much. Conflict: `too_many_documents`.
    """
    cleaned = _text(text, ENTRY_CHARS if entry_kind else MAX_CHARS)
    source = DocumentSource.ENTRY if entry_kind else DocumentSource.TEXT
    with transaction.atomic():
        document = _document(
            workspace, title, source=source, entry_kind=entry_kind, language=language, actor=actor
        )
        version = _version(document, actor, content_type=kinds.MARKDOWN, text=cleaned)
        passages.cut(version, document, blocks.of_markdown(cleaned))
        passages.serve(document, version)
        corpora.lacks_vectors(workspace.pk)
    return document


def create_url(
    workspace: Workspace, *, url: str, title: str = "", language: str = "", actor: str
) -> Document:
    """A page or file of the web; a worker fetches it.

    Raises:
        InvalidInput: an address that is not fetched. Conflict: `too_many_documents`.
    """
    _check_url(url)
    with transaction.atomic():
        document = _document(
            workspace,
            title or default_title(url=url),
            source=DocumentSource.URL,
            url=url,
            language=language,
            actor=actor,
        )
        _version(document, actor)
    return document


def create_file(
    workspace: Workspace,
    *,
    file: IO[bytes],
    name: str,
    declared: str,
    title: str = "",
    language: str = "",
    actor: str,
) -> Document:
    """A file that was sent. What can be told of it in a moment is judged at once; a worker reads it.

    Raises:
        DocumentRefused, InvalidInput: it cannot be taken. Conflict: `too_many_documents`. Unavailable.
    """
    stored = _keep(workspace, file, name, declared)
    try:
        with transaction.atomic():
            document = _document(
                workspace,
                title or default_title(name=name),
                source=DocumentSource.FILE,
                language=language,
                actor=actor,
            )
            _version(document, actor, **stored)
    except BaseException:
        default_storage.delete(stored["file"])
        raise
    return document


def replace_file(
    workspace: Workspace, document_id: uuid.UUID, *, file: IO[bytes], name: str, declared: str, actor: str
) -> Document:
    """A file anew. The same bytes change nothing; others are a new version, and the old one is found
    until that is ready.

    Raises:
        NotFound. Conflict: `no_file`: the document is not a file. As :func:`create_file`.
    """
    document = read.get(workspace.pk, document_id)
    if document.source != DocumentSource.FILE:
        raise Conflict("this document is not a file", code="no_file")
    stored = _keep(workspace, file, name, declared)
    try:
        with transaction.atomic():
            document = passages.locked(workspace, document_id)
            newest = document.versions.order_by("-number").first()
            same = newest is not None and newest.sha256 == stored["sha256"]
            if same and newest is not None and newest.status != DocumentStatus.FAILED:
                default_storage.delete(stored["file"])
                return document
            _version(document, actor, **stored)
            passages.note(document, actor, "replaced")
    except BaseException:
        default_storage.delete(stored["file"])
        raise
    return document


def update(workspace: Workspace, document_id: uuid.UUID, *, actor: str, **changes: str) -> Document:
    """Change `title`, `language`, and `text`, `entry_kind` or `url` of a document that has such.

    What is searched changes when the new version is ready; what is said to agents (entries) at once.

    Raises:
        NotFound. InvalidInput: a field that this kind of document does not have, or a wrong value.
    """
    _changeable(read.get(workspace.pk, document_id), changes)
    if "url" in changes:
        _check_url(changes["url"])
    with transaction.atomic():
        document = passages.locked(workspace, document_id)
        before = {name: getattr(document, name) for name in ("title", "language", "entry_kind", "url")}
        newest = document.versions.order_by("-number").first()
        text = newest.text if newest else ""
        for name in before:
            if name in changes:
                setattr(document, name, storable.text(changes[name]))
        if "text" in changes:
            text = _text(changes["text"], ENTRY_CHARS if document.entry_kind else MAX_CHARS)
        changed = {name for name, value in before.items() if getattr(document, name) != value}
        if newest is not None and text != newest.text:
            changed.add("text")
        if not changed:
            return document
        document.updated_at = timezone.now()
        document.save(update_fields=[*before, "updated_at"])
        if changed - {"entry_kind"}:
            _version(document, actor, **_source_of(document, newest, text, fetched="url" not in changed))
        passages.note(document, actor, "updated", {"fields": sorted(changed)})
    return document


def reingest(workspace: Workspace, document_id: uuid.UUID, *, actor: str) -> Document:
    """Read the source again: a page is fetched anew, a file is parsed anew.

    While a version is waiting, that one is tried at once and no other is made.

    Raises:
        NotFound.
    """
    with transaction.atomic():
        document = passages.locked(workspace, document_id)
        newest = document.versions.order_by("-number").first()
        if newest is not None and newest.status == DocumentStatus.PENDING:
            DocumentVersion.objects.filter(pk=newest.pk, lease=None).update(lease_until=timezone.now())
            wake("crm.knowledge.ingest", str(newest.pk))
            return document
        text = newest.text if newest else ""
        _version(document, actor, **_source_of(document, newest, text, fetched=False))
        passages.note(document, actor, "reingested")
    return document


def delete(workspace: Workspace, document_id: uuid.UUID, *, actor: str) -> None:
    """The document with its versions, passages and files.

    Raises:
        NotFound.
    """
    with transaction.atomic():
        document = passages.locked(workspace, document_id)
        files = set(document.versions.exclude(file="").values_list("file", flat=True))
        passages.note(document, actor, "deleted")
        document.delete()
        corpora.changed(workspace.pk)
        transaction.on_commit(lambda: drop_files(files), robust=True)


def put(workspace: Workspace, title: str, body: str, *, actor: str = "system") -> Document:
    """Add or replace the typed document of that title."""
    known = Document.objects.filter(
        workspace=workspace, title=storable.text(title)[:200], source=DocumentSource.TEXT
    ).first()
    if known is None:
        return create_text(workspace, title=title, text=body, actor=actor)
    return update(workspace, known.pk, actor=actor, text=body)


# --- what a worker does too


def drop_files(names: set[str]) -> None:
    """Delete files that no version names any more; what cannot be deleted now is found by the daily round."""
    for name in names:
        if DocumentVersion.objects.filter(file=name).exists():
            continue
        try:
            default_storage.delete(name)
        except OSError as exc:
            log.warning("document file not deleted", error=type(exc).__name__)


def default_title(*, name: str = "", url: str = "") -> str:
    """What a document is called until it says so itself."""
    if name:
        return (PurePath(name.replace("\\", "/")).stem or name)[:200]
    parts = urlsplit(url)
    return f"{parts.hostname or ''}{parts.path}".rstrip("/")[:200] or url[:200]


# --- inside


def _text(text: str, most: int) -> str:
    cleaned = storable.text(text).strip()
    if not cleaned or not chunking.passages(blocks.of_markdown(cleaned)):
        raise InvalidInput("there is no text in it", loc=("body", "text"), type_="no_text")
    if len(cleaned) > most:
        raise InvalidInput(f"more than {most} characters", loc=("body", "text"), type_="too_long")
    return cleaned


def _check_url(url: str) -> None:
    try:
        guarded_http.check(url, fetching.policy(), timeout_s=5.0)
    except guarded_http.AddressRefused as exc:
        raise InvalidInput(str(exc), loc=("body", "url"), type_="url") from exc
    except guarded_http.ExchangeFailed as exc:
        raise InvalidInput(str(exc), loc=("body", "url"), type_="url") from exc


def _changeable(document: Document, changes: Mapping[str, str]) -> None:
    of = {
        DocumentSource.TEXT: {"text"},
        DocumentSource.ENTRY: {"text", "entry_kind"},
        DocumentSource.URL: {"url"},
        DocumentSource.FILE: set[str](),
    }[DocumentSource(document.source)]
    for name in changes:
        if name not in of | {"title", "language"}:
            raise InvalidInput(
                f"a document of source {document.source} has none", loc=("body", name), type_="not_of_source"
            )
    if document.source == DocumentSource.ENTRY and changes.get("entry_kind", "x") not in {"x", *EntryKind}:
        raise InvalidInput("no such kind", loc=("body", "entry_kind"), type_="enum")


def _document(workspace: Workspace, title: str, *, actor: str, **fields: str) -> Document:
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    mine = Document.objects.filter(workspace=workspace)
    if mine.count() >= MAX_DOCUMENTS:
        raise Conflict(f"the workspace has {MAX_DOCUMENTS} documents", code="too_many_documents")
    if mine.filter(status=DocumentStatus.PENDING).count() >= MAX_PENDING:
        raise Conflict(f"{MAX_PENDING} documents are waiting already", code="too_many_documents")
    document = Document.objects.create(
        workspace=workspace,
        title=storable.text(" ".join(title.split()))[:200],
        **{name: storable.text(value) for name, value in fields.items()},
    )
    passages.note(document, actor, "created", {"source": document.source})
    return document


def _version(document: Document, actor: str, **fields: Any) -> DocumentVersion:
    """The next version, in the queue. Under the document's lock, or of one that nobody else sees yet."""
    document.latest += 1
    document.status, document.error_code, document.error = DocumentStatus.PENDING, "", ""
    document.updated_at = timezone.now()
    document.save(update_fields=["latest", "status", "error_code", "error", "updated_at"])
    version = DocumentVersion.objects.create(
        workspace_id=document.workspace_id, document=document, number=document.latest, actor=actor, **fields
    )
    wake("crm.knowledge.ingest", str(version.pk))
    return version


def _source_of(
    document: Document, newest: DocumentVersion | None, text: str, *, fetched: bool
) -> dict[str, Any]:
    """The source of a version that is made of the one before. `fetched`: a page's file is taken over too."""
    if newest is None:
        return {}
    if document.source in (DocumentSource.TEXT, DocumentSource.ENTRY):
        return {"content_type": kinds.MARKDOWN, "text": text, "size_bytes": len(text.encode())}
    if document.source == DocumentSource.URL and not fetched:
        return {}
    names = ("file", "file_name", "content_type", "size_bytes", "sha256", "url", "fetched_at")
    return {name: getattr(newest, name) for name in names}


def _keep(workspace: Workspace, file: IO[bytes], name: str, declared: str) -> dict[str, Any]:
    """Judge a file and put it into the storage; the fields of its version."""
    try:
        kind = kinds.of(file, name=name, declared=declared)
        sandbox.inspect(kind, file)
    except Refused as exc:
        raise refusal(exc, "file") from exc
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
        size += len(block)
    if size > MAX_BYTES:
        raise refusal(Refused("too_large"), "file")
    file.seek(0)
    return {
        "file": default_storage.save(place(workspace.pk, uuid7(), kind), File(file)),
        "file_name": storable.text(PurePath(name.replace("\\", "/")).name)[:200],
        "content_type": kind,
        "size_bytes": size,
        "sha256": digest.hexdigest(),
    }


def place(workspace_id: uuid.UUID, key: uuid.UUID, kind: str) -> str:
    """The name of a source in the storage: nothing of it was chosen by whoever sent it."""
    return f"{FOLDER}/{workspace_id}/{key}{_ENDING.get(kind, '.txt')}"
