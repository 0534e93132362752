"""Cutting a document into passages that an agent can quote. Pure."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crm.knowledge.blocks import Block

TARGET_TOKENS = 400
OVERLAP_TOKENS = 50
_SENTENCE_END = re.compile(r"(?<=[.!?…。])\s+")
_HEADING_CHARS = 300


@dataclass(frozen=True, slots=True)
class Passage:
    """`heading` is the path of headings above the text ("Pricing > Discounts"), `page` where it begins."""

    heading: str
    text: str
    page: int | None = None

    @property
    def digest(self) -> str:
        return digest(self.text)


def digest(text: str) -> str:
    """SHA-256 of a text without regard to its spaces: the same words are the same passage."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()


def tokens(text: str) -> int:
    """About how many model tokens a text has: four characters each, at least one a word."""
    return max(len(text) // 4, len(text.split()))


def passages(blocks: Sequence[Block]) -> list[Passage]:
    """Passages of about TARGET_TOKENS, never across a heading.

    A longer section is cut between paragraphs, else sentences, else words; each further piece starts with
    the last sentences of the one before (up to OVERLAP_TOKENS), so that a thought on the seam is whole once.
    """
    found: list[Passage] = []
    for heading, body in _sections(blocks):
        found += [Passage(heading, text, page) for text, page in _pieces(body)]
    return found


def _sections(blocks: Sequence[Block]) -> Iterator[tuple[str, list[Block]]]:
    path: list[tuple[int, str]] = []
    body: list[Block] = []
    for block in blocks:
        if not block.level:
            body.append(block)
            continue
        if body:
            yield _path(path), body
            body = []
        title = " ".join(block.text.split())
        path = [entry for entry in path if entry[0] < block.level] + [(block.level, title)]
    if body:
        yield _path(path), body


def _path(path: list[tuple[int, str]]) -> str:
    """The path, cut where it is too long from its beginning: the nearest heading says most."""
    whole = " > ".join(title for _, title in path)
    return whole if len(whole) <= _HEADING_CHARS else "…" + whole[1 - _HEADING_CHARS :]


def _pieces(body: Sequence[Block]) -> Iterator[tuple[str, int | None]]:
    current: list[str] = []
    page: int | None = None
    size = 0
    for unit, at in _units(body):
        length = tokens(unit)
        if current and size + length > TARGET_TOKENS:
            text = "\n\n".join(current)
            yield text, page
            tail = _tail(text)
            current, size = ([tail], tokens(tail)) if tail else ([], 0)
            page = at
        if not current:
            page = at
        current.append(unit)
        size += length
    if current:
        yield "\n\n".join(current), page


def _units(body: Sequence[Block]) -> Iterator[tuple[str, int | None]]:
    """Paragraphs; one that alone is too long, in sentences; such a sentence, in runs of words."""
    room = TARGET_TOKENS - OVERLAP_TOKENS
    for block in body:
        for paragraph in re.split(r"\n\s*\n", block.text):
            if not paragraph.strip():
                continue
            if tokens(paragraph) <= room:
                yield paragraph.strip(), block.page
                continue
            run: list[str] = []
            size = 0
            for sentence in _short_sentences(paragraph, room):
                length = tokens(sentence) + 1
                if run and size + length > room:
                    yield " ".join(run), block.page
                    run, size = [], 0
                run.append(sentence)
                size += length
            if run:
                yield " ".join(run), block.page


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
