"""Who may read the figures: whoever has `METRICS_TOKEN`. Without one there is nothing to read, for nobody.

Not by address: behind a proxy on the same machine the whole world comes from 127.0.0.1.
"""

import hmac

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from tenex.monitoring import installation, text
from tenex.server.roles import ServerRole

PATH = "/healthz/metrics"


def refusal(authorization: str) -> int:
    """The status for a request with this `Authorization` header: 404, 401, or 0 if it may read."""
    if not settings.METRICS_TOKEN:
        return 404
    right = f"Bearer {settings.METRICS_TOKEN}".encode()
    return 0 if hmac.compare_digest(authorization.encode("utf-8", "replace"), right) else 401


@require_safe
@never_cache
def of_process(request: HttpRequest) -> HttpResponse:
    """What this very process counted."""
    if status := refusal(request.headers.get("Authorization", "")):
        return _refused(status)
    return _told(*text.of_process(request.headers.get("Accept", ""), text.role_here()))


@require_safe
@never_cache
def of_installation(request: HttpRequest) -> HttpResponse:
    """What is so of the whole installation; 503 if its database does not answer.

    Not on a media process: its one thread for requests is what the carrier waits for.
    """
    if status := refusal(request.headers.get("Authorization", "")):
        return _refused(status)
    if settings.ROLE == ServerRole.MEDIA:
        return _refused(404, "ask a process of the web role\n")
    try:
        return _told(*text.of_installation(request.headers.get("Accept", "")))
    except installation.NotReadable:
        return _refused(503, "the database does not answer\n")


def _told(body: bytes, content_type: str) -> HttpResponse:
    return HttpResponse(body, content_type=content_type)


def _refused(status: int, why: str = "") -> HttpResponse:
    answer = HttpResponse(why, status=status, content_type="text/plain; charset=utf-8")
    if status == 401:
        answer["WWW-Authenticate"] = "Bearer"
    return answer
