"""No body above what any route takes gets as far as the disk.

Django's ASGI handler stores a whole body before a view sees the request: of a gigabyte, a gigabyte. Here the
request is answered with 413 as soon as its length, as said or as counted, is too large.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from tenex.rest.errors import BodyTooLarge

type AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]


def limit_bodies(app: AsgiApp, limit_bytes: int) -> AsgiApp:
    """For the composition root: `app` without requests whose body is above `limit_bytes`."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if said.isdigit() and int(said[:18]) > limit_bytes:
            await _refuse(send)
            return
        taken, begun = 0, False

        async def counted() -> Any:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            # To Django the client is gone: so it closes what it has stored, and calls no view.
            return message if taken <= limit_bytes else {"type": "http.disconnect"}

        async def noted(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        await app(scope, counted, noted)
        if taken > limit_bytes and not begun:
            await _refuse(send)

    return application


async def _refuse(send: Any) -> None:
    error = BodyTooLarge()
    body = orjson.dumps({"detail": error.detail, "code": error.code})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
