"""Imports of leads: taking a file in, and the queue of those that are not done.

The file is kept in the database, in the transaction that makes the import. A worker that holds its lease
reads on from `next_byte` (crm.services.import_run).
"""

import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO

from django.db import transaction
from django.utils import timezone

from crm.imports import columns, encoding, records
from crm.models import (
    ImportStatus,
    LeadImport,
    LeadImportError,
    LeadImportKey,
    LeadImportPart,
    LeadImportRow,
    OnDuplicate,
)
from crm.models.imports import OPEN
from crm.selectors import fields
from crm.selectors import imports as read
from tenex.errors import Conflict, InvalidInput
from tenex.lib import storable
from tenex.lib.wake import wake
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit

MAX_BYTES = 25 * 1024 * 1024
MAX_LINES = 500_000
MAX_OPEN = 20
KEPT = timedelta(days=30)
_PART_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """What a client says of its file; None: find out."""

    on_duplicate: OnDuplicate = OnDuplicate.SKIP
    dry_run: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    mapping: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """What a file says at a first look: its columns with what they would be read as, and its first rows.

    `problem`: why it could not be imported like this.
    """

    encoding: str
    delimiter: str
    columns: list[tuple[str, str | None]]
    rows: list[list[str]]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Head:
    """What the first line tells; the place of the record after it."""

    delimiter: str
    columns: list[tuple[str, str | None]]
    next_byte: int
    next_line: int


def create(
    workspace: Workspace,
    file: IO[bytes],
    *,
    file_name: str,
    options: Options,
    actor: str,
    keeps_rows: bool = False,
) -> LeadImport:
    """Take a file in; a worker reads it. Header and encoding are judged at once.

    `keeps_rows`: the caller takes the rows over (:func:`take_rows`), with the columns that are no fields of a
    lead as variables.

    Raises:
        InvalidInput: no text, no header that we know, too many lines.
        Conflict: `too_many_imports`: MAX_OPEN are waiting.
    """
    with tempfile.TemporaryFile() as text:
        name = _encoding(file, options.encoding)
        size = _transcode(file, name, text)
        head = _head(workspace, text, options, variables=keeps_rows)
        with transaction.atomic():
            Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
            if read.all_of(workspace.id).filter(status__in=OPEN).count() >= MAX_OPEN:
                raise Conflict(f"{MAX_OPEN} imports are waiting already", code="too_many_imports")
            row = LeadImport.objects.create(
                workspace=workspace,
                actor=actor,
                file_name=storable.text(file_name)[:200],
                encoding=name,
                delimiter=head.delimiter,
                columns=head.columns,
                on_duplicate=options.on_duplicate,
                dry_run=options.dry_run,
                keeps_rows=keeps_rows,
                size_bytes=size,
                next_byte=head.next_byte,
                next_line=head.next_line,
            )
            _keep(row, text)
            _note(row, actor, "created")
            wake("crm.imports.run", str(row.id))
    return row


def look(
    workspace: Workspace, file: IO[bytes], *, options: Options, variables: bool = False, rows: int = 5
) -> Look:
    """A first look at a file, or at its beginning; nothing is kept. A last line that is cut is left out.

    Raises:
        InvalidInput: no text, or no header.
    """
    with tempfile.TemporaryFile() as text:
        name = _encoding(file, options.encoding)
        _transcode(file, name, text)
        problem = ""
        try:
            head = _head(workspace, text, options, variables=variables)
        except InvalidInput as exc:
            if exc.loc[:2] not in (("body", "header"), ("body", "mapping")):
                raise
            problem = exc.detail
            head = _head(workspace, text, options, variables=variables, plain=True)
        text.seek(head.next_byte)
        blocks = iter(lambda: text.read(encoding.BLOCK_BYTES), b"")
        found = []
        for record in records.read(blocks, delimiter=head.delimiter, start_byte=head.next_byte):
            if any(cell.strip() for cell in record.cells):
                found.append(record.cells)
            if len(found) == rows:
                break
    return Look(name, head.delimiter, head.columns, found, problem)


def cancel(workspace: Workspace, import_id: uuid.UUID, *, actor: str) -> LeadImport:
    """Stop after the batch at hand. What is imported stays; canceling twice changes nothing.

    Raises:
        NotFound.
        Conflict: `import_over`.
    """
    with transaction.atomic():
        read.get(workspace.id, import_id)
        row = LeadImport.objects.select_for_update().get(pk=import_id)
        if row.status in OPEN:
            close(row, ImportStatus.CANCELED)
            _note(row, actor, "canceled")
        elif row.status != ImportStatus.CANCELED:
            raise Conflict("the import is over", code="import_over")
    return row


def close(row: LeadImport, status: ImportStatus, failure: str = "") -> None:
    """The end of an import, under its row's lock: the file goes."""
    row.status, row.failure, row.finished_at = status, failure, timezone.now()
    row.lease = None
    row.save(update_fields=["status", "failure", "finished_at", "lease"])
    LeadImportPart.objects.filter(lead_import=row).delete()
    LeadImportKey.objects.filter(lead_import=row).delete()


def take_rows(import_id: uuid.UUID, limit: int) -> list[LeadImportRow]:
    """The next kept rows, in the order of the file: they are the caller's, in whose transaction they go."""
    rows = list(LeadImportRow.objects.filter(lead_import=import_id).order_by("line")[:limit])
    LeadImportRow.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return rows


def report(import_id: uuid.UUID, problems: Sequence[LeadImportError]) -> None:
    """Rows that led to a lead but were of no use to whoever took them over."""
    for one in problems:
        one.lead_import_id = import_id
    LeadImportError.objects.bulk_create(problems, ignore_conflicts=True)


def due(limit: int = 50) -> list[uuid.UUID]:
    """Imports that nobody is at, the oldest first."""
    waiting = LeadImport.objects.filter(status__in=OPEN, lease_until__lte=timezone.now())
    return list(waiting.order_by("lease_until").values_list("pk", flat=True)[:limit])


def forget() -> None:
    """Imports and their lists of bad rows, once they are old."""
    LeadImport.objects.filter(finished_at__lt=timezone.now() - KEPT).delete()


def text_from(row: LeadImport) -> Iterator[bytes]:
    """The file from `next_byte` on, a part at a time."""
    parts = LeadImportPart.objects.filter(lead_import=row).order_by("start_byte")
    begun = parts.filter(start_byte__lte=row.next_byte).order_by("-start_byte").first()
    at = row.next_byte
    while begun is not None:
        content = bytes(begun.content)[max(0, at - begun.start_byte) :]
        at = begun.start_byte + len(bytes(begun.content))
        if content:
            yield content
        begun = parts.filter(start_byte=at).first()


def _encoding(file: IO[bytes], named: str | None) -> str:
    try:
        return named or encoding.detect(file)
    except encoding.NotText as exc:
        raise InvalidInput(str(exc), loc=("body",), type_="encoding") from exc


def _transcode(file: IO[bytes], name: str, text: IO[bytes]) -> int:
    """Write `file` to `text` as UTF-8; its size in bytes."""
    lines = 0
    try:
        for block in encoding.as_utf8(file, name):
            lines += block.count(b"\n")
            if lines > MAX_LINES:
                raise InvalidInput(f"more than {MAX_LINES} lines", loc=("body",), type_="too_long")
            text.write(block)
    except encoding.NotText as exc:
        raise InvalidInput(str(exc), loc=("body",), type_="encoding") from exc
    return text.tell()


def _head(
    workspace: Workspace, text: IO[bytes], options: Options, *, variables: bool, plain: bool = False
) -> _Head:
    """`plain`: the headers alone, nothing of them is known."""
    text.seek(0)
    start = 0
    first = text.readline(records.MAX_RECORD_BYTES + 1)
    declared = records.declared_delimiter(first.decode("utf-8", "replace"))
    if declared is not None:
        start = len(first)
        first = text.readline(records.MAX_RECORD_BYTES + 1)
    if not first.strip():
        raise InvalidInput(
            "the first line is empty; it must name the columns", loc=("body",), type_="missing"
        )
    delimiter = options.delimiter or declared or records.delimiter_of(first.decode("utf-8", "replace"))
    text.seek(start)
    blocks = iter(lambda: text.read(encoding.BLOCK_BYTES), b"")
    header = next(records.read(blocks, delimiter=delimiter, start_byte=start, start_line=2 if start else 1))
    if header.problem:
        raise InvalidInput(f"the first line: {header.reason}", loc=("body",), type_=header.problem)
    if len(header.cells) > 200:
        raise InvalidInput("more than 200 columns", loc=("body",), type_="too_long")
    if plain:
        bare: list[tuple[str, str | None]] = [(" ".join(cell.split()), None) for cell in header.cells]
        return _Head(delimiter, bare, header.next_byte, header.next_line)
    try:
        planned = columns.plan(
            header.cells, options.mapping, fields.by_key(workspace.id), variables=variables
        )
    except InvalidInput as exc:
        exc.loc = ("body", *exc.loc)
        raise
    return _Head(delimiter, planned, header.next_byte, header.next_line)


def _keep(row: LeadImport, text: IO[bytes]) -> None:
    text.seek(0)
    at = 0
    while part := text.read(_PART_BYTES):
        LeadImportPart.objects.create(lead_import=row, start_byte=at, content=part)
        at += len(part)


def _note(row: LeadImport, actor: str, what: str) -> None:
    audit.record(
        row.workspace_id,
        actor,
        f"lead_import.{what}",
        object_type="lead_import",
        object_id=row.pk,
        data={"file_name": row.file_name, "dry_run": row.dry_run, "on_duplicate": row.on_duplicate},
    )
