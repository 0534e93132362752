"""A worker at a document: fetch, read, cut, embed, and only then let it take the place of the one before.

Each step leaves what it did in rows, so whoever comes after a worker that died goes on from there. A worker
that lost its lease finds that out before it writes. What is found meanwhile is the old version, whole.
"""

import hashlib
import shutil
import tempfile
import time
import uuid
from contextlib import closing
from datetime import timedelta
from typing import Any, Final, Literal

import structlog
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from crm.knowledge import blocks, fetching, languages
from crm.knowledge.embedding import engines
from crm.knowledge.fetching import FetchFailed
from crm.knowledge.parsing import kinds, sandbox
from crm.knowledge.parsing.refusals import Refused
from crm.models import Chunk, ChunkVector, Document, DocumentSource, DocumentStatus, DocumentVersion
from crm.services import corpora, knowledge, passages
from tenex.errors import Unavailable
from tenex.events import services as events
from tenex.lib import backoff, failpoint, storable
from tenex.workspaces.models import Workspace

log = structlog.get_logger(__name__)

LEASE_S: Final = 180.0
SLICE_S: Final = 5.0
MAX_TRIES: Final = 5
"""Of a step; one that got somewhere counts anew."""
_EMBED_TRIES: Final = 3
"""Then it is found by its words alone, until the vectors can be had."""
_KEPT_VERSIONS: Final = 10
AT_ONCE: Final = 2
"""Documents that are worked at in the whole installation: the same workers finalize calls."""

type Outcome = Literal["busy", "more", "done"]


class _LostLease(Exception):
    pass


def due(limit: int = 50) -> list[uuid.UUID]:
    """Versions that nobody is at, the oldest first."""
    waiting = DocumentVersion.objects.filter(status=DocumentStatus.PENDING, lease_until__lte=timezone.now())
    return list(waiting.order_by("lease_until").values_list("pk", flat=True)[:limit])


def run(version_id: uuid.UUID, *, slice_s: float = SLICE_S) -> Outcome:
    """Work at a version for some seconds. Any number may try at once.

    `busy`: somebody else is at it, or enough others are being worked at.
    """
    lease = uuid.uuid4()
    if _at_work() >= AT_ONCE or not _claim(version_id, lease):
        return "busy"
    version = DocumentVersion.objects.select_related("document").get(pk=version_id)
    try:
        if version.tries > MAX_TRIES:
            _fail(version, lease, "gave_up", "reading it ended early too often")
        elif _work(version, lease, time.monotonic() + slice_s):
            return "more"
    except _LostLease:
        log.info("document taken over", document_version_id=str(version_id))
    except Refused as exc:
        _fail(version, lease, exc.code, exc.words)
    except FetchFailed as exc:
        if exc.retryable and version.tries < MAX_TRIES:
            _later(version, lease, str(exc))
        else:
            _fail(version, lease, exc.code, str(exc))
    except (Unavailable, OSError) as exc:  # too many documents at once, or the storage is away
        _later(version, lease, type(exc).__name__)
    return "done"


def _at_work() -> int:
    leased = DocumentVersion.objects.filter(status=DocumentStatus.PENDING, lease_until__gt=timezone.now())
    return leased.exclude(lease=None).count()


def _claim(version_id: uuid.UUID, lease: uuid.UUID) -> bool:
    now = timezone.now()
    free = DocumentVersion.objects.filter(pk=version_id, status=DocumentStatus.PENDING, lease_until__lte=now)
    until = now + timedelta(seconds=LEASE_S)
    return bool(free.update(lease=lease, lease_until=until, tries=F("tries") + 1))


def _work(version: DocumentVersion, lease: uuid.UUID, until: float) -> bool:
    document = version.document
    if document.source == DocumentSource.URL and not version.file:
        _fetch(version, lease)
    failpoint.hit("knowledge.fetched")
    if not version.text_sha256:
        _read(version, document, lease)
    failpoint.hit("knowledge.read")
    if _says_the_same(version, document):
        _drop(version, lease)
        return False
    _take_over_vectors(version)
    while chunks := _unembedded(version):
        if time.monotonic() >= until:
            _give_back(version, lease)
            return True
        try:
            corpora.embed(version.workspace_id, chunks)
        except engines.EmbeddingFailed as exc:
            if exc.retryable and version.tries < _EMBED_TRIES:
                _later(version, lease, exc.detail)
                return False
            log.warning("document indexed without vectors", error=exc.detail)
            break
        failpoint.hit("knowledge.embedded")
        _renew(version, lease)
    _switch(version, lease)
    return False


def _mine(version: DocumentVersion, lease: uuid.UUID) -> Any:
    return DocumentVersion.objects.filter(pk=version.pk, lease=lease, status=DocumentStatus.PENDING)


def _renew(version: DocumentVersion, lease: uuid.UUID, **fields: Any) -> None:
    """Something was done: keep it and the lease; tries count from here."""
    until = timezone.now() + timedelta(seconds=LEASE_S)
    if not _mine(version, lease).update(lease_until=until, tries=1, **fields):
        raise _LostLease
    version.tries = 1
    for name, value in fields.items():
        setattr(version, name, value)


def _give_back(version: DocumentVersion, lease: uuid.UUID) -> None:
    _mine(version, lease).update(lease=None, lease_until=timezone.now())


def _later(version: DocumentVersion, lease: uuid.UUID, why: str) -> None:
    wait_s = backoff.delay_s(version.tries, first_s=5.0, longest_s=300.0)
    log.warning("document to be read later", document_version_id=str(version.pk), why=why)
    _mine(version, lease).update(lease=None, lease_until=timezone.now() + timedelta(seconds=wait_s))


def _fetch(version: DocumentVersion, lease: uuid.UUID) -> None:
    fetched = fetching.fetch(version.document.url)
    with closing(fetched.file) as file:
        digest = hashlib.sha256(file.read()).hexdigest()
        file.seek(0)
        name = knowledge.place(version.workspace_id, version.pk, fetched.kind)
        if default_storage.exists(name):  # of somebody who died behind this line
            default_storage.delete(name)
        name = default_storage.save(name, File(file))
    _renew(
        version,
        lease,
        file=name,
        content_type=fetched.kind,
        size_bytes=fetched.size_bytes,
        sha256=digest,
        url=storable.text(fetched.url)[:2000],
        fetched_at=timezone.now(),
    )


def _read(version: DocumentVersion, document: Document, lease: uuid.UUID) -> None:
    """Parse and cut; the passages are there, but not found yet."""
    found, said = _blocks(version)
    language = languages.of_tag(str(said.get("language") or ""))
    title = " ".join(str(said.get("title") or "").split())
    with transaction.atomic():
        document = Document.objects.select_for_update().get(pk=document.pk)
        if not _mine(version, lease).exists():
            raise _LostLease
        if title and _is_unnamed(version, document):
            document.title = storable.text(title)[:200]
            document.save(update_fields=["title"])
        version.pages = said.get("pages")
        version.language = language
        version.document = document
        passages.cut(version, document, found)
    _renew(version, lease)


def _blocks(version: DocumentVersion) -> tuple[list[blocks.Block], dict[str, Any]]:
    if not version.file:
        return blocks.of_markdown(version.text), {}
    with tempfile.TemporaryFile() as copy:
        with default_storage.open(version.file) as source:
            shutil.copyfileobj(source, copy, 1 << 20)
        copy.seek(0)
        return sandbox.parse(version.content_type, copy)


def _is_unnamed(version: DocumentVersion, document: Document) -> bool:
    """Nobody has called it anything yet."""
    default = knowledge.default_title(name=version.file_name, url=document.url)
    return document.served is None and document.title == default


_SAME = ("title", "heading", "page", "digest", "language")


def _says_the_same(version: DocumentVersion, document: Document) -> bool:
    """Whether the searched version has the same passages."""
    live = Chunk.objects.filter(document=document, live=True).exclude(version=version)
    if document.served is None or not live.exists():
        return False
    new = Chunk.objects.filter(version=version).order_by("position").values_list(*_SAME)
    return list(live.order_by("position").values_list(*_SAME)) == list(new)


def _drop(version: DocumentVersion, lease: uuid.UUID) -> None:
    """Nothing has changed: the searched version stays, and is known to be fresh."""
    with transaction.atomic():
        document = Document.objects.select_for_update().get(pk=version.document_id)
        if not _mine(version, lease).exists():
            raise _LostLease
        served = document.versions.filter(number=document.served or 0)
        if version.fetched_at is not None:
            served.update(fetched_at=version.fetched_at)
        files = {version.file} - {""}
        version.delete()
        newest = document.versions.order_by("-number").first()
        if newest is not None:
            document.latest, document.status = newest.number, newest.status
            document.error_code, document.error = newest.error_code, newest.error
        document.updated_at = timezone.now()
        document.save(update_fields=["latest", "status", "error_code", "error", "updated_at"])
        transaction.on_commit(lambda: knowledge.drop_files(files), robust=True)
    log.info("document unchanged", document_id=str(version.document_id))


def _take_over_vectors(version: DocumentVersion) -> None:
    """Of passages that are the same as before."""
    known = {
        (row.chunk.title, row.chunk.heading, row.chunk.digest): row.embedding
        for row in ChunkVector.objects.filter(
            chunk__document_id=version.document_id, chunk__live=True, model=engines.model()
        ).select_related("chunk")
    }
    if not known:
        return
    lacking = Chunk.objects.filter(version=version, vector=None).defer("search", "text")
    ChunkVector.objects.bulk_create(
        (
            ChunkVector(
                chunk_id=one.pk,
                workspace_id=version.workspace_id,
                model=engines.model(),
                embedding=known[one.title, one.heading, one.digest],
            )
            for one in lacking
            if (one.title, one.heading, one.digest) in known
        ),
        ignore_conflicts=True,
    )


def _unembedded(version: DocumentVersion) -> list[Chunk]:
    model = engines.model()
    lacking = Chunk.objects.filter(version=version).exclude(vector__model=model).defer("search")
    return list(lacking.order_by("position")[: engines.BATCH[model]])


def _switch(version: DocumentVersion, lease: uuid.UUID) -> None:
    """The version takes the place of the one before, and is announced, in one transaction."""
    with transaction.atomic():
        document = Document.objects.select_for_update().get(pk=version.document_id)
        if not _mine(version, lease).exists():
            raise _LostLease
        # Before the corpus, as whoever makes a document does: the event below needs the workspace's row.
        Workspace.objects.select_for_update(no_key=True).get(pk=version.workspace_id)
        now = timezone.now()
        if document.served is None or version.number >= document.served:
            passages.serve(document, version)
        complete = not Chunk.objects.filter(version=version).exclude(vector__model=engines.model()).exists()
        if not complete:
            corpora.lacks_vectors(version.workspace_id)
        _mine(version, lease).update(status=DocumentStatus.INDEXED, indexed_at=now, lease=None)
        if document.latest == version.number:
            document.status, document.error_code, document.error = DocumentStatus.INDEXED, "", ""
            document.save(update_fields=["status", "error_code", "error"])
        files = _forget_old(document)
        count = Chunk.objects.filter(version=version).count()
        events.record(
            workspace_id=version.workspace_id,
            type="knowledge.document.indexed",
            data={**_facts(document, version), "passages": count, "pages": version.pages},
            once=str(version.pk),
        )
        failpoint.hit("knowledge.switched")
        transaction.on_commit(lambda: knowledge.drop_files(files), robust=True)
    log.info("document indexed", document_id=str(document.pk), passages=count)


def _forget_old(document: Document) -> set[str]:
    """Of versions that nobody goes back to: rows here, files by the caller after commit."""
    old = document.versions.filter(number__lte=document.latest - _KEPT_VERSIONS)
    old = old.exclude(number=document.served or 0)
    files = set(old.exclude(file="").values_list("file", flat=True))
    old.delete()
    return files


def _fail(version: DocumentVersion, lease: uuid.UUID, code: str, why: str) -> None:
    """The version stays as it is, with a reason; what was found before is still found."""
    with transaction.atomic():
        document = Document.objects.select_for_update().get(pk=version.document_id)
        failed = _mine(version, lease).update(
            status=DocumentStatus.FAILED, error_code=code, error=why[:300], lease=None
        )
        if not failed:
            return
        Chunk.objects.filter(version=version, live=False).delete()
        if document.latest == version.number:
            document.status, document.error_code, document.error = DocumentStatus.FAILED, code, why[:300]
            document.save(update_fields=["status", "error_code", "error"])
        events.record(
            workspace_id=version.workspace_id,
            type="knowledge.document.failed",
            data={**_facts(document, version), "error": why[:300], "error_code": code},
            once=str(version.pk),
        )
    log.info("document failed", document_id=str(document.pk), code=code)


def _facts(document: Document, version: DocumentVersion) -> dict[str, Any]:
    return {
        "document_id": str(document.pk),
        "title": document.title,
        "source": document.source,
        "version": version.number,
    }


def tidy() -> int:
    """Files in the storage that no version names, of somebody who died: deleted after a day; how many."""
    dropped = 0
    before = timezone.now() - timedelta(days=1)
    try:
        folders, _ = default_storage.listdir(knowledge.FOLDER)
    except FileNotFoundError:
        return 0
    for folder in folders:
        _, names = default_storage.listdir(f"{knowledge.FOLDER}/{folder}")
        known = set(
            DocumentVersion.objects.filter(workspace_id=folder)
            .exclude(file="")
            .values_list("file", flat=True)
        )
        for name in names:
            place = f"{knowledge.FOLDER}/{folder}/{name}"
            if place not in known and default_storage.get_modified_time(place) < before:
                default_storage.delete(place)
                dropped += 1
    return dropped


__all__ = ["due", "kinds", "run", "tidy"]
