"""The format of sealed files: read from any place, and no change of it goes unnoticed."""

import io
import random

import pytest

from tenex.lib import sealed_file
from tenex.lib.sealed_file import Broken, Sealed, Window

KEY, MINE = b"k" * 32, b"recording-1"
CHUNK = 64


def sealed(plain: bytes, *, key: bytes = KEY, context: bytes = MINE) -> bytes:
    return b"".join(sealed_file.seal(io.BytesIO(plain), len(plain), key, context, chunk_bytes=CHUNK))


def opened(data: bytes, *, key: bytes = KEY, context: bytes = MINE) -> Sealed:
    return Sealed(lambda first, length: data[first : first + length], len(data), key, context)


PLAIN = random.Random(1).randbytes(5 * CHUNK + 17)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK])
def test_what_went_in_comes_out(size: int) -> None:
    data = sealed(PLAIN[:size])
    assert len(data) == sealed_file.sealed_bytes(size, CHUNK)
    assert opened(data).read(0, size + 10) == PLAIN[:size]
    assert size < 8 or PLAIN[:8] not in data


def test_any_range_of_it() -> None:
    file = opened(sealed(PLAIN))
    dice = random.Random(2)
    for _ in range(300):
        first, length = dice.randrange(len(PLAIN) + 20), dice.randrange(3 * CHUNK)
        assert file.read(first, length) == PLAIN[first : first + length]


def test_a_range_reads_no_chunk_that_it_does_not_need() -> None:
    data, asked = sealed(PLAIN), []

    def part(first: int, length: int) -> bytes:
        asked.append((first, length))
        return data[first : first + length]

    file = Sealed(part, len(data), KEY, MINE)
    asked.clear()
    assert file.read(2 * CHUNK + 5, 3) == PLAIN[2 * CHUNK + 5 :][:3]
    assert asked == [(sealed_file.HEADER_BYTES + 2 * (CHUNK + 16), CHUNK + 16)]


def test_as_a_file_it_reads_and_seeks() -> None:
    file = io.BufferedReader(Window(opened(sealed(PLAIN)).read, len(PLAIN)), 100)
    assert file.read(10) == PLAIN[:10]
    file.seek(-7, io.SEEK_END)
    assert file.read() == PLAIN[-7:]
    file.seek(CHUNK)
    file.seek(3, io.SEEK_CUR)
    assert file.read(2) == PLAIN[CHUNK + 3 :][:2]


def test_two_files_of_the_same_words_have_nothing_in_common() -> None:
    first, second = sealed(PLAIN), sealed(PLAIN)
    body = sealed_file.HEADER_BYTES
    assert first[body : body + 16] != second[body : body + 16]


@pytest.mark.parametrize("at", [0, 8, 13, 21, 40, -1])
def test_a_changed_byte_is_noticed(at: int) -> None:
    data = bytearray(sealed(PLAIN))
    data[at] ^= 1
    with pytest.raises(Broken):
        opened(bytes(data)).read(0, len(PLAIN))


def test_a_chunk_in_another_place_is_noticed() -> None:
    data, step, head = sealed(PLAIN), CHUNK + 16, sealed_file.HEADER_BYTES
    first, second = data[head : head + step], data[head + step : head + 2 * step]
    with pytest.raises(Broken):
        opened(data[:head] + second + first + data[head + 2 * step :]).read(0, 10)


def test_an_end_that_was_cut_off_is_noticed_at_once() -> None:
    data = sealed(PLAIN)
    for length in (0, 5, sealed_file.HEADER_BYTES, len(data) - 1, len(data) - 17 - 16):
        with pytest.raises(Broken):
            opened(data[:length])


def test_an_end_that_was_cut_off_with_a_header_that_fits_is_noticed() -> None:
    """Whoever rewrites the header to the shorter length has not its key."""
    data = sealed(PLAIN)
    shorter = sealed_file._HEADER.pack(b"TNXSEAL1", CHUNK, 5 * CHUNK, data[20:36])
    body = data[sealed_file.HEADER_BYTES :][: 5 * (CHUNK + 16)]
    with pytest.raises(Broken):
        opened(shorter + body).read(0, 1)


def test_it_opens_with_its_key_and_for_its_owner_only() -> None:
    data = sealed(PLAIN)
    for wrong in ({"key": b"x" * 32}, {"context": b"recording-2"}):
        with pytest.raises(Broken):
            opened(data, **wrong).read(0, 1)
    with pytest.raises(Broken):
        opened(b"RIFF" + bytes(100))


def test_a_file_that_ends_too_early_is_not_sealed() -> None:
    with pytest.raises(Broken):
        list(sealed_file.seal(io.BytesIO(b"abc"), 4, KEY, MINE))
