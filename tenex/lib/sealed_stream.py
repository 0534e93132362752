"""Sealed streams: long content in pieces, each AES-256-GCM, none of which can be left out, moved or repeated.

    b"TXS1" | for each piece: length (4 bytes), nonce (12), ciphertext with tag

What is authenticated with a piece: what the caller names as `bound`, the piece's number, and whether it is
the last one. So a stream that was cut off or put together of others does not open.
"""

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tenex.lib.sealed import NotSealed, WrongKey

MAGIC: Final = b"TXS1"
PIECE_BYTES: Final = 1 << 20
_NONCE_BYTES: Final = 12
_MOST: Final = PIECE_BYTES + 1024


def seal(key: bytes, plain: Iterable[bytes], *bound: str) -> Iterator[bytes]:
    """The sealed stream of `plain`, whose pieces may have any length."""
    cipher = AESGCM(key)
    yield MAGIC
    for number, (piece, last) in enumerate(_pieces(plain)):
        nonce = os.urandom(_NONCE_BYTES)
        body = nonce + cipher.encrypt(nonce, piece, _authenticated(bound, number, last))
        yield len(body).to_bytes(4, "big") + body


def unseal(key: bytes, sealed: BinaryIO, *bound: str) -> Iterator[bytes]:
    """What was sealed.

    Raises:
        NotSealed: another form, or cut off.
        WrongKey: another key or place, or it was changed.
    """
    if sealed.read(len(MAGIC)) != MAGIC:
        raise NotSealed("not a sealed stream")
    cipher, number = AESGCM(key), 0
    head = sealed.read(4)
    while head:
        length = int.from_bytes(head, "big")
        body = sealed.read(length) if len(head) == 4 and length <= _MOST else b""
        if len(body) != length or length <= _NONCE_BYTES:
            raise NotSealed("a sealed stream that was cut off")
        head = sealed.read(4)
        try:
            yield cipher.decrypt(
                body[:_NONCE_BYTES], body[_NONCE_BYTES:], _authenticated(bound, number, not head)
            )
        except InvalidTag as exc:
            raise WrongKey("another key or place, or the stream was changed") from exc
        number += 1
    if not number:
        raise NotSealed("a sealed stream that was cut off")


def _pieces(plain: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Of PIECE_BYTES each, the last one marked; an empty stream has one empty piece."""
    kept = bytearray()
    for part in plain:
        kept += part
        while len(kept) > PIECE_BYTES:
            yield bytes(kept[:PIECE_BYTES]), False
            del kept[:PIECE_BYTES]
    yield bytes(kept), True


def _authenticated(bound: tuple[str, ...], number: int, last: bool) -> bytes:
    parts = [part.encode() for part in (*bound, str(number), "last" if last else "more")]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
