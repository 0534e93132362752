"""A file under a key of ours, readable from any place. Pure over bytes.

    header   magic (8), bytes a chunk (4), bytes of the plain file (8), the file's own id (16); big-endian
    chunks   AES-256-GCM of so many plain bytes each, the last one shorter: ciphertext and tag (16)

The key of a file is derived from the given one and the file's id, so the number of a chunk is a nonce that is
never used twice. Authenticated with each chunk: the header, its number, how many there are, and `context`
(whose file it is). So no chunk can be changed, moved, dropped or taken to another file without notice.
"""

import io
import secrets
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK_BYTES: Final = 64 * 1024
_MAGIC: Final = b"TNXSEAL1"
_HEADER: Final = struct.Struct(">8sIQ16s")
HEADER_BYTES: Final = _HEADER.size
_TAG_BYTES: Final = 16
_MAX_CHUNK_BYTES: Final = 16 * 1024 * 1024

ReadPart = Callable[[int, int], bytes]
"""`(first, length)`: so many bytes of a stored file from there on, fewer only at its end."""


class Broken(ValueError):
    """Not a sealed file, not by this key, not of this context, or changed."""


def sealed_bytes(plain_bytes: int, chunk_bytes: int = CHUNK_BYTES) -> int:
    """How long a file of `plain_bytes` is when it is sealed."""
    return HEADER_BYTES + plain_bytes + _TAG_BYTES * _chunks(plain_bytes, chunk_bytes)


def seal(
    plain: BinaryIO, plain_bytes: int, key: bytes, context: bytes, *, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[bytes]:
    """The sealed file, piece by piece. `plain` is read from where it stands.

    Raises:
        Broken: `plain` is not as long as was said.
    """
    file_id = secrets.token_bytes(16)
    header = _HEADER.pack(_MAGIC, chunk_bytes, plain_bytes, file_id)
    cipher = _cipher(key, file_id)
    total = _chunks(plain_bytes, chunk_bytes)
    yield header
    for index in range(total):
        wanted = min(chunk_bytes, plain_bytes - index * chunk_bytes)
        piece = plain.read(wanted)
        if len(piece) != wanted:
            raise Broken("the plain file is shorter than was said")
        yield cipher.encrypt(_nonce(index), piece, _bound(header, context, index, total))


class Sealed:
    """A sealed file that is read in parts."""

    def __init__(self, read_part: ReadPart, stored_bytes: int, key: bytes, context: bytes) -> None:
        """
        Raises:
            Broken: it is none, or is not as long as it says.
        """
        self._read_part = read_part
        self._header = read_part(0, HEADER_BYTES)
        if len(self._header) != HEADER_BYTES:
            raise Broken("no header")
        magic, self._chunk_bytes, self.plain_bytes, file_id = _HEADER.unpack(self._header)
        if magic != _MAGIC or not 0 < self._chunk_bytes <= _MAX_CHUNK_BYTES:
            raise Broken("no header")
        if sealed_bytes(self.plain_bytes, self._chunk_bytes) != stored_bytes:
            raise Broken("another length than it says")
        self._total = _chunks(self.plain_bytes, self._chunk_bytes)
        self._context = context
        self._cipher = _cipher(key, file_id)

    def read(self, first: int, length: int) -> bytes:
        """Plain bytes from `first` on, fewer than `length` only at the end. Touches no other chunk.

        Raises:
            Broken: what is stored there is not what was sealed.
        """
        end = min(first + length, self.plain_bytes)
        if first >= end:
            return b""
        low, high = first // self._chunk_bytes, (end - 1) // self._chunk_bytes
        step = self._chunk_bytes + _TAG_BYTES
        raw = self._read_part(HEADER_BYTES + low * step, (high - low + 1) * step)
        pieces = [
            self._open(index, raw[(index - low) * step : (index - low + 1) * step])
            for index in range(low, high + 1)
        ]
        skipped = first - low * self._chunk_bytes
        return b"".join(pieces)[skipped : skipped + end - first]

    def _open(self, index: int, piece: bytes) -> bytes:
        try:
            bound = _bound(self._header, self._context, index, self._total)
            return self._cipher.decrypt(_nonce(index), piece, bound)
        except InvalidTag as exc:
            raise Broken(f"chunk {index} is not what was sealed") from exc


class Window(io.RawIOBase):
    """Parts of a stored file as a file to read and seek in."""

    def __init__(self, read_part: ReadPart, size: int) -> None:
        super().__init__()
        self._read_part = read_part
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        piece = self._read_part(self._at, min(len(buffer), max(0, self._size - self._at)))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _chunks(plain_bytes: int, chunk_bytes: int) -> int:
    """An empty file has one empty chunk: its header is authenticated, too."""
    return max(1, -(-plain_bytes // chunk_bytes))


def _cipher(key: bytes, file_id: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=file_id, info=b"tenex sealed file 1").derive(key))


def _nonce(index: int) -> bytes:
    return index.to_bytes(12, "big")


def _bound(header: bytes, context: bytes, index: int, total: int) -> bytes:
    return header + struct.pack(">QQI", index, total, len(context)) + context
