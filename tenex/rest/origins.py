"""Pages of other sites: the few that BROWSER_ORIGINS names may open event streams and browser sessions.

An origin is taken literally (scheme, host, port). There are no wildcards, and cookies are never allowed: what
lets a page in is a signed token in the address, which somebody with a credential has given to it.
"""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.http.response import HttpResponseBase

_PREFLIGHT_S = "600"


def is_known(origin: str) -> bool:
    """Whether pages of this origin may talk to us: our own, or one that the settings name."""
    return origin in settings.BROWSER_ORIGINS or origin == settings.OWN_ORIGIN


def is_same_host(origin: str, host: str) -> bool:
    """The page came from the very host that it talks to (the `Host` header), under a name that is ours."""
    domain, _ = split_domain_port(host)
    ours = settings.ALLOWED_HOSTS or ["localhost", "127.0.0.1", "[::1]"]
    return bool(domain) and urlsplit(origin).netloc == host and validate_host(domain, ours)


def share(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let the page that asked read this answer, if its origin may."""
    origin = request.headers.get("Origin", "")
    if settings.BROWSER_ORIGINS:
        response["Vary"] = "Origin"
    if origin in settings.BROWSER_ORIGINS:
        response["Access-Control-Allow-Origin"] = origin


def is_preflight(request: HttpRequest) -> bool:
    """A browser asks whether such a page may send a request that is not simple."""
    return (
        request.method == "OPTIONS"
        and "Access-Control-Request-Method" in request.headers
        and request.headers.get("Origin", "") in settings.BROWSER_ORIGINS
    )


def preflight_headers() -> dict[str, str]:
    """What such a page may do: read, and say where it stopped."""
    return {
        "Access-Control-Allow-Methods": "GET",
        "Access-Control-Allow-Headers": "Last-Event-ID",
        "Access-Control-Max-Age": _PREFLIGHT_S,
    }
