"""Why a document cannot be taken: codes for programs, words for people, status of the answer. Pure."""

from typing import Final

SAYS: Final[dict[str, tuple[int, str]]] = {
    "unsupported_document": (415, "only PDF, DOCX, Markdown, plain text and HTML are read"),
    "wrong_content": (415, "the content is not of the type that its name or its declaration says"),
    "too_large": (413, "the document is larger than 25 MiB"),
    "empty": (422, "the document is empty"),
    "encrypted": (422, "the document is protected by a password"),
    "unreadable": (422, "the document is damaged and cannot be read"),
    "unsafe_names": (422, "the archive has members that point outside of it"),
    "expands_too_much": (422, "unpacked, the document would be too large"),
    "too_many_pages": (422, "the document has more than 2000 pages"),
    "too_much_text": (422, "the document has more than 5 million characters of text"),
    "no_text": (422, "there is no text in it; scanned pages have to be recognized first"),
    "took_too_long": (422, "reading the document took too long"),
    "too_much_memory": (422, "reading the document took too much memory"),
}
MAX_PAGES: Final = 2000
MAX_CHARS: Final = 5_000_000
MAX_MEMBERS: Final = 2000
MAX_EXPANDED_BYTES: Final = 100 * 1024 * 1024


class Refused(Exception):
    """The document cannot be taken. `code` is one of :data:`SAYS`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    @property
    def status(self) -> int:
        return SAYS[self.code][0]

    @property
    def words(self) -> str:
        return SAYS[self.code][1]
