"""A document from the web: through the guarded client, each redirect as if it were typed in."""

import tempfile
from dataclasses import dataclass
from typing import IO, Final
from urllib.parse import unquote, urljoin, urlsplit

from django.conf import settings

from crm.knowledge.parsing import kinds
from crm.knowledge.parsing.refusals import Refused
from tenex.lib import guarded_http
from tenex.lib.guarded_http import AddressRefused, Answer, ExchangeFailed, Policy

MAX_BYTES: Final = 10 * 1024 * 1024
TIMEOUT_S: Final = 20.0
_HOPS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_AGENT: Final = "Tenex-Knowledge/1"
_ACCEPT: Final = "text/html,application/xhtml+xml,application/pdf,text/plain,text/markdown;q=0.9,*/*;q=0.1"


class FetchFailed(Exception):
    """`code` says why, the message says it to people; `retryable`: it may work later."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Fetched:
    """`url` is where it was found in the end. The file is open, at its beginning, and gone when closed."""

    file: IO[bytes]
    kind: str
    url: str
    size_bytes: int


def policy() -> Policy:
    return Policy.of(settings.KNOWLEDGE_ALLOWED_PRIVATE_CIDRS)


def fetch(url: str) -> Fetched:
    """
    Raises:
        FetchFailed: `fetch_refused`, `fetch_failed`, `fetch_status`, `too_many_redirects`.
        Refused: it is no document, or too large.
    """
    for _ in range(_HOPS):
        answer = _ask(url)
        if answer.status not in _REDIRECTS:
            return _fetched(url, answer)
        place = answer.headers.get("location", "")
        if not place:
            raise FetchFailed("fetch_status", f"the server answered {answer.status} without a place to go")
        url = urljoin(url, place).split("#")[0]
    raise FetchFailed("too_many_redirects", f"more than {_HOPS - 1} redirects")


def _ask(url: str) -> Answer:
    try:
        return guarded_http.request(
            "GET",
            url,
            policy=policy(),
            headers={"user-agent": _AGENT, "accept": _ACCEPT},
            timeout_s=TIMEOUT_S,
            read_bytes=MAX_BYTES,
        )
    except AddressRefused as exc:
        raise FetchFailed("fetch_refused", f"this address is not fetched: {exc}") from exc
    except ExchangeFailed as exc:
        raise FetchFailed("fetch_failed", f"the page could not be fetched: {exc}", retryable=True) from exc


def _fetched(url: str, answer: Answer) -> Fetched:
    if answer.status != 200:
        later = answer.status in (408, 425, 429) or answer.status >= 500
        raise FetchFailed("fetch_status", f"the server answered {answer.status}", retryable=later)
    if answer.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise FetchFailed("fetch_failed", "the server answers compressed although it was asked not to")
    if not answer.complete:
        if len(answer.body) >= MAX_BYTES:
            raise Refused("too_large")
        raise FetchFailed("fetch_failed", "the page broke off", retryable=True)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as its reader
    try:
        file.write(answer.body)
        file.flush()
        kind = kinds.of(file, name=_name(url), declared=answer.headers.get("content-type", ""))
    except Refused:
        file.close()
        raise
    return Fetched(file, kind, url, len(answer.body))


def _name(url: str) -> str:
    """The file's name in an address, where it has an ending that we know; pages often have none."""
    last = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    return last if last.lower().endswith((".pdf", ".docx", ".md", ".txt")) else ""
