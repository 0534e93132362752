"""Guessing secrets: ten wrong ones a minute for a prefix, then no more are looked at (promises.md D6, R10).

A key's prefix is public, so anybody may try secrets for it. After ten wrong ones in a minute, a secret that
was not seen to be right is refused before any database work, and while that lasts mostly before Django too
(tenex.rest.gate). A secret that was right in the last day, in any process, is never held up by that: it goes
on to the row, as always. Wrong ones also count for the address that they come from.
"""

import hashlib
import time
from dataclasses import dataclass
from typing import Final

from tenex.lib import limits
from tenex.rest import throttling
from tenex.rest.errors import RateLimited

_MARK_TTL_S: Final = 24 * 3600
_MEMORY: Final = 10_000
"""Entries of each memory below; a full one is emptied."""
_TRUST_S: Final = 2.0
"""How long this process trusts that a prefix is closed, without asking Valkey again."""


@dataclass(frozen=True, slots=True)
class _Closed:
    trusted_until: float
    opens_at: float
    mark: bytes | None
    """Of the secret that was right lately, if one was: it passes."""


_right: dict[str, bytes] = {}
_closed: dict[str, _Closed] = {}


def admit(prefix: str, digest: bytes, address: str) -> None:
    """Called before the database is asked about a key.

    Raises:
        RateLimited: too many wrong secrets for this prefix, or from this address, in the last minute.
    """
    if _right.get(prefix) == digest:
        return
    if refusal := refused(prefix, digest):
        raise refusal
    try:
        throttling.admit(_bucket(prefix), limit=limits.WRONG_SECRETS_PER_MINUTE, count=False)
    except RateLimited as exc:
        mark, now = throttling.recall(_name(prefix)), time.monotonic()
        _remember(_closed, prefix, _Closed(now + _TRUST_S, now + exc.retry_after_s, mark))
        if mark != _mark(digest):
            raise
    try:
        throttling.admit(f"ip:{address}", count=False)
    except RateLimited:
        if throttling.recall(_name(prefix)) != _mark(digest):
            raise


def refused(prefix: str, digest: bytes) -> RateLimited | None:
    """The refusal that this process can give without asking anybody; None if it has to look further."""
    closed = _closed.get(prefix)
    if closed is None or _right.get(prefix) == digest:
        return None
    now = time.monotonic()
    if closed.trusted_until <= now or closed.mark == _mark(digest):
        return None
    wait_s = max(1, round(closed.opens_at - now))
    return RateLimited(f"too many wrong secrets for this key; try again in {wait_s} s", wait_s)


def right(prefix: str, digest: bytes) -> None:
    """The secret was right: others' guesses do not hold it up from now on."""
    if _right.get(prefix) != digest:
        _remember(_right, prefix, digest)
        throttling.note(_name(prefix), _mark(digest), ttl_s=_MARK_TTL_S)


def wrong(prefix: str, digest: bytes, address: str) -> None:
    """Count a wrong secret. One that was right lately (its key was revoked) is no guess.

    Raises:
        RateLimited: it was one too many.
    """
    if _right.get(prefix) != digest and throttling.recall(_name(prefix)) != _mark(digest):
        throttling.admit(_bucket(prefix), limit=limits.WRONG_SECRETS_PER_MINUTE)
    throttling.admit(f"ip:{address}")


def forget() -> None:
    """Empty what this process remembers."""
    _right.clear()
    _closed.clear()


def _remember[T](memory: dict[str, T], prefix: str, what: T) -> None:
    if len(memory) >= _MEMORY:
        memory.clear()
    memory[prefix] = what


def _bucket(prefix: str) -> str:
    return f"wrong:{prefix}"


def _name(prefix: str) -> str:
    return f"tenex:right:{prefix}"


def _mark(digest: bytes) -> bytes:
    """Tells a secret from others. It is not the digest of the row, which never leaves the database."""
    return hashlib.sha256(b"right:" + digest).digest()[:16]
