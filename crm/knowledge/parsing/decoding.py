"""Plain text and Markdown: bytes as text, text as blocks. Pure."""

import re
from typing import Any

from crm.knowledge.blocks import Block, of_markdown

_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)


def text_of(data: bytes, declared: str = "") -> str:
    """UTF-8, UTF-16 with a mark, the declared encoding, else Windows' Western one, which reads anything."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", declared):
        try:
            return data.decode(encoding) if encoding else data.decode("cp1252", "replace")
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("cp1252", "replace")


def charset_of(head: bytes) -> str:
    """What an HTML page says of its encoding, in its first bytes."""
    found = _CHARSET.search(head[:4096])
    return found[1].decode("ascii") if found else ""


def parse(data: bytes, *, markdown: bool) -> dict[str, Any]:
    text = text_of(data).replace("\x00", "")
    blocks = of_markdown(text) if markdown else [Block(text.replace("\r\n", "\n"))]
    return {"blocks": [[one.text, one.level, one.page] for one in blocks]}
