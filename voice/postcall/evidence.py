"""Finding a quote in what was said. Pure.

Letter case, punctuation, apostrophes and white space do not count; words do, all of them and in order.
"""

import unicodedata
from dataclasses import dataclass

_APOSTROPHES = frozenset("'’‘ʼ`´")


@dataclass(frozen=True, slots=True)
class Found:
    """Character offsets into the text: `text[start:end]` is what was said, letter by letter."""

    start: int
    end: int


def find(quote: str, text: str) -> Found | None:
    """Where `quote` stands in `text`, on word boundaries; None if it does not."""
    needle, _ = _words(quote)
    if not needle.strip():
        return None
    hay, places = _words(text)
    at = hay.find(needle)
    if at < 0:
        return None
    # Both begin and end with one space, which has no place of its own.
    return Found(places[at + 1], places[at + len(needle) - 2] + 1)


def _words(text: str) -> tuple[str, list[int]]:
    """` lower case words ` with single spaces around each, and for each character its place in `text`."""
    letters, places = [" "], [-1]
    for index, char in enumerate(text):
        if char in _APOSTROPHES:
            continue
        plain = [part for part in unicodedata.normalize("NFKC", char).casefold() if part.isalnum()]
        if plain:
            letters += plain
            places += [index] * len(plain)
        elif letters[-1] != " ":
            letters.append(" ")
            places.append(index)
    if letters[-1] != " ":
        letters.append(" ")
        places.append(len(text))
    return "".join(letters), places
