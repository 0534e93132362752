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
    found = [
        (likeness - _SKIPPED * at, -at, Place(line.index, begun))
        for at, line in enumerate(ahead)
        for likeness, enough, begun in _fits(text, _plain(line.text))
        if likeness >= enough
    ]
    return max(found, key=lambda entry: entry[:2])[2] if found else None


def _fits(text: str, line: str) -> list[tuple[float, float, bool]]:
    """How well the words fit as the whole, the beginning and the end of a line: likeness, what is enough
    of it, and whether they would be a beginning only."""
    size = len(text)
    fits = [(_likeness(text, line), _SAME, False)]
    if _PIECE_LETTERS <= size < len(line):
        fits.append((_likeness(text, line[:size]), _PART, size < _WHOLE * len(line)))
        fits.append((_likeness(text, line[-size:]), _PART, False))
    return fits


def _plain(text: str) -> str:
    return " ".join(words(text))


def _likeness(one: str, other: str) -> float:
    """0 … 1: letters that the two have in common, in order."""
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
