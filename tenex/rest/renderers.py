"""JSON in and out, by orjson: strict UTF-8, no NaN, bounded depth and numbers."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from rest_framework.exceptions import NotAcceptable, ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.utils.mediatypes import media_type_matches

from tenex.lib import limits
from tenex.rest.errors import BodyTooLarge

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def dumps(data: object) -> bytes:
    """Bytes of a JSON answer; instants as `…Z`, UUIDs as text."""
    return orjson.dumps(data, default=str, option=_OPTIONS)


class OrjsonRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else dumps(data)


class OurTypes(BaseContentNegotiation):
    """JSON, and what an operation documents beside it. What explains an error is always JSON."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        return next(
            (one for one in parsers if media_type_matches(one.media_type, request.content_type)), None
        )

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The JSON renderer: a view that has other forms chooses by itself, by its `format` parameter.

        Raises:
            NotAcceptable: `Accept` excludes all that this operation can answer (406).
        """
        renderer = next(iter(renderers))
        view = (request.parser_context or {}).get("view")
        handler = getattr(view, str(request.method).lower(), None)
        ours = {str(renderer.media_type), *getattr(handler, "produces", ())}
        accept = str(request.META.get("HTTP_ACCEPT", "*/*"))
        if not any(_accepts(accept, media_type) for media_type in ours):
            raise NotAcceptable(f"this answers with {' or '.join(sorted(ours))}")
        return renderer, str(renderer.media_type)


class OrjsonParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The decoded body.

        Raises:
            ParseError: not JSON, too deep, or a name twice in one object (400).
            BodyTooLarge: above DATA_UPLOAD_MAX_MEMORY_SIZE (413).
        """
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise BodyTooLarge
        try:
            decoded = orjson.loads(raw)
        except orjson.JSONDecodeError as exc:
            raise ParseError(f"the body is not JSON: {exc.msg} at character {exc.pos}") from exc
        if _depth(decoded) > limits.JSON_DEPTH:
            raise ParseError(f"the body is nested deeper than {limits.JSON_DEPTH}")
        if isinstance(decoded, dict | list):
            json.loads(raw, object_pairs_hook=_without_duplicates, parse_int=str, parse_float=str)
        return decoded


def _accepts(header: str, media_type: str) -> bool:
    """Whether an `Accept` header lets this type pass (RFC 9110, 12.5.1): the most specific range decides."""
    best, allowed = -1, False
    kind = media_type.split("/", maxsplit=1)[0]
    for part in header.split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        rank = {media_type: 2, f"{kind}/*": 1, "*/*": 0}.get(name, -1)
        if rank > best:
            quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
            best, allowed = rank, not _ZERO.fullmatch(quality)
    return allowed


_ZERO = re.compile(r"0(\.0*)?")


def _depth(value: Any) -> int:
    """How deep containers stand in each other; the decoder has refused what would exhaust the stack."""
    level, depth = [value], 0
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """One of two values would be lost in silence, and which one depends on who reads it (RFC 7493, 2.3)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ParseError(f"the body has the name {twice[:40]!r} twice in one object")
    return found
