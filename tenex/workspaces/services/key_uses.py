"""When a key was last used, and from where.

The rate limiter, which every request passes anyway, leaves a note in Valkey (tenex.rest.throttling); a task
carries the notes to the rows once a minute. So a busy key writes one row a minute, and no request waits for
it. If Valkey loses the notes of a minute, only these are lost.
"""

import ipaddress
from contextlib import suppress
from datetime import UTC, datetime

import redis
from django.conf import settings
from django.db.models import Q

from tenex.workspaces.models import ApiKey

NOTES = "tenex:key-uses"
"""Hash: prefix -> `<unix seconds> <address or nothing>`."""
_TAKEN = f"{NOTES}:taken"


def carry_over() -> int:
    """Write the notes to the rows; how many keys were used. Whoever dies in the middle is repeated."""
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=5) as valkey:
        with suppress(redis.ResponseError):  # nothing was noted, or the notes of somebody who died are there
            valkey.renamenx(NOTES, _TAKEN)
        notes: dict[bytes, bytes] = valkey.hgetall(_TAKEN)
        used = sum(_write(prefix.decode(), note.decode()) for prefix, note in notes.items())
        valkey.delete(_TAKEN)
    return used


def _write(prefix: str, note: str) -> int:
    seconds, _, address = note.partition(" ")
    at = datetime.fromtimestamp(int(seconds), UTC)
    later = Q(last_used_at=None) | Q(last_used_at__lt=at)
    return ApiKey.objects.filter(later, prefix=prefix).update(last_used_at=at, last_used_ip=_ip(address))


def _ip(text: str) -> str | None:
    """The address in the form of the column; None for what is none (a Unix socket has no address)."""
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None
