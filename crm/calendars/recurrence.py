"""When a repeating event takes place. Pure.

Rules count on the wall clock of the event's own zone: a meeting at nine stays at nine over a clock change.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import islice
from typing import Final

from dateutil.rrule import rrulestr

from tenex.errors import TenexError

MOST: Final = 20_000
"""Steps of one rule that are looked at; a rule that needs more is not believed."""
_WEEK: Final = 7
_RARE: Final = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})


class Unexpandable(TenexError):
    """A rule that no calendar of people has, or one that cannot be read."""

    code = "event_unreadable"


def starts(
    rule: str, first: datetime, *, until: datetime | date | None, low: datetime, high: datetime
) -> Iterator[datetime]:
    """Starts between `low` and `high` (naive wall-clock times, as `first` is).

    `rule` is an RRULE's value without UNTIL, which is given as an aware instant or a date.

    Raises:
        Unexpandable.
    """
    parts = dict(part.split("=", 1) for part in rule.upper().split(";") if "=" in part)
    if parts.get("FREQ") not in _RARE:
        raise Unexpandable("the event repeats more often than daily")
    begin = first if "COUNT" in parts else _near(parts, first, low)
    try:
        found = iter(rrulestr(rule, dtstart=begin))
        for at in islice(found, MOST):
            if at > high or (until is not None and _past(at, until)):
                return
            if at >= low:
                yield at
    except (ValueError, TypeError, OverflowError) as exc:
        raise Unexpandable("the event's rule cannot be read") from exc
    if next(found, None) is not None:
        raise Unexpandable("the event has too many repetitions")


def local_until(value: datetime | date | None, zone: tzinfo | None) -> datetime | date | None:
    """UNTIL on the wall clock of the event: an instant is brought there, a date is its whole day."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(zone or UTC).replace(tzinfo=None)
    return value


def _past(at: datetime, until: datetime | date) -> bool:
    return at > until if isinstance(until, datetime) else at.date() > until


def _near(parts: dict[str, str], first: datetime, low: datetime) -> datetime:
    """A later start of the same rule, whole intervals on: years of daily meetings are not walked through."""
    days = {"DAILY": 1, "WEEKLY": _WEEK}.get(parts["FREQ"])
    interval = parts.get("INTERVAL", "1")
    if days is None or low <= first or not interval.isdigit() or int(interval) < 1:
        return first
    step = days * int(interval)
    whole = max(0, (low - first).days // step - 1)
    return first + timedelta(days=whole * step)
