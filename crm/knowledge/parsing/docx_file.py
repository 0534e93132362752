"""Word documents. What the archive says of itself is judged before anything is unpacked."""

import re
import zipfile
from typing import IO, Any

from crm.knowledge.parsing.refusals import MAX_EXPANDED_BYTES, MAX_MEMBERS, Refused

_HEADING = re.compile(r"^(?:heading|überschrift|titre|título|titolo|kop)\s*(\d)$", re.IGNORECASE)
_DIRECTORY_BYTES = 1024 * 1024
"""Of the list of members at the archive's end: of a bomb with a million members it has more."""
_END = b"PK\x05\x06"
_NO_TITLE = "Word Document"
"""What the library calls one that does not say."""


def inspect(file: IO[bytes]) -> None:
    """
    Raises:
        Refused: no archive, no Word document, unsafe names, or it would be too large unpacked.
    """
    _directory_fits(file)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as exc:
        raise Refused("unreadable") from exc
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise Refused("expands_too_much")
    for one in members:
        # zipfile reads no more of a member than is declared here, so declarations cannot be too small.
        parts = one.filename.replace("\\", "/").split("/")
        if ".." in parts or one.filename.startswith(("/", "\\")) or ":" in parts[0]:
            raise Refused("unsafe_names")
        if one.flag_bits & 1:
            raise Refused("encrypted")
    if sum(one.file_size for one in members) > MAX_EXPANDED_BYTES:
        raise Refused("expands_too_much")
    names = {one.filename for one in members}
    if not {"[Content_Types].xml", "word/document.xml"} <= names:
        raise Refused("wrong_content")
    if len(names) < len(members):
        raise Refused("unreadable")
    file.seek(0)


def _directory_fits(file: IO[bytes]) -> None:
    size = file.seek(0, 2)
    file.seek(max(0, size - 66_000))
    tail = file.read()
    place = tail.rfind(_END)
    if place < 0 or len(tail) < place + 22:
        raise Refused("unreadable")
    listed = int.from_bytes(tail[place + 12 : place + 16], "little")
    if listed > _DIRECTORY_BYTES:
        raise Refused("expands_too_much")
    file.seek(0)


def parse(file: IO[bytes]) -> dict[str, Any]:
    """Paragraphs and tables in their order, headings by their styles."""
    inspect(file)
    import docx
    from docx.table import Table

    document = docx.Document(file)
    blocks: list[list[Any]] = []
    for item in document.iter_inner_content():
        if isinstance(item, Table):
            if text := _table(item):
                blocks.append([text, 0, None])
            continue
        text = item.text.strip()
        if not text:
            continue
        level = _level(item)
        if level:
            blocks.append([" ".join(text.split()), level, None])
        else:
            bullet = "- " if _style(item).startswith("list") else ""
            blocks.append([bullet + text, 0, None])
    title = str(document.core_properties.title or "")
    return {
        "blocks": blocks,
        "title": "" if title == _NO_TITLE else title[:200],
        "language": str(document.core_properties.language or "")[:20],
    }


def _style(paragraph: Any) -> str:
    style = paragraph.style
    return str(style.name or "").lower() if style is not None else ""


def _level(paragraph: Any) -> int:
    name = _style(paragraph)
    if name == "title":
        return 1
    match = _HEADING.match(name)
    return min(6, int(match[1])) if match and match[1] != "0" else 0


def _table(table: Any) -> str:
    """A row a line; cells that are merged are told once."""
    lines = []
    for row in table.rows:
        cells: list[str] = []
        for cell in row.cells:
            text = " ".join(cell.text.split())
            if not cells or cells[-1] != text:
                cells.append(text)
        if any(cells):
            lines.append(" | ".join(cells))
    return "\n".join(lines)
