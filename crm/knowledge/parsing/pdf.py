"""PDF files: text page by page, headings by the size of their letters, else by the outline."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

import pypdfium2
from pypdfium2 import raw

from crm.knowledge.parsing.refusals import MAX_CHARS, MAX_PAGES, Refused

_DIGITS = re.compile(r"\d+")
_SENTENCE_END = re.compile(r"[.!?:;…]['\")\]]?$")
_HEADING_CHARS = 120
_REPEATED_SHARE = 0.5
_FEWEST_PAGES = 4
"""A line that stands on half of the pages, of at least so many, is a running title or a page number."""
_LARGER = 1.15
_LEVELS = 3


@dataclass(slots=True)
class _Line:
    text: str
    size: float
    page: int


def _open(file: IO[bytes]) -> Any:
    try:
        document = pypdfium2.PdfDocument(file.read())
    except pypdfium2.PdfiumError as exc:
        protected = "password" in str(exc).lower()
        raise Refused("encrypted" if protected else "unreadable") from exc
    if len(document) > MAX_PAGES:
        raise Refused("too_many_pages")
    if len(document) == 0:
        raise Refused("unreadable")
    return document


def inspect(file: IO[bytes]) -> int:
    """How many pages.

    Raises:
        Refused: protected, damaged, or too many pages.
    """
    return len(_open(file))


def parse(file: IO[bytes]) -> dict[str, Any]:
    document = _open(file)
    lines: list[_Line] = []
    chars = 0
    for number in range(len(document)):
        page = document[number]
        text = page.get_textpage()
        found = _lines(text, number + 1)
        chars += sum(len(line.text) for line in found)
        if chars > MAX_CHARS:
            raise Refused("too_much_text")
        lines += found
        text.close()
        page.close()
    kept = _without_repeated(lines, len(document))
    titles = _titles(kept, _outline(document))
    title = str(document.get_metadata_value("Title") or "")
    return {
        "blocks": _blocks(kept, titles),
        "pages": len(document),
        "title": " ".join(title.split())[:200],
    }


def _lines(text: Any, page: int) -> list[_Line]:
    found: list[_Line] = []
    content = text.get_text_range().replace("\x00", "").replace("\ufffe", "-")
    at = 0
    for line in content.split("\n"):
        first = at + len(line) - len(line.lstrip())
        at += len(line) + 1
        cleaned = line.strip()
        if cleaned:
            size = raw.FPDFText_GetFontSize(text.raw, first)
            found.append(_Line(cleaned, round(float(size), 1), page))
    return found


def _without_repeated(lines: Sequence[_Line], pages: int) -> list[_Line]:
    """Without running titles and page numbers."""
    if pages < _FEWEST_PAGES:
        return [line for line in lines if not line.text.isdigit()]
    seen: Counter[str] = Counter()
    for _, text in {(line.page, _DIGITS.sub("#", line.text)) for line in lines}:
        seen[text] += 1
    usual = {text for text, count in seen.items() if count >= pages * _REPEATED_SHARE}
    return [line for line in lines if _DIGITS.sub("#", line.text) not in usual]


def _outline(document: Any) -> dict[tuple[int, str], int]:
    """(page, title) -> level, of the bookmarks."""
    found: dict[tuple[int, str], int] = {}
    for mark in document.get_toc(max_depth=6):
        dest = mark.get_dest()
        index = dest.get_index() if dest is not None else None
        title = " ".join(str(mark.get_title() or "").split())
        if index is not None and title:
            found[index + 1, title.lower()] = int(mark.level) + 1
        if len(found) > MAX_PAGES:
            break
    return found


def _titles(lines: Sequence[_Line], outline: dict[tuple[int, str], int]) -> dict[int, int]:
    """Index of a line that is a heading -> its level."""
    by_outline = {
        number: outline[line.page, " ".join(line.text.split()).lower()]
        for number, line in enumerate(lines)
        if (line.page, " ".join(line.text.split()).lower()) in outline
    }
    if by_outline:
        return by_outline
    weight: Counter[float] = Counter()
    for line in lines:
        weight[line.size] += len(line.text)
    if not weight:
        return {}
    body = weight.most_common(1)[0][0]
    large = [
        (number, line.size)
        for number, line in enumerate(lines)
        if line.size >= body * _LARGER and len(line.text) <= _HEADING_CHARS
    ]
    sizes = sorted({size for _, size in large}, reverse=True)[:_LEVELS]
    return {number: sizes.index(size) + 1 for number, size in large if size in sizes}


def _blocks(lines: Sequence[_Line], titles: dict[int, int]) -> list[list[Any]]:
    """Lines joined to paragraphs: one ends with a sentence on a line that is clearly shorter than others."""
    if not lines:
        return []
    usual = sorted(len(line.text) for line in lines)[int(len(lines) * 0.8)]
    blocks: list[list[Any]] = []
    text = ""
    page = lines[0].page
    for number, line in enumerate(lines):
        if number in titles or line.page != page:
            if text:
                blocks.append([text.strip(), 0, page])
            text, page = "", line.page
        if number in titles:
            if blocks and blocks[-1][1] == titles[number] and number - 1 in titles:
                blocks[-1][0] += f" {line.text}"  # a heading of two lines
            else:
                blocks.append([line.text, titles[number], line.page])
            continue
        if text.endswith("-") and line.text[:1].islower():
            text = text[:-1] + line.text
        else:
            text = f"{text} {line.text}" if text and not text.endswith("\n") else text + line.text
        if _SENTENCE_END.search(line.text) and len(line.text) < usual * 0.8:
            text += "\n\n"
    if text.strip():
        blocks.append([text.strip(), 0, page])
    return blocks
