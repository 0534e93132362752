"""A sealed stream opens whole and at its place, or not at all."""

import io
import os

import pytest

from tenex.lib import sealed_stream
from tenex.lib.sealed import NotSealed, WrongKey

KEY = bytes(range(32))
BIG = os.urandom(2 * sealed_stream.PIECE_BYTES + 17)


def sealed(plain: bytes, *bound: str, step: int = 100_000) -> bytes:
    parts = (plain[at : at + step] for at in range(0, len(plain), step))
    return b"".join(sealed_stream.seal(KEY, parts, *bound))


def opened(stream: bytes, *bound: str, key: bytes = KEY) -> bytes:
    return b"".join(sealed_stream.unseal(key, io.BytesIO(stream), *bound))


@pytest.mark.parametrize("plain", [b"", b"x", BIG, BIG[: sealed_stream.PIECE_BYTES]])
def test_what_is_sealed_opens(plain: bytes) -> None:
    assert opened(sealed(plain, "a", "b"), "a", "b") == plain


def test_nothing_opens_elsewhere_or_with_another_key() -> None:
    stream = sealed(b"said", "workspace", "table")
    for bound in (("workspace", "other"), ("workspacetable",), ("workspace", "table", "")):
        with pytest.raises(WrongKey):
            opened(stream, *bound)
    with pytest.raises(WrongKey):
        opened(stream, "workspace", "table", key=bytes(32))


def test_pieces_cannot_be_left_out_repeated_or_changed() -> None:
    stream = sealed(BIG, "a")
    pieces, at = [], 4
    while at < len(stream):
        length = 4 + int.from_bytes(stream[at : at + 4], "big")
        pieces.append(stream[at : at + length])
        at += length
    assert len(pieces) == 3
    for wrong in (pieces[:2], pieces[1:], [*pieces, pieces[2]], pieces[::-1], [pieces[0], pieces[2]], []):
        with pytest.raises((WrongKey, NotSealed)):
            opened(sealed_stream.MAGIC + b"".join(wrong), "a")
    for cut in (3, 5, 20, len(stream) - 1):
        with pytest.raises((WrongKey, NotSealed)):
            opened(stream[:cut], "a")
    with pytest.raises(WrongKey):
        opened(stream[:-1] + bytes([stream[-1] ^ 1]), "a")
