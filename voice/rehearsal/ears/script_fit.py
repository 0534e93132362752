"""Which line of the script was that? Recognized words against what the caller may say next."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

from voice.rehearsal.ears.word_errors import words

_SAME = 0.6
"""Likeness from which two texts are taken for the same line."""
_PART = 0.7
"""The same for a piece of a line: short texts resemble each other more easily."""
_PIECE_LETTERS = 8
"""Shorter pieces tell nothing."""
_WHOLE = 0.75
"""Part of a line from which on it counts as said."""
_SKIPPED = 0.05
"""What a line loses for each one that stands before it: people rarely skip a line."""


@dataclass(frozen=True, slots=True)
class Line:
    """A caller's line of the script."""

    index: int
    """Of its step."""
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the script the caller is."""

    index: int
    begun: bool
    """It was the beginning of the line only."""


def find(heard: str, ahead: Iterable[Line]) -> Place | None:
    """The one of the lines `ahead` (in order) that the words fit best; None if they fit none of them."""
    text = _plain(heard)
    if not text:
        return None
    lines = [(line.index, _plain(line.text)) for line in ahead]
    found = [
        (likeness - _SKIPPED * at, -at, Place(index, begun=False))
        for at, (index, line) in enumerate(lines)
        if (likeness := _likeness(text, line)) >= _SAME
    ]
    found = found or [
        (likeness - _SKIPPED * at, -at, Place(index, begun=begun))
        for at, (index, line) in enumerate(lines)
        for likeness, begun in _as_piece(text, line)
        if likeness >= _PART
    ]
    return max(found, key=lambda entry: entry[:2])[2] if found else None


def _as_piece(text: str, line: str) -> list[tuple[float, bool]]:
    """How well the words fit as the beginning (True: only that) and as the end of a line."""
    size = len(text)
    if not _PIECE_LETTERS <= size < len(line):
        return []
    return [(_likeness(text, line[:size]), size < _WHOLE * len(line)), (_likeness(text, line[-size:]), False)]


def _plain(text: str) -> str:
    return " ".join(words(text))


def _likeness(one: str, other: str) -> float:
    """0 … 1: letters that the two have in common, in order."""
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
