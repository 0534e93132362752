"""Requests a minute, counted in Redis and so shared by all processes.

A sliding window of two counters: the last whole minute counts for the part of it that still lies inside the
window. A refused request does not count. If Redis does not answer, requests pass: availability before
fairness. The same round trip leaves a note of when a key was used (tenex.workspaces.services.key_uses).
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
import structlog
from django.conf import settings
from django.http import HttpRequest
from redis.commands.core import Script
from rest_framework.request import Request

from tenex.rest.errors import RateLimited
from tenex.workspaces.services import key_uses

log = structlog.get_logger(__name__)
WINDOW_S = 60

_SCRIPT = """
local now = redis.call('TIME')
local at = tonumber(now[1]) + tonumber(now[2]) / 1000000
local window = tonumber(ARGV[2])
local slot = math.floor(at / window)
local passed = at / window - slot
local current = tonumber(redis.call('GET', KEYS[1] .. ':' .. slot) or '0')
local before = tonumber(redis.call('GET', KEYS[1] .. ':' .. (slot - 1)) or '0')
local used = before * (1 - passed) + current
local wait = math.ceil(window * (1 - passed))
if ARGV[4] ~= '' then
  redis.call('HSET', ARGV[3], ARGV[4], now[1] .. ' ' .. ARGV[5])
end
if used + 1 > tonumber(ARGV[1]) then
  return {0, math.ceil(used), wait}
end
if ARGV[6] == '0' then
  return {1, math.ceil(used), wait}
end
redis.call('INCR', KEYS[1] .. ':' .. slot)
redis.call('EXPIRE', KEYS[1] .. ':' .. slot, window * 2)
return {1, math.ceil(used + 1), wait}
"""


@dataclass(frozen=True, slots=True)
class Quota:
    """State of one bucket after a request; `reset_s` until the current counter is closed."""

    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """`RateLimit-*` in the widely read form of the IETF draft (its versions 03 to 06)."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
            "RateLimit-Policy": f"{self.limit};w={WINDOW_S}",
        }


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5)


@cache
def _script() -> Script:
    return _valkey().register_script(_SCRIPT)


_silent_until = 0.0


def admit(key: str, *, limit: int | None = None, address: str = "", count: bool = True) -> Quota:
    """Count one request of `key` (`key:<prefix>`, `user:<id>`, `ip:<address>`), or only look.

    `address` is where a request with an API key comes from, for the note of its use.

    Raises:
        RateLimited: the limit is used up.
    """
    global _silent_until  # noqa: PLW0603 - one switch of this process
    top = limit or settings.RATE_LIMIT_PER_MINUTE
    if time.monotonic() < _silent_until:
        return Quota(top, top, WINDOW_S)
    kind, _, name = key.partition(":")
    noted = name if kind == "key" and count else ""
    try:
        passed, used, reset_s = _script()(
            keys=[f"tenex:rate:{key}"], args=[top, WINDOW_S, key_uses.NOTES, noted, address, int(count)]
        )
    except redis.RedisError as exc:
        _silent_until = time.monotonic() + 1.0  # do not wait for a dead server at each request
        log.warning("rate limit not counted", error=type(exc).__name__)
        return Quota(top, top, WINDOW_S)
    if not passed:
        raise RateLimited(f"more than {top} requests a minute; try again in {reset_s} s", int(reset_s))
    return Quota(top, max(0, top - int(used)), int(reset_s))


def recall(name: str) -> bytes | None:
    """What :func:`note` left, in any process; None if nothing, or Valkey does not answer."""
    try:
        found: Any = _valkey().get(name)
    except redis.RedisError:
        return None
    return bytes(found) if found is not None else None


def note(name: str, value: bytes, *, ttl_s: int) -> None:
    """Leave something small for all processes; it is not missed if Valkey loses it."""
    with suppress(redis.RedisError):
        _valkey().set(name, value, ex=ttl_s)


def address_key(request: HttpRequest | Request) -> str:
    """Bucket of a caller without a good credential: the peer's address (a trusted proxy sets it)."""
    return f"ip:{address(request)}"


def address(request: HttpRequest | Request) -> str:
    """The peer's address; empty behind a Unix socket."""
    return str(request.META.get("REMOTE_ADDR", ""))
