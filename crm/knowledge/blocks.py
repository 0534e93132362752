"""What parsers hand over: a document as headings and texts in order, with the page they stand on. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
_FENCE = re.compile(r"^\s*(```|~~~)")


@dataclass(frozen=True, slots=True)
class Block:
    """A heading (`level` 1 and more) or a text (0). Paragraphs of a text are separated by empty lines."""

    text: str
    level: int = 0
    page: int | None = None


def of_markdown(markdown: str) -> list[Block]:
    """Headings as ATX (`## Title`); what looks like one inside a fence is text."""
    return list(_blocks(markdown))


def _blocks(markdown: str) -> Iterator[Block]:
    lines: list[str] = []
    fenced = False
    for line in markdown.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if _FENCE.match(line):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
        if match is None:
            lines.append(line)
            continue
        if text := "\n".join(lines).strip():
            yield Block(text)
        lines = []
        if match[2]:
            yield Block(match[2], len(match[1]))
    if text := "\n".join(lines).strip():
        yield Block(text)


def as_text(blocks: list[Block]) -> str:
    """The whole as Markdown, for people and for comparing two versions."""
    return "\n\n".join(f"{'#' * min(6, one.level)} {one.text}" if one.level else one.text for one in blocks)
