"""What has to be done before the processes of a release start: migrations, static files."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import connection
from django.db.backends.utils import CursorWrapper

# Any number that no other part of the system locks: "tenexmig" as bytes.
MIGRATION_LOCK = int.from_bytes(b"tenexmig", "big") & 0x7FFF_FFFF_FFFF_FFFF
_FINGERPRINT = ".fingerprint"
_AGAIN_S = 0.2


def prepare() -> None:
    """Migrate and collect; both may be repeated at will. Leaves no connection open."""
    migrate()
    collect_static_files()
    close()


def close() -> None:
    """Leave no connection open: what follows is processes of their own."""
    connection.close()
    close_pool = getattr(connection, "close_pool", None)
    if close_pool is not None:
        close_pool()


@contextmanager
def migration_lock() -> Iterator[None]:
    """One process migrates at a time, on however many machines: the others wait and find nothing left to do.

    The lock belongs to a connection of its own and is gone with it, also when the process is killed. Who
    waits asks again and again: a statement that waits inside the database has a snapshot, and an index that
    is built concurrently under the lock would wait for it.
    """
    holder = connection.copy()
    try:
        with holder.cursor() as cursor:
            while not _locked(cursor):
                time.sleep(_AGAIN_S)
            yield
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
    finally:
        holder.close()


def _locked(cursor: CursorWrapper) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [MIGRATION_LOCK])
    return bool(cursor.fetchone()[0])


def migrate() -> None:
    """Bring the database to this release's state."""
    with migration_lock():
        call_command("migrate", interactive=False, verbosity=0)


def collect_static_files() -> bool:
    """Collect the static files if they differ from those collected last. Returns whether it was needed.

    With WHITENOISE_USE_FINDERS (development) they are served from where they lie.
    """
    if settings.WHITENOISE_USE_FINDERS:
        return False
    root = Path(settings.STATIC_ROOT)
    fingerprint = _fingerprint()
    memo = root / _FINGERPRINT
    if memo.is_file() and memo.read_text(encoding="ascii") == fingerprint:
        return False
    call_command("collectstatic", interactive=False, verbosity=0)
    root.mkdir(parents=True, exist_ok=True)
    memo.write_text(fingerprint, encoding="ascii")
    return True


def _fingerprint() -> str:
    """Names, sizes and times of all static files, and how they are stored."""
    digest = hashlib.sha256(repr(settings.STORAGES["staticfiles"]).encode())
    for finder in get_finders():
        for name, storage in finder.list(None):
            info = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{info.st_size}\0{info.st_mtime_ns}\n".encode())
    return digest.hexdigest()
