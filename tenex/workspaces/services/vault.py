"""Secrets of workspaces at rest: envelope encryption (promises.md R15, docs/secrets.md).

The settings hold key encryption keys (SECRETS_KEYS). Each of them opens data keys, which are rows: one of a
kind for a workspace. A data key seals columns, bound to workspace, table, column and row. So whoever has the
database has nothing, a key encryption key is changed by sealing a handful of data keys anew, and a workspace
whose data keys are gone is unreadable.

    sealed = vault.seal(workspace_id, vault.place(row, "token"), "plain")
    vault.unseal(workspace_id, vault.place(row, "token"), sealed)

A model says once which columns hold sealed texts, for `manage.py rotate_keys`:
`vault.register(Connector, "token")`, in its app's `ready`.

Data keys that were opened stay in memory for DATA_KEY_CACHE_S; never the texts. Reading costs a query only
when the key is not there, so whatever runs on an event loop reads its secrets before, in a thread.
"""

import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import structlog
from django.conf import settings
from django.db import connection, models, transaction

from tenex.errors import TenexError
from tenex.lib import redact
from tenex.lib import sealed as form
from tenex.lib.ids import uuid7
from tenex.workspaces.models import DataKey, KeyKind

log = structlog.get_logger(__name__)

DATA_KEY_CACHE_S: Final = 300.0
"""How long a process may go on with a data key that was deleted."""
_CACHED_KEYS: Final = 4096

_CURRENT = """
SELECT id, wrapped FROM workspaces_datakey
WHERE workspace_id = %s AND kind = %s AND retired_at IS NULL
FOR KEY SHARE
"""
# The lock lasts to the end of the caller's transaction: a rotation waits for what is being sealed, and then
# finds it.


class Unreadable(TenexError):
    """A sealed text cannot be opened: a key is missing, or it belongs elsewhere."""

    code = "secret_unreadable"
    status = 503


@dataclass(frozen=True, slots=True)
class Column:
    """Where sealed texts are kept. Empty text or NULL is no secret."""

    model: type[models.Model]
    name: str
    workspace: str
    """The field with the workspace's id."""

    def place(self, pk: object) -> str:
        return f"{self.model._meta.db_table}.{self.name}:{pk}"


_columns: dict[tuple[str, str], Column] = {}


def register(model: type[models.Model], column: str, *, workspace: str = "workspace_id") -> None:
    """Say that `column` of `model` holds sealed texts, sealed for :func:`place`."""
    model._meta.get_field(column)
    _columns[model._meta.db_table, column] = Column(model, column, workspace)


def registered() -> list[Column]:
    return [_columns[key] for key in sorted(_columns)]


def place(row: models.Model, column: str) -> str:
    """What a value of a row is bound to; the row needs its primary key, not to be saved."""
    return f"{row._meta.db_table}.{column}:{row.pk}"


def seal(workspace_id: uuid.UUID, place: str, plaintext: str) -> str:
    """The text to store. Call it in the transaction that stores it.

    Raises:
        Unreadable: the workspace's data key cannot be opened with the keys of this installation.
    """
    key_id, key = _current(workspace_id, KeyKind.FIELDS)
    return form.seal(form.derive(key, "fields"), key_id.hex, plaintext.encode(), str(workspace_id), place)


def unseal(workspace_id: uuid.UUID, place: str, sealed: str) -> str:
    """What was sealed for this workspace and place.

    Raises:
        Unreadable: it was not, or a key is missing. The reason is in the log.
    """
    try:
        key = _opened(workspace_id, uuid.UUID(form.key_id_of(sealed)))
        plain = form.unseal(form.derive(key, "fields"), sealed, str(workspace_id), place).decode()
    except Unreadable as exc:
        log.error("secret unreadable", workspace_id=str(workspace_id), place=place, reason=exc.detail)
        raise
    except ValueError as exc:  # NotSealed and WrongKey among them
        log.error("secret unreadable", workspace_id=str(workspace_id), place=place, reason=str(exc))
        raise Unreadable("the stored secret cannot be read: it was changed, or belongs elsewhere") from exc
    redact.remember(plain)
    return plain


def data_key(workspace_id: uuid.UUID, purpose: str, key_id: uuid.UUID | None = None) -> bytes:
    """32 bytes for files of one purpose; without `key_id` of the key that seals now (:func:`file_key_id`).

    A file keeps the id beside it: `rotate_keys` may give the workspace another key, and this one opens on.

    Raises:
        Unreadable: the key is gone, or cannot be opened with the keys of this installation.
    """
    key = _current(workspace_id, KeyKind.FILES)[1] if key_id is None else _opened(workspace_id, key_id)
    return form.derive(key, f"files:{purpose}")


def file_key_id(workspace_id: uuid.UUID) -> uuid.UUID:
    """The key that seals a workspace's files now; it is made if there is none yet."""
    return _current(workspace_id, KeyKind.FILES)[0]


def wrap(workspace_id: uuid.UUID, key_id: uuid.UUID, key: bytes) -> str:
    """A data key under the first key encryption key."""
    kek_id, kek = next(iter(settings.SECRETS_KEYS.items()))
    return form.seal(kek, kek_id, key, "data-key", str(workspace_id), str(key_id))


def unwrap(workspace_id: uuid.UUID, key_id: uuid.UUID, wrapped: str) -> bytes:
    """Raises:
    Unreadable: its key encryption key is not there, or is another one of the same name.
    """
    try:
        kek_id = form.key_id_of(wrapped)
        kek = settings.SECRETS_KEYS.get(kek_id)
        if kek is None:
            raise Unreadable(f"the key encryption key {kek_id} is not in SECRETS_KEYS")
        return form.unseal(kek, wrapped, "data-key", str(workspace_id), str(key_id))
    except form.WrongKey as exc:
        raise Unreadable(
            f"the key encryption key {kek_id} in SECRETS_KEYS is another one than it was"
        ) from exc
    except form.NotSealed as exc:
        raise Unreadable(f"the data key {key_id} is damaged") from exc


def forget() -> None:
    """Drop the keys that this process has opened."""
    with _lock:
        _cache.clear()


def new_data_key(workspace_id: uuid.UUID, kind: KeyKind) -> DataKey:
    """A row that is not saved yet."""
    key_id = uuid7()
    return DataKey(
        id=key_id, workspace_id=workspace_id, kind=kind, wrapped=wrap(workspace_id, key_id, form.new_key())
    )


# --- keys that are open ---------------------------------------------------------------------------

_lock = threading.Lock()
_cache: OrderedDict[uuid.UUID, tuple[uuid.UUID, bytes, float]] = OrderedDict()


def _current(workspace_id: uuid.UUID, kind: KeyKind) -> tuple[uuid.UUID, bytes]:
    """The key that seals now. Always asked for: a key that a rotation has retired must seal nothing more."""
    for _ in range(3):
        with connection.cursor() as cursor:
            cursor.execute(_CURRENT, [workspace_id, kind.value])
            found = cursor.fetchone()
        if found is not None:
            key_id, wrapped = found
            return key_id, _cached(workspace_id, key_id) or _open(workspace_id, key_id, wrapped)
        # The first secret of a workspace; or a rotation replaced the key while we waited for it.
        DataKey.objects.bulk_create([new_data_key(workspace_id, kind)], ignore_conflicts=True)
    raise Unreadable("the data key is being replaced; try again")


def _opened(workspace_id: uuid.UUID, key_id: uuid.UUID) -> bytes:
    cached = _cached(workspace_id, key_id)
    if cached is not None:
        return cached
    row = DataKey.objects.filter(workspace_id=workspace_id, pk=key_id).only("wrapped").first()
    if row is None:
        raise Unreadable(f"the data key {key_id} does not exist in this workspace")
    return _open(workspace_id, key_id, row.wrapped)


def _open(workspace_id: uuid.UUID, key_id: uuid.UUID, wrapped: str) -> bytes:
    key = unwrap(workspace_id, key_id, wrapped)

    def keep() -> None:
        with _lock:
            _cache[key_id] = (workspace_id, key, time.monotonic() + DATA_KEY_CACHE_S)
            _cache.move_to_end(key_id)
            while len(_cache) > _CACHED_KEYS:
                _cache.popitem(last=False)

    # Not before the row is sure to exist: a key whose transaction is undone must open nothing afterwards.
    transaction.on_commit(keep)
    return key


def _cached(workspace_id: uuid.UUID, key_id: uuid.UUID) -> bytes | None:
    with _lock:
        owner, key, until = _cache.get(key_id, (None, b"", 0.0))
    return key if owner == workspace_id and time.monotonic() < until else None
