"""HTTP manners of the offline OpenAI server: keys, and errors in the vendor's shape."""

import secrets
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from voice.rehearsal.model.options import Options
from voice.rehearsal.model.shapes import Refusal

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def json_response(body: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={"x-request-id": f"req_{secrets.token_hex(12)}"},
    )


def check_key(request: web.Request, options: Options) -> None:
    """Bearer authorization.

    Raises:
        Refusal: 401 `invalid_api_key`.
    """
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Refusal(
            "You didn't provide an API key. You need to provide your API key in an Authorization header "
            "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            code="invalid_api_key",
            status=401,
        )
    if options.api_keys and key.strip() not in options.api_keys | options.more_keys:
        shown = f"{key[:4]}***{key[-2:]}" if len(key) > 8 else "***"
        raise Refusal(f"Incorrect API key provided: {shown}.", code="invalid_api_key", status=401)
    options.uses[key.strip(), request.path] += 1


@web.middleware
async def error_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals and HTTP errors become `{"error": {message, type, param, code}}`."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return json_response({"error": refusal.body()}, status=refusal.status)
    except web.HTTPException as exc:
        if exc.status < 400:
            raise
        text = f"Invalid URL ({request.method} {request.path})" if exc.status == 404 else exc.reason
        body = Refusal(text, code="unknown_url" if exc.status == 404 else "invalid_request").body()
        return json_response({"error": body}, status=exc.status)
