"""Messages between us and the embedding process: a length of four bytes, then that many bytes."""

import struct
from typing import IO, Final

LENGTH: Final = struct.Struct(">I")
MAX_BYTES: Final = 16 * 1024 * 1024


def read(stream: IO[bytes]) -> bytes | None:
    """The next message; None at the end, or if it is none."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    if size > MAX_BYTES:
        return None
    data = stream.read(size)
    return data if len(data) == size else None


def write(stream: IO[bytes], data: bytes) -> None:
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()
