"""What a file is: by its beginning, its name and what its sender says, which have to agree. Pure."""

from typing import IO, Final

from crm.knowledge.parsing.refusals import Refused

PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML: Final = "text/html"
MARKDOWN: Final = "text/markdown"
TEXT: Final = "text/plain"
KINDS: Final = (PDF, DOCX, HTML, MARKDOWN, TEXT)
ENDINGS: Final = {
    ".pdf": PDF, ".docx": DOCX, ".html": HTML, ".htm": HTML, ".xhtml": HTML, ".md": MARKDOWN,
    ".markdown": MARKDOWN, ".txt": TEXT, ".text": TEXT,
}  # fmt: skip
_SAME: Final = {
    "application/x-pdf": PDF, "application/xhtml+xml": HTML, "text/x-markdown": MARKDOWN,
}  # fmt: skip
_SAYS_NOTHING: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_PLAIN: Final = frozenset({HTML, MARKDOWN, TEXT})
_HEAD_BYTES: Final = 4096
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_DOCX: Final = "EncryptedPackage".encode("utf-16-le")
_BINARY: Final = (
    b"\x7fELF", b"MZ", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"RIFF", b"\x1f\x8b", b"BZh", b"7z\xbc\xaf",
    b"Rar!", b"\xca\xfe\xba\xbe", b"{\\rtf", b"OggS", b"ID3",
)  # fmt: skip


def of(file: IO[bytes], *, name: str, declared: str) -> str:
    """One of :data:`KINDS`; the file is at its beginning again afterwards.

    Raises:
        Refused: of no kind that we read, or its content is something else.
    """
    said = _said(name, declared)
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    is_protected = head.startswith(_OLE) and said == DOCX and _has(file, _ENCRYPTED_DOCX)
    file.seek(0)
    if not head:
        raise Refused("empty")
    if is_protected:
        raise Refused("encrypted")
    found = _found(head)
    if found == said or (found == TEXT and said in _PLAIN):
        return said
    raise Refused("wrong_content")


def _said(name: str, declared: str) -> str:
    """What name and declaration say; where the declaration says nothing, the name does.

    A browser's `text/plain` for a Markdown file is no contradiction.
    """
    kind = declared.split(";", maxsplit=1)[0].strip().lower()
    kind = _SAME.get(kind, kind)
    by_name = next((one for ending, one in ENDINGS.items() if name.lower().endswith(ending)), "")
    if kind in _SAYS_NOTHING or kind.startswith("application/x-"):
        kind = by_name
    if kind not in KINDS:
        raise Refused("unsupported_document")
    if by_name and by_name != kind:
        if {by_name, kind} <= {MARKDOWN, TEXT}:
            return by_name
        raise Refused("wrong_content")
    return kind


def _found(head: bytes) -> str:
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith(b"PK\x03\x04"):
        return DOCX
    utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    if head.startswith((*_BINARY, _OLE, b"PK")) or (b"\x00" in head and not utf16):
        return ""
    return TEXT


def _has(file: IO[bytes], needle: bytes) -> bool:
    """Whether `needle` stands anywhere in the file, which is read in blocks."""
    kept = b""
    file.seek(0)
    while block := file.read(1 << 20):
        if needle in kept + block:
            return True
        kept = block[-len(needle) :]
    return False
