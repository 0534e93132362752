"""Records of a CSV text, each with its line and the place where the next one begins. Pure.

A record that cannot be read costs its first line only: reading goes on with the next line, so one quote that
is never closed does not swallow the file. Memory is bounded by MAX_RECORD_BYTES.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

MAX_RECORD_BYTES: Final = 64 * 1024
DELIMITERS: Final = (",", ";", "\t")
_MALFORMED: Final = "a quote that is not closed, or stands in the middle of a quoted cell"
_TOO_LONG: Final = "longer than 64 KiB"


@dataclass(frozen=True, slots=True)
class Record:
    """The row that begins at `line`. An empty line has no cells; nor has a row with a `problem`."""

    line: int
    cells: list[str]
    next_byte: int
    next_line: int
    problem: str = ""
    """`malformed` or `too_long`."""
    reason: str = ""


class _TooLong(Exception):
    pass


def read(
    blocks: Iterable[bytes], *, delimiter: str, start_byte: int = 0, start_line: int = 1
) -> Iterator[Record]:
    """The records of UTF-8 `blocks`, whose first byte is at `start_byte` of the text, on `start_line`."""
    source = _lines(blocks)
    waiting: deque[tuple[bytes, int]] = deque()
    at_byte, at_line = start_byte, start_line
    while True:
        taken: list[tuple[bytes, int]] = []
        problem = reason = ""
        cells: list[str] = []
        try:
            cells = next(csv.reader(_feed(source, waiting, taken), delimiter=delimiter, strict=True))
        except StopIteration:
            return
        except csv.Error:
            problem, reason = "malformed", _MALFORMED
        except _TooLong:
            long_line = taken[0][1] > MAX_RECORD_BYTES
            problem, reason = ("too_long", _TOO_LONG) if long_line else ("malformed", _MALFORMED)
        if problem:
            waiting.extendleft(reversed(taken[1:]))
            taken = taken[:1]
        line = at_line
        at_byte += sum(size for _, size in taken)
        at_line += len(taken)
        yield Record(line, cells, at_byte, at_line, problem, reason)


def _feed(
    source: Iterator[tuple[bytes, int]],
    waiting: "deque[tuple[bytes, int]]",
    taken: list[tuple[bytes, int]],
) -> Iterator[str]:
    """Lines for one record; all that were taken are noted."""
    total = 0
    while (one := waiting.popleft() if waiting else next(source, None)) is not None:
        taken.append(one)
        total += one[1]
        if total > MAX_RECORD_BYTES:
            raise _TooLong
        yield one[0].decode("utf-8")


def _lines(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """(line with its end, its size); a line above MAX_RECORD_BYTES comes empty, with its true size."""
    rest, dropped = b"", 0
    for block in blocks:
        *complete, rest = (rest + block).split(b"\n")
        for line in complete:
            size = dropped + len(line) + 1
            yield (line + b"\n" if size <= MAX_RECORD_BYTES else b""), size
            dropped = 0
        if len(rest) > MAX_RECORD_BYTES:
            rest, dropped = b"", dropped + len(rest)
    if rest or dropped:
        size = dropped + len(rest)
        yield (rest if size <= MAX_RECORD_BYTES else b""), size


def delimiter_of(line: str) -> str:
    """The delimiter that the header line has most of, outside of quotes; a comma if it has none."""
    bare = re.sub(r'"[^"]*"', "", line)
    return max(DELIMITERS, key=bare.count)


def declared_delimiter(line: str) -> str | None:
    """What a first line `sep=;` says (a spreadsheet's own invention); the header is the next line then."""
    found = re.fullmatch(r"sep=([,;\t])\s*", line)
    return found[1] if found else None
