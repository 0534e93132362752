"""When a failed delivery is tried again, and how long a lane rests. Pure.

The reference platform's five delays first, then a growing schedule that lasts beyond 75 hours
(contract.md 4), so a receiver that is down over a weekend loses nothing.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

DELAYS_S: tuple[int, ...] = (
    1, 2, 4, 8, 16,
    300, 1800, 3600, 7200, 14400, 28800, 43200, 57600, 57600, 86400,
)  # fmt: skip
"""83 hours and a half; still over 75 if every wait is cut by the whole jitter."""
REFERENCE_RETRIES = 5
JITTER = 0.1
SLOW_DOWN = frozenset({429, 502, 504})
"""Answers of a receiver, or of the proxy before it, that has too much to do."""
LONGEST_REST_S = 3600.0
_LONGEST_UNASKED_REST_S = 60.0


def delay_s(
    attempts: int, *, stop_after_five: bool, retry_after_s: float | None, chance: float
) -> float | None:
    """Seconds to wait after `attempts` failed tries (>= 1), or None to give up.

    `chance` in [0, 1) spreads the delay by ±10 %. A receiver's Retry-After is honored between the base
    delay and twice that, so it can neither hurry nor stall us.
    """
    retries = DELAYS_S[:REFERENCE_RETRIES] if stop_after_five else DELAYS_S
    if attempts > len(retries):
        return None
    base = float(retries[attempts - 1])
    if retry_after_s is not None:
        base = (
            min(max(base, retry_after_s), 2 * base)
            if attempts > REFERENCE_RETRIES
            else max(base, min(retry_after_s, 60.0))
        )
    return base * (1 + JITTER * (2 * chance - 1))


def rest_s(status: int | None, *, times: int, retry_after_s: float | None) -> float:
    """Seconds for which nothing at all is sent to a receiver after this answer; 0 for most answers.

    `times` counts such answers since the last success, this one not included. Without a Retry-After the
    rest doubles from a second to a minute; with one it is at most an hour.
    """
    if status is None or (status not in SLOW_DOWN and retry_after_s is None):
        return 0.0
    unasked = min(_LONGEST_UNASKED_REST_S, 2.0 ** min(times, 10)) if status in SLOW_DOWN else 0.0
    return max(unasked, min(retry_after_s or 0.0, LONGEST_REST_S))


def retry_after_s(raw: str, now: datetime) -> float | None:
    """A `Retry-After` header, seconds or a date (RFC 9110 10.2.3), as seconds from `now`; None if neither."""
    raw = raw.strip()
    if raw.isascii() and raw.isdigit():
        return float(raw[:9])
    try:
        at = parsedate_to_datetime(raw)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
