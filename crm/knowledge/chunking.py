"""Cutting a Markdown document into passages that an agent can quote. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

TARGET_TOKENS = 400
OVERLAP_TOKENS = 60
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
_FENCE = re.compile(r"^\s*(```|~~~)")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")


@dataclass(frozen=True, slots=True)
class Passage:
    """`heading` is the path of headings above the text ("Pricing > Discounts")."""

    heading: str
    text: str


def tokens(text: str) -> int:
    """About how many model tokens a text has: four characters each, at least one a word."""
    return max(len(text) // 4, len(text.split()))


def passages(markdown: str) -> list[Passage]:
    """Passages of about TARGET_TOKENS, never across a heading.

    A longer section is cut between paragraphs, else sentences, else words; each further piece starts with
    the last sentences of the one before (up to OVERLAP_TOKENS), so that a thought on the seam is whole once.
    """
    found: list[Passage] = []
    for heading, body in _sections(markdown):
        found += [Passage(heading, piece) for piece in _pieces(body)]
    return found


def _sections(markdown: str) -> Iterator[tuple[str, str]]:
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fenced = False
    for line in markdown.replace("\r\n", "\n").split("\n"):
        if _FENCE.match(line):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
        if match is None:
            lines.append(line)
            continue
        yield _path(path), "\n".join(lines).strip()
        lines = []
        level = len(match[1])
        path = [entry for entry in path if entry[0] < level] + [(level, match[2])]
    yield _path(path), "\n".join(lines).strip()


def _path(path: list[tuple[int, str]]) -> str:
    return " > ".join(title for _, title in path)[:300]


def _pieces(body: str) -> Iterator[str]:
    if not body:
        return
    current: list[str] = []
    size = 0
    for unit in _units(body):
        length = tokens(unit)
        if current and size + length > TARGET_TOKENS:
            yield "\n\n".join(current)
            tail = _tail("\n\n".join(current))
            current, size = ([tail], tokens(tail)) if tail else ([], 0)
        current.append(unit)
        size += length
    yield "\n\n".join(current)


def _units(body: str) -> Iterator[str]:
    """Paragraphs; a paragraph that alone is too long, in sentences; such a sentence, in runs of words."""
    room = TARGET_TOKENS - OVERLAP_TOKENS
    for paragraph in re.split(r"\n\s*\n", body):
        if tokens(paragraph) <= room:
            yield paragraph.strip()
            continue
        run: list[str] = []
        for sentence in _short_sentences(paragraph, room):
            if run and tokens(" ".join([*run, sentence])) > room:
                yield " ".join(run)
                run = []
            run.append(sentence)
        if run:
            yield " ".join(run)


def _short_sentences(paragraph: str, room: int) -> Iterator[str]:
    for sentence in _SENTENCE_END.split(paragraph.strip()):
        while tokens(sentence) > room:
            cut = sentence.rfind(" ", 0, room * 2)
            cut = cut if cut > 0 else room * 2
            yield sentence[:cut].strip()
            sentence = sentence[cut:].strip()  # noqa: PLW2901 - what is left of it
        if sentence:
            yield sentence


def _tail(text: str) -> str:
    taken: list[str] = []
    for sentence in reversed(_SENTENCE_END.split(text)):
        if tokens(" ".join([sentence, *taken])) > OVERLAP_TOKENS:
            break
        taken.insert(0, sentence)
    return " ".join(taken)
