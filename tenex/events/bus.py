"""A doorbell between processes: "there are new rows". Never carries facts, may lose rings."""

from functools import cache

import redis
import structlog
from django.conf import settings

log = structlog.get_logger(__name__)


@cache
def _client() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=1.0)


def ring(channel: str) -> None:
    """Publish an empty message; a dead server is logged and forgotten."""
    try:
        _client().publish(f"tenex:{channel}", b"")
    except redis.RedisError as exc:
        log.warning("doorbell not heard", channel_kind=channel.split(":", 1)[0], error=type(exc).__name__)


def call_channel(call_id: object) -> str:
    return f"call:{call_id}"


def workspace_channel(workspace_id: object) -> str:
    return f"workspace:{workspace_id}"
