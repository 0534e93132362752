"""What all event streams have in common: who may read, from where on, and a reader's life.

A stream is numbered without gaps. Its reader is a loop: read what is there, send it, wait until there may be
more. Nothing is kept for a reader that is slow: it is simply not read for, and later reads on from the rows.
"""

import math
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException, PermissionDenied

from tenex.errors import InvalidInput, TenexError, Unauthorized
from tenex.rest import origins, signed, sse, throttling
from tenex.rest.authentication import principal_of
from tenex.rest.errors import exception_handler
from tenex.rest.off_loop import Shared, off_loop
from tenex.rest.renderers import dumps
from tenex.server import drain

CHECK_S = 15.0
"""How often an open stream asks whether the credential that opened it still counts."""
MAX_WAITING_BYTES = 256 * 1024
POSITION = "stream.position"

_allows = Shared(off_loop(signed.allows))


@dataclass(frozen=True, slots=True)
class Reader:
    """The credential behind an open stream."""

    issuer: str
    workspace_id: uuid.UUID
    scopes: tuple[str, ...]

    async def may_go_on(self) -> bool:
        allowed: bool = await _allows(self.issuer, self.workspace_id, self.scopes)
        return allowed


@dataclass(frozen=True, slots=True)
class Page:
    """What a stream has behind some number."""

    upto: int
    """Everything up to here has been looked at."""
    frames: Sequence[bytes] = field(default=())
    last_id: int = 0
    """Number of the last frame, 0 without any: a filter may have passed over those behind it."""
    more: bool = False
    """There is more already."""
    over: bool = False
    """Nothing will ever come behind these."""
    ends_at_s: float = math.inf
    """Monotonic instant at which the stream ends, whatever has come until then."""


def fitting(frames: Iterable[bytes]) -> tuple[bytes, ...]:
    """The first frames, as many as may wait for one slow reader: all that it ever costs us in memory."""
    taken, size = [], 0
    for frame in frames:
        taken.append(frame)
        size += len(frame)
        if size >= MAX_WAITING_BYTES:
            break
    return tuple(taken)


# --- the request ----------------------------------------------------------------------------------


def answer(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The last touch of every answer of a stream's address."""
    origins.share(request, response)
    return response


def refused(request: HttpRequest, exc: Exception) -> HttpResponseBase:
    """An error as the rest of the API writes it."""
    said = exception_handler(exc, {})
    headers = {key: value for key, value in said.items() if key != "Content-Type"}
    return answer(request, _json(said.status_code, said.data, headers))


REFUSALS = (TenexError, APIException)


def not_get(request: HttpRequest) -> HttpResponseBase | None:
    """The answer to any other method than GET."""
    if request.method == "GET":
        return None
    if origins.is_preflight(request):
        return answer(request, HttpResponse(status=204, headers=origins.preflight_headers()))
    body = {"detail": "only GET", "code": "method_not_allowed"}
    return answer(request, _json(405, body, {"Allow": "GET"}))


def _json(status: int, body: object, headers: dict[str, str]) -> HttpResponse:
    return HttpResponse(dumps(body), status=status, content_type="application/json", headers=headers)


def last_event_id(request: HttpRequest) -> int | None:
    """The last number that the client has, if it says so. The header, which browsers set, comes first.

    Raises:
        InvalidInput: not a number of ours.
    """
    header = request.headers.get("Last-Event-ID", "")
    raw = header or request.GET.get("last_event_id", "")
    if not raw:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 15):
        raise not_an_id(request)
    return int(raw)


def not_an_id(request: HttpRequest) -> InvalidInput:
    """A number that this stream has not given out."""
    in_header = bool(request.headers.get("Last-Event-ID"))
    where = ("header", "Last-Event-ID") if in_header else ("query", "last_event_id")
    return InvalidInput("not an id of this stream", loc=where)


def flag(request: HttpRequest, name: str, *, default: bool) -> bool:
    """A parameter that is `true` or `false`.

    Raises:
        InvalidInput: it is neither.
    """
    value = request.GET.get(name, str(default).lower())
    if value not in {"true", "false"}:
        raise InvalidInput("is true or false", loc=("query", name))
    return value == "true"


def known_query(request: HttpRequest, *names: str) -> None:
    """Refuse parameters that a stream does not have.

    Raises:
        InvalidInput: with the first name that is not known, or that is given twice.
    """
    for name in request.GET:
        if name not in names:
            raise InvalidInput("unknown parameter", loc=("query", name), type_="extra_forbidden")
        if len(request.GET.getlist(name)) > 1:
            raise InvalidInput("given more than once", loc=("query", name), type_="duplicate")


def admit_link(request: HttpRequest, token: str, purpose: str) -> signed.Link:
    """What a signed token of a browser says. Its issuer is to be asked for with :func:`must_allow`.

    Raises:
        Unauthorized: it is not one of ours for this purpose, or has run out.
        RateLimited: too many requests of this address.
    """
    throttling.admit(throttling.address_key(request))
    link = signed.read(token, purpose)
    if link is None:
        raise bad_token()
    return link


def bad_token() -> Unauthorized:
    return Unauthorized("the token does not open this stream (any more)")


def must_allow(reader: Reader) -> Reader:
    """The reader of a token, if the credential behind it still counts and has its rights.

    Raises:
        Unauthorized: it does not.
    """
    if not signed.allows(reader.issuer, reader.workspace_id, reader.scopes):
        raise bad_token()
    return reader


def admit(request: HttpRequest, scopes: tuple[str, ...]) -> Reader:
    """The reader that a bearer credential makes.

    Raises:
        TenexError, APIException: it is not good, lacks a scope, or asks too often.
    """
    principal = principal_of(request)
    if principal is None:
        throttling.admit(throttling.address_key(request))
        raise Unauthorized("Authentication credentials were not provided.")
    throttling.admit(principal.rate_key)
    for scope in scopes:
        if not principal.allows(scope):
            raise PermissionDenied(f"this credential lacks the scope {scope}")
    return Reader(principal.rate_key, principal.workspace.id, scopes)


# --- the reader's life ----------------------------------------------------------------------------

type Read = Callable[[int], Awaitable[Page | None]]
"""What comes behind a number; None if there is no such stream any more."""


async def follow[Key: Hashable, State](
    hub: sse.Hub[Key, State],
    key: Key,
    after: int,
    read: Read,
    reader: Reader,
    *,
    first: bytes = b"",
    wait: bool = True,
) -> AsyncIterator[bytes]:
    """Frames behind `after`, each once, until the stream, the reader's right or this process ends.

    The stream is watched before it is first read, so nothing falls between. `first` is sent before all else.
    Without `wait` it ends behind what is there now.
    """
    yield sse.RETRY + first
    known, moved, ends_at_s = after, True, math.inf
    sent_s = checked_s = time.monotonic()
    with hub.watch(key) as watch:
        while not drain.is_over() and time.monotonic() < ends_at_s:
            if time.monotonic() - checked_s > CHECK_S:
                checked_s = time.monotonic()
                if not await reader.may_go_on():
                    return
            if moved:
                page = await read(after)
                if page is None:
                    return
                for chunk in sse.gather(page.frames):
                    yield chunk
                    sent_s = time.monotonic()
                if page.over or not (wait or page.more):
                    return
                after, known = page.upto, page.last_id or known
                moved, ends_at_s = page.more, page.ends_at_s
                continue
            beat_s = sent_s + sse.HEARTBEAT_S
            moved = await watch.moved(max(0.0, min(beat_s, ends_at_s) - time.monotonic()))
            if not moved and time.monotonic() >= beat_s:
                # What a filter passed over need not be looked at again: the reader is told how far we are.
                yield sse.PING if known == after else sse.frame(after, POSITION, {"seq": after})
                known, sent_s = after, time.monotonic()
