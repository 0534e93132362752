"""Web pages: the text without menus and footers, with its headings."""

from typing import Any

import lxml.html
import trafilatura
from lxml import etree

from crm.knowledge.blocks import Block, of_markdown
from crm.knowledge.parsing.decoding import charset_of, text_of

_FEW_CHARS = 500
_BOILERPLATE = ("script", "style", "noscript", "template", "nav", "footer", "aside", "form", "iframe", "svg")
_BREAKS = {"p", "div", "li", "tr", "br", "table", "section", "article", "pre", "blockquote", "dt", "dd", "td"}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def parse(data: bytes) -> dict[str, Any]:
    text = text_of(data, charset_of(data)).replace("\x00", "")
    parser = lxml.html.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False
    )
    # As bytes: a text that declares an encoding of its own is refused by lxml.
    tree = lxml.html.document_fromstring(text.encode("utf-8"), parser=parser)
    blocks = _main_text(text)
    plain = _all_text(tree)
    # A short page, a price list or opening hours, is boilerplate to trafilatura.
    whole = _length(plain)
    if whole < _FEW_CHARS or _length(blocks) < whole * 0.3:
        blocks = plain
    title = tree.findtext(".//title") or ""
    return {
        "blocks": [[one.text, one.level, one.page] for one in blocks],
        "title": " ".join(title.split())[:200],
        "language": str(tree.get("lang") or "")[:20],
    }


def _main_text(text: str) -> list[Block]:
    found = trafilatura.extract(
        text,
        output_format="markdown",
        include_comments=False,
        include_tables=True,
        include_links=False,
        include_images=False,
        favor_recall=True,
        deduplicate=False,
    )
    return of_markdown(found) if found else []


def _length(blocks: list[Block]) -> int:
    return sum(len(one.text) for one in blocks if not one.level)


def _all_text(tree: Any) -> list[Block]:
    """Everything that a reader sees, headings kept."""
    body = tree.find("body")
    etree.strip_elements(tree, *_BOILERPLATE, with_tail=False)
    blocks: list[Block] = []
    words: list[str] = []

    def flush() -> None:
        lines = (" ".join(line.split()) for line in "".join(words).split("\n"))
        if text := "\n".join(line for line in lines if line):
            blocks.append(Block(text))
        words.clear()

    for event, node in etree.iterwalk(body if body is not None else tree, events=("start", "end")):
        if not isinstance(node.tag, str):
            continue
        level = _HEADINGS.get(node.tag, 0)
        if event == "start":
            if level:
                flush()
                if title := " ".join("".join(node.itertext()).split()):
                    blocks.append(Block(title, level))
                for inner in list(node):
                    node.remove(inner)
                node.text = ""
            elif node.tag in _BREAKS:
                words.append("\n")
            words.append(node.text or "")
        else:
            if node.tag in _BREAKS:
                words.append("\n")
            if node is not body:
                words.append(node.tail or "")
    flush()
    return blocks
