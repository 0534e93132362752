"""A doorbell between processes: "there are new rows". Never carries facts, may lose rings."""

import time
from collections.abc import Iterable
from functools import cache
from typing import Final

import redis
import structlog
from django.conf import settings

log = structlog.get_logger(__name__)


@cache
def _client() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=1.0)


_QUIET_S: Final = 2.0
"""After a server that did not answer: a ring must not cost its caller a second each time."""
_quiet_until = 0.0


def ring(channel: str) -> None:
    """Publish an empty message; a dead server is logged and forgotten."""
    ring_all([channel])


def ring_all(channels: Iterable[str]) -> None:
    """The same for several channels, in one round trip."""
    global _quiet_until  # noqa: PLW0603 - of this process
    if time.monotonic() < _quiet_until:
        return
    try:
        with _client().pipeline(transaction=False) as pipeline:
            for channel in channels:
                pipeline.publish(f"tenex:{channel}", b"")
            pipeline.execute()
    except (redis.RedisError, OSError, ValueError) as exc:  # the client lets those of a closed socket through
        _quiet_until = time.monotonic() + _QUIET_S
        log.warning("doorbell not heard", error=type(exc).__name__)


def call_channel(call_id: object) -> str:
    return f"call:{call_id}"


def live_channel(workspace_id: object) -> str:
    """Any call of the workspace has new lines."""
    return f"live:{workspace_id}"


def workspace_channel(workspace_id: object) -> str:
    return f"workspace:{workspace_id}"
