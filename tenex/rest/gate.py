"""In front of Django: a flood of wrong secrets for one key costs a hash each, not a request each.

Only what :mod:`tenex.rest.guesses` has closed in this very process is answered here, with the 429 that Django
would give; all else passes. So the gate decides nothing, it only spares the way (promises.md D6).
"""

import orjson
from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

from tenex.rest import guesses
from tenex.rest.errors import RateLimited
from tenex.workspaces.services import keys

_BEARER = b"bearer "


def guarded(application: ASGI3Application) -> ASGI3Application:
    """`application` behind the gate; for HTTP scopes."""

    async def gate(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        refusal = _refusal(scope)
        if refusal is None:
            await application(scope, receive, send)
            return
        body = orjson.dumps({"error": refusal.code, "message": refusal.detail})
        headers = (
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"retry-after", b"%d" % refusal.retry_after_s),
            (b"cache-control", b"no-store"),
        )
        await send(
            {"type": "http.response.start", "status": refusal.status, "headers": headers, "trailers": False}
        )
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return gate


def _refusal(scope: Scope) -> RateLimited | None:
    if scope["type"] != "http":
        return None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if value[: len(_BEARER)].lower() != _BEARER:
                return None
            parts = keys.parse(value[len(_BEARER) :].strip().decode("latin-1"))
            return guesses.refused(parts[0], keys.digest(parts[1])) if parts else None
    return None
