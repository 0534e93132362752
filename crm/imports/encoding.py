"""A CSV file as it comes, made UTF-8 with \\n as line ends: then a record has a place in bytes. Pure.

Reads in blocks, in constant memory.
"""

import codecs
import io
from collections.abc import Iterator
from typing import IO, Final

BLOCK_BYTES: Final = 64 * 1024
NAMES: Final = {
    "utf-8": "utf-8-sig",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "cp1252": "cp1252",
}
"""What a client may name -> Python's codec."""
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_OTHERS: Final = (
    (b"PK\x03\x04", "a ZIP file (perhaps a workbook)"),
    (b"\xd0\xcf\x11\xe0", "an old workbook"),
    (b"%PDF", "a PDF"),
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
)


class NotText(ValueError):
    """The file is no text that we read; the message says what it is."""


def detect(file: IO[bytes]) -> str:
    """A name of NAMES: by its byte order mark, by its zeros (UTF-16 of Western text), else UTF-8 if all of it
    is, else cp1252.

    Raises:
        NotText.
    """
    file.seek(0)
    head = file.read(4096)
    for mark, kind in _OTHERS:
        if head.startswith(mark):
            raise NotText(f"the file is {kind}: save it as CSV")
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    if (wide := _wide(head)) is not None:
        return wide
    for name in ("utf-8", "cp1252"):
        if _fits(file, name):
            return name
    raise NotText("the file is neither UTF-8, UTF-16 nor cp1252")


def as_utf8(file: IO[bytes], name: str) -> Iterator[bytes]:
    """The text in blocks of UTF-8, without a byte order mark, with \\n at line ends.

    Raises:
        NotText: there are bytes that are not of this encoding.
    """
    file.seek(0)
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(NAMES[name])("strict"), translate=True
    )
    first = True
    try:
        while True:
            block = file.read(BLOCK_BYTES)
            text = decoder.decode(block, final=not block)
            if first and text:
                text, first = text.removeprefix("\ufeff"), False
            if text:
                yield text.encode("utf-8", "replace")
            if not block:
                return
    except UnicodeDecodeError as exc:
        raise NotText(f"the file is not {name}") from exc


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of Western text is zero."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    half = max(1, len(head) // 2)
    if odd > half * 0.4 and even < half * 0.05:
        return "utf-16-le"
    if even > half * 0.4 and odd < half * 0.05:
        return "utf-16-be"
    if even + odd:
        raise NotText("the file is no text: there are zero bytes in it")
    return None


def _fits(file: IO[bytes], name: str) -> bool:
    try:
        for _ in as_utf8(file, name):
            pass
    except NotText:
        return False
    return True
