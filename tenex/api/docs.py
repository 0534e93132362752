"""`/openapi.json` and `/docs`. The description is built once a process; the page needs no other host."""

from functools import cache
from hashlib import sha256
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

_CSP = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
"""Swagger UI sets style attributes; scripts come from files only."""


@cache
def document() -> tuple[bytes, str]:
    """The OpenAPI document and its ETag."""
    generator: Any = SchemaGenerator  # untyped
    schema = generator().get_schema(request=None, public=True)
    raw = orjson.dumps(schema, default=str, option=orjson.OPT_NON_STR_KEYS)
    return raw, f'"{sha256(raw).hexdigest()[:32]}"'


def published() -> str:
    """The document as it is kept in docs/openapi.json: of no server in particular, a line a thing."""
    described = {**orjson.loads(document()[0]), "servers": [{"url": "https://voice.example.com"}]}
    return orjson.dumps(described, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


@require_safe
def openapi(request: HttpRequest) -> HttpResponseBase:
    raw, etag = document()
    if request.headers.get("If-None-Match") == etag:
        return HttpResponseNotModified(headers={"ETag": etag})
    return HttpResponse(
        raw, content_type="application/json", headers={"ETag": etag, "Cache-Control": "public, max-age=60"}
    )


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Swagger UI."""
    page = render(request, "docs.html")
    page["Content-Security-Policy"] = _CSP
    return page
