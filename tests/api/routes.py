"""Every route of the API, out of the URL configuration itself."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ASYNC_VIEWS = {"stream": ("GET",), "workspace_stream": ("GET",), "play": ("GET",)}
"""Plain views, which do not list their methods themselves."""


@dataclass(frozen=True, slots=True)
class Route:
    path: str
    """As in OpenAPI: `/api/v1/voice/calls/{call_id}`."""
    methods: tuple[str, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(\w+)}", self.path))


def all_routes() -> list[Route]:
    return sorted(_walk(get_resolver().url_patterns, "/"), key=lambda route: route.path)


def _walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[Route]:
    for one in patterns:
        path = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            if path.startswith("/api/"):
                yield from _walk(one.url_patterns, path)
        elif path.startswith("/api/v1/"):
            yield Route(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path), _methods(one))


def _methods(pattern: URLPattern) -> tuple[str, ...]:
    view = getattr(pattern.callback, "view_class", None)
    if view is None:
        return _ASYNC_VIEWS[pattern.callback.__name__]
    return tuple(method for method in METHODS if hasattr(view, method.lower()))
