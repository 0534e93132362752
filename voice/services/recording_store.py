"""Files of recordings: encrypted as the settings say, read from any place, every fault one of ours.

A file in an envelope (`tenex.lib.sealed_file`) is bound to its recording: copied to another row it does not
open. What was stored before is read as it lies.
"""

import hashlib
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, BinaryIO, Final, cast

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage

from tenex.errors import Gone
from tenex.lib import sealed_file, storage_faults
from tenex.workspaces.services import vault
from voice.models import AtRest, Recording

PURPOSE: Final = "recordings"
BLOCK_BYTES: Final = 1 << 20
_LEAST_BYTES: Final = 1 << 16
SEALED: Final = ".sealed"


class Altered(Gone):
    """The file is there, and is not what was stored."""

    code = "recording_altered"


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the sound of a recording lies, and how."""

    recording_id: uuid.UUID
    workspace_id: uuid.UUID
    name: str
    at_rest: str
    size: int | None
    """Plain bytes; None for old rows."""
    key_id: uuid.UUID | None = None
    """Of the workspace's data key, if it is in an envelope."""


def of(row: Recording) -> Stored:
    return Stored(row.pk, row.workspace_id, row.file, row.at_rest, row.size_bytes, row.key_id)


def at_rest_now() -> AtRest:
    """How a recording that is stored now is encrypted."""
    match settings.RECORDING_ENCRYPTION:
        case "envelope":
            return AtRest.ENVELOPE
        case "backend":
            return AtRest.KMS if settings.RECORDING_KMS_KEY_ID else AtRest.BUCKET
    return AtRest.PLAIN


def put(row: Recording, name: str, file: BinaryIO, size: int) -> Stored:
    """Store `size` bytes of `file` under `name`, in place of what a try that died left there.

    Raises:
        StorageFault, vault.Unreadable (or another TenexError of the vault): it is not stored.
    """
    at_rest = at_rest_now()
    file.seek(0)
    if at_rest != AtRest.ENVELOPE:
        return Stored(row.pk, row.workspace_id, _save(name, file), at_rest, size)
    key_id = vault.file_key_id(row.workspace_id)
    key = vault.data_key(row.workspace_id, PURPOSE, key_id)
    with tempfile.TemporaryFile() as sealed:
        for piece in sealed_file.seal(file, size, key, row.pk.bytes):
            sealed.write(piece)
        sealed.seek(0)
        stored = _save(name + SEALED, sealed)
    return Stored(row.pk, row.workspace_id, stored, at_rest, size, key_id)


def _save(name: str, file: BinaryIO) -> str:
    with storage_faults.mapped():
        default_storage.delete(name)  # storages would make up another name
        return str(default_storage.save(name, File(file, name=name)))


def delete(name: str) -> None:
    """
    Raises:
        StorageFault: it may be there still. One that is gone is fine.
    """
    with storage_faults.mapped():
        default_storage.delete(name)


def size_of(stored: Stored) -> int:
    """Plain bytes."""
    if stored.size is not None:
        return stored.size
    with storage_faults.mapped():
        length: int = default_storage.size(stored.name)
    return length


@contextmanager
def opened(stored: Stored, *, block_bytes: int = BLOCK_BYTES) -> Iterator[BinaryIO]:
    """The plain sound, to read and seek in. What is read ahead is at most `block_bytes`.

    Raises:
        FileMissing, StorageFault, Altered, vault.Unreadable: also while it is read.
    """
    with _raw(stored.name) as (read_part, length):
        with storage_faults.mapped(), _unbroken():
            if stored.at_rest == AtRest.ENVELOPE:
                known = None if stored.size is None else sealed_file.sealed_bytes(stored.size)
                key = vault.data_key(stored.workspace_id, PURPOSE, stored.key_id)
                sealed = sealed_file.Sealed(
                    read_part, known if known is not None else length(), key, stored.recording_id.bytes
                )
                read: sealed_file.ReadPart = sealed.read
                size = sealed.plain_bytes
            else:
                read, size = read_part, stored.size if stored.size is not None else length()
        window = sealed_file.Window(_mapped(read), size)
        yield cast(BinaryIO, BufferedReader(window, buffer_size=max(_LEAST_BYTES, block_bytes)))


def digest(file: BinaryIO) -> str:
    """SHA-256 in hex of what `file` has from where it stands."""
    found = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        found.update(block)
    return found.hexdigest()


def check(stored: Stored, sha256: str) -> None:
    """Read the stored file back.

    Raises:
        Altered: it is not the sound with this hash. FileMissing, StorageFault: it cannot be read.
    """
    with opened(stored) as file:
        found = digest(file)
    if found != sha256:
        raise Altered("the stored file is not what was written")


@contextmanager
def _raw(name: str) -> Iterator[tuple[sealed_file.ReadPart, Callable[[], int]]]:
    """Parts of a stored file as it lies, and how long it is."""
    read_part: Any = getattr(default_storage, "read_part", None)
    if read_part is not None:
        yield lambda first, length: read_part(name, first, length), lambda: int(default_storage.size(name))
        return
    with storage_faults.mapped():
        file = default_storage.open(name, "rb")
    try:

        def part(first: int, length: int) -> bytes:
            file.seek(first)
            data: bytes = file.read(length)
            return data

        yield part, lambda: int(file.size)
    finally:
        file.close()


def _mapped(read: sealed_file.ReadPart) -> sealed_file.ReadPart:
    def part(first: int, length: int) -> bytes:
        if not length:
            return b""
        with storage_faults.mapped(), _unbroken():
            return read(first, length)

    return part


@contextmanager
def _unbroken() -> Iterator[None]:
    try:
        yield
    except sealed_file.Broken as exc:
        raise Altered("the file is not what was stored") from exc
