"""Reading a backup into a database of the same release in which there is nobody yet."""

import gzip
import json
import uuid
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from tenex.backup.keys import KeyFolder
from tenex.backup.make import FORM, MANIFEST, SHARED, bound, migrations
from tenex.backup.tables import Table, all_tables
from tenex.errors import Conflict
from tenex.lib import sealed_stream
from tenex.workspaces.models import Workspace


@dataclass(slots=True)
class Restored:
    """`forgotten`: workspaces whose key is gone. Nothing of them is there."""

    workspaces: int = 0
    rows: int = 0
    forgotten: list[str] = field(default_factory=list)


def restore(folder: Path, keys: KeyFolder) -> Restored:
    """All of it in one transaction.

    Raises:
        Conflict: no backup of this form, another release's (`backup_release`), or the database is not empty.
        NotSealed, WrongKey: a part was changed or cut off.
        vault.Unreadable: a key is there whose key encryption key is not.
    """
    manifest = _manifest(folder)
    opened: dict[str, bytes] = {}
    done = Restored()
    for workspace_id, key_id in manifest["workspaces"].items():
        key = keys.find(uuid.UUID(workspace_id), uuid.UUID(key_id))
        if key is None:
            done.forgotten.append(workspace_id)
        else:
            opened[workspace_id] = key
    tables = [
        Table(table.name, tuple(manifest["columns"][table.name]), table.joins, table.owner)
        for table in all_tables()
    ]
    with transaction.atomic():
        if Workspace.objects.exists():
            raise Conflict("there are workspaces in this database already", code="database_not_empty")
        _empty(tables)
        for table in tables:
            if not table.owner:
                path = folder / SHARED / f"{table.name}.copy.gz"
                with gzip.open(path, "rb") as file:
                    _fill(table, iter(lambda file=file: file.read(1 << 20), b""))  # type: ignore[misc]
                done.rows += manifest["rows"][SHARED][table.name]
                continue
            for workspace_id, key in opened.items():
                _fill(table, _plain(folder / workspace_id / f"{table.name}.sealed", workspace_id, table, key))
                done.rows += manifest["rows"][workspace_id][table.name]
        _finish(tables)
    done.workspaces = len(opened)
    return done


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise Conflict("this folder is no backup, or not a whole one", code="backup_folder") from exc
    if manifest.get("form") != FORM:
        raise Conflict("a backup of another form", code="backup_release")
    if manifest["migrations"] != migrations():
        raise Conflict(
            "a backup of another release: restore it with that one, then upgrade", code="backup_release"
        )
    return manifest


def _empty(tables: list[Table]) -> None:
    """What migrations have put there is in the backup, too. Triggers would do again what is done."""
    names = ", ".join(f'"{table.name}"' for table in tables)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {names} CASCADE")
        for table in tables:
            cursor.execute(f'ALTER TABLE "{table.name}" DISABLE TRIGGER USER')


def _fill(table: Table, parts: Iterable[bytes]) -> None:
    listed = ", ".join(f'"{column}"' for column in table.columns)
    with connection.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({listed}) FROM STDIN') as copy:
        for part in parts:
            copy.write(part)


def _plain(path: Path, workspace_id: str, table: Table, key: bytes) -> Iterator[bytes]:
    expand = zlib.decompressobj()
    with path.open("rb") as file:
        for piece in sealed_stream.unseal(key, file, *bound(workspace_id, table.name)):
            yield expand.decompress(piece)
    yield expand.flush()


def _finish(tables: list[Table]) -> None:
    """Foreign keys are checked, triggers work again, numbers go on behind the last one that was given."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            cursor.execute(f'ALTER TABLE "{table.name}" ENABLE TRIGGER USER')
            for column in table.columns:
                cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [f'"{table.name}"', column])
                [[sequence]] = cursor.fetchall()
                if sequence is not None:
                    cursor.execute(
                        f'SELECT setval(%s, coalesce(max("{column}"), 0) + 1, false) FROM "{table.name}"',  # noqa: S608
                        [sequence],
                    )
