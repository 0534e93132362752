"""Health: `live` (the process answers) and `ready` (send it new work)."""

from __future__ import annotations

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from tenex.server import drain


@require_safe
@never_cache
def live(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers at all: a supervisor restarts what does not."""
    return JsonResponse({"status": "live"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """200 if new work may be sent here; 503 while draining, or without database or broker."""
    checks = {"database": _database_answers(), "broker": _broker_answers()}
    status = "ready" if all(checks.values()) else "not_ready"
    if drain.is_draining():
        status = "draining"
    body = {"status": status, "checks": checks, "live_calls": drain.live_calls.count}
    return JsonResponse(body, status=200 if status == "ready" else 503)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _broker_answers() -> bool:
    try:
        cache.get("healthz")
    except (RedisError, OSError):
        return False
    return True
