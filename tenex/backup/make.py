"""Backups of the database whose workspaces can be forgotten one by one (promises.md F3, docs/backups.md).

    <folder>/manifest.json                  release, migrations, workspaces with key ids, rows by table
    <folder>/shared/<table>.copy.gz         what belongs to the installation, in plain
    <folder>/<workspace>/<table>.sealed     all of a workspace, sealed with its key, which is not in here

One snapshot of the database; the text of PostgreSQL's COPY, compressed.
"""

import gzip
import json
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from tenex.backup.keys import KeyFolder
from tenex.backup.tables import Table, all_tables
from tenex.errors import Conflict
from tenex.lib import sealed_stream
from tenex.workspaces.models import Workspace

FORM: Final = 1
MANIFEST: Final = "manifest.json"
SHARED: Final = "shared"


@dataclass(frozen=True, slots=True)
class Made:
    workspaces: int
    rows: int
    bytes_: int


def migrations() -> list[list[str]]:
    """What a backup fits to."""
    applied = MigrationRecorder.Migration.objects.order_by("app", "name").values_list("app", "name")
    return [list(one) for one in applied]


def make(folder: Path, keys: KeyFolder) -> Made:
    """Write a backup into an empty folder.

    Raises:
        Conflict: there is something in it already.
        vault.Unreadable: a backup key cannot be opened.
        Unassigned: see :mod:`tenex.backup.tables`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Conflict("the folder is not empty", code="backup_folder")
    tables = all_tables()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        ids = list(Workspace.objects.order_by("pk").values_list("pk", flat=True))
        rows = {SHARED: _shared(folder / SHARED, [table for table in tables if not table.owner])}
        owned, key_ids = [table for table in tables if table.owner], {}
        for workspace_id in ids:
            key_id, key = keys.current(workspace_id)
            key_ids[str(workspace_id)] = str(key_id)
            rows[str(workspace_id)] = _sealed(folder / str(workspace_id), owned, workspace_id, key)
    manifest: dict[str, Any] = {
        "form": FORM,
        "made_at": timezone.now().isoformat(),
        "migrations": migrations(),
        "workspaces": key_ids,
        "rows": rows,
        "columns": {table.name: table.columns for table in tables},
    }
    # Last, so that a folder with a manifest is whole.
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Made(len(ids), sum(sum(one.values()) for one in rows.values()), size)


def bound(workspace_id: str, table: str) -> tuple[str, str, str]:
    """What a sealed part is bound to."""
    return "backup", workspace_id, table


def _shared(folder: Path, tables: list[Table]) -> dict[str, int]:
    folder.mkdir()
    counts = {}
    for table in tables:
        counts[table.name] = 0
        with gzip.open(folder / f"{table.name}.copy.gz", "wb") as file:
            for part in _copied(table, None):
                counts[table.name] += part.count(b"\n")
                file.write(part)
    return counts


def _sealed(folder: Path, tables: list[Table], workspace_id: uuid.UUID, key: bytes) -> dict[str, int]:
    folder.mkdir()
    counts = {}
    for table in tables:
        count = 0

        def counted(table: Table = table) -> Iterator[bytes]:
            nonlocal count
            for part in _copied(table, workspace_id):
                count += part.count(b"\n")
                yield part

        place = bound(str(workspace_id), table.name)
        with (folder / f"{table.name}.sealed").open("wb") as file:
            for piece in sealed_stream.seal(key, _compressed(counted()), *place):
                file.write(piece)
        counts[table.name] = count
    return counts


def _copied(table: Table, workspace_id: uuid.UUID | None) -> Iterator[bytes]:
    connection.ensure_connection()
    with (
        connection.connection.cursor() as cursor,  # the driver's own: Django's takes no parameters in DEBUG
        cursor.copy(f"COPY ({table.select}) TO STDOUT", [workspace_id] if workspace_id else None) as copy,
    ):
        for part in copy:
            yield bytes(part)


def _compressed(parts: Iterator[bytes]) -> Iterator[bytes]:
    squeeze = zlib.compressobj(6)
    for part in parts:
        yield squeeze.compress(part)
    yield squeeze.flush()
