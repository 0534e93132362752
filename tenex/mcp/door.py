"""`POST /mcp`: streamable HTTP of the Model Context Protocol, stateless, JSON answers.

A plain ASGI application in front of Django's, which does what a REST view does before it looks at the body:
host, origin, credential, rate limit, method, size. Then the SDK has the request.

There are no sessions: `Mcp-Session-Id` means nothing here, GET and DELETE are answered with 405, and any
process answers any request.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated, UnsupportedMediaType

from tenex.errors import Forbidden, TenexError, Unavailable
from tenex.mcp.session_manager import manager_here
from tenex.mcp.threads import in_thread
from tenex.rest import errors, throttling
from tenex.rest.authentication import principal_of
from tenex.rest.renderers import dumps
from tenex.workspaces.principal import Principal

log = structlog.get_logger(__name__)

PATHS = frozenset({"/mcp", "/mcp/"})
MAX_IN_FLIGHT = 128
"""Requests that one process works on or holds waiting; the next one is told to come back."""
DEADLINE_S = 60.0

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type App = Callable[[Any, Any, Any], Awaitable[None]]


class OriginForbidden(Forbidden):
    """A page of another site sends this, perhaps by way of a name that now points at us (DNS rebinding)."""

    code = "forbidden_origin"

    def __init__(self) -> None:
        super().__init__("requests from pages of this origin are not taken")


class BadHost(TenexError):
    """`Host` is none of ALLOWED_HOSTS."""

    code = "bad_request"
    status = 400

    def __init__(self) -> None:
        super().__init__("the request is not acceptable")


class Busy(Unavailable):
    """This process has all the MCP requests that it takes at a time, or this one took too long."""

    def __init__(self, detail: str = "too many requests at a time; try again") -> None:
        super().__init__(detail)


def mounted(app: App) -> App:
    """`app` with `/mcp` in front of it."""
    in_flight = 0

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        nonlocal in_flight
        if scope["path"] not in PATHS:
            await app(scope, receive, send)
            return
        if in_flight >= MAX_IN_FLIGHT:
            await _refuse(send, Busy(), {})
            return
        in_flight += 1
        try:
            await _serve(scope, receive, send)
        finally:
            in_flight -= 1

    return application


async def _serve(scope: Any, receive: Receive, send: Send) -> None:
    """One request: refused by us, or handed to the SDK."""
    headers: dict[str, str] = {}
    answer = _Answer(send, headers)
    try:
        async with asyncio.timeout(DEADLINE_S):
            request = ASGIRequest(scope, io.BytesIO())
            _check_origin(request)
            principal = await _admit(request, headers)
            if request.method != "POST":
                headers["Allow"] = "POST"
                raise MethodNotAllowed(str(request.method))
            if request.content_type != "application/json":
                raise UnsupportedMediaType(str(request.content_type))
            body = await _body(request, receive)
            manager = await manager_here()
            await _until_gone(
                manager.handle_request(
                    {**scope, "tenex.principal": principal}, _replay(body, receive), answer
                ),
                receive,
            )
    except TimeoutError:
        log.warning("mcp request cut", seconds=DEADLINE_S)
        if not answer.begun:
            await _refuse(send, Busy("this took too long and was given up"), headers)
    except _Gone:
        pass
    except Exception as exc:  # the top of a request: any exception becomes an answer
        if answer.begun:
            raise
        await _refuse(send, exc, headers)


# --- before the SDK -------------------------------------------------------------------------------


def _check_origin(request: ASGIRequest) -> None:
    """Programs send no Origin; pages do, and only our own may.

    Raises:
        BadHost, OriginForbidden: see there.
    """
    try:
        request.get_host()
    except DisallowedHost as exc:
        raise BadHost from exc
    origin = request.headers.get("Origin")
    if origin is not None and origin not in settings.CSRF_TRUSTED_ORIGINS:
        raise OriginForbidden


async def _admit(request: ASGIRequest, headers: dict[str, str]) -> Principal:
    """Who asks; counts the request in the same buckets as REST and notes the quota in `headers`.

    Raises:
        RateLimited: the bucket of this credential or address is empty.
        NotAuthenticated, AuthenticationFailed, Forbidden, InvalidInput: as for REST.
    """
    principal, quota = await in_thread(_identify)(request)
    headers |= quota.headers()
    if principal is None:
        raise NotAuthenticated
    return principal


def _identify(request: ASGIRequest) -> tuple[Principal | None, throttling.Quota]:
    principal = principal_of(request)
    key = principal.rate_key if principal else throttling.address_key(request)
    return principal, throttling.admit(key)


async def _body(request: ASGIRequest, receive: Receive) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: above DATA_UPLOAD_MAX_MEMORY_SIZE, as declared or as sent.
        _Gone: the peer left.
    """
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    declared = request.headers.get("Content-Length", "")
    if declared.isdigit() and int(declared) > most:
        raise errors.BodyTooLarge
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise errors.BodyTooLarge
        more = message.get("more_body", False)
    return b"".join(parts)


# --- around the SDK -------------------------------------------------------------------------------


class _Gone(Exception):
    """The peer left before it had its answer."""


class _Answer:
    """`send` with our headers; knows whether an answer has begun."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self._send = send
        self._headers = headers
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            message["headers"] = [*message.get("headers", ()), *_raw(self._headers)]
        await self._send(message)


def _replay(body: bytes, receive: Receive) -> Receive:
    """`receive` that begins with the body, which has been read."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        if waiting:
            return waiting.pop()
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]  # we watch for its end

    return replay


async def _until_gone(work: Any, receive: Receive) -> None:
    """Wait for `work`; cancel it if the peer goes away. What a thread has begun is carried out all the same.

    Raises:
        _Gone: it went away.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_departure(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise _Gone
        working.result()
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(send: Send, exc: Exception, headers: dict[str, str]) -> None:
    """The answer that REST gives to this exception."""
    response = errors.exception_handler(exc, {})
    body = dumps(response.data)
    fields = {**headers, **dict(response.items()), "Content-Type": "application/json"}
    if isinstance(exc, Busy):
        fields["Retry-After"] = "1"
    start = {"type": "http.response.start", "status": response.status_code}
    await send({**start, "headers": [*_raw(fields), (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    given = {**headers, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in given.items()]
