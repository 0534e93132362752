"""When somebody who was not reached is tried again. Pure: policy, past tries and the instant go in.

A policy says for each outcome how long to wait after the first try, the second, …; its length is how often.
Long waits are spread: the hours in which one calls are cut into three parts, and the next try goes into the
part in which the fewest were, so that nobody is called at nine every day. Short ones (a busy line) are meant.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

OUTCOMES = ("no-answer", "busy", "voicemail", "failed")
"""After which somebody may be tried again; all others are results."""
SPREAD = ("no-answer", "voicemail")
"""Outcomes that another time of day may change."""
MAX_RETRIES = 7
MIN_DELAY_S = 60
MAX_DELAY_S = 14 * 86_400
SPREAD_FROM_S = 3600
"""Shorter waits are kept as they are."""
PARTS = 3

_JITTER = 0.1
_LOOK_AHEAD_DAYS = 8


@dataclass(frozen=True, slots=True)
class Policy:
    """`delays_s` by outcome; hours and ISO weekdays in which one calls, by the lead's clock.

    `opens == closes` means any time, `opens > closes` passes midnight.
    """

    delays_s: Mapping[str, Sequence[int]] = field(default_factory=dict)
    opens: time = time(9)
    closes: time = time(20)
    days: Sequence[int] = (1, 2, 3, 4, 5, 6, 7)


def next_try(
    policy: Policy,
    outcome: str,
    tries_so_far: int,
    tried_at_local_hours: Sequence[float],
    now: datetime,
    draw: Callable[[], float],
) -> datetime | None:
    """The instant of the next try, or None: enough, or not an outcome that is tried again.

    `tries_so_far` counts all calls to the lead in the batch, the last one included; the hours of
    `tried_at_local_hours` (14.5 is half past two) are by the lead's clock, and `now` is aware, in the
    lead's zone. `draw` gives numbers in [0, 1).
    """
    delays_s = policy.delays_s.get(outcome, ())
    if not 1 <= tries_so_far <= min(len(delays_s), MAX_RETRIES):
        return None
    wait_s = max(MIN_DELAY_S, min(MAX_DELAY_S, delays_s[tries_so_far - 1]))
    at = later(now, wait_s * (1 + _JITTER * draw()))
    if outcome not in SPREAD or wait_s < SPREAD_FROM_S:
        return at
    return _spread(policy, tried_at_local_hours, at, draw)


def later(at: datetime, seconds: float) -> datetime:
    """So many real seconds later, in the same zone: adding to an aware datetime would move its wall clock."""
    return datetime.fromtimestamp(at.timestamp() + seconds, at.tzinfo)


def part_of(policy: Policy, hour: float) -> int | None:
    """Which third of the calling hours an hour of the day lies in; None: outside of them."""
    opens, length = _span(policy)
    since = (hour - opens) % 24
    return min(PARTS - 1, int(since * PARTS / length)) if since < length else None


def _spread(
    policy: Policy, tried: Sequence[float], earliest: datetime, draw: Callable[[], float]
) -> datetime:
    """The first moment from `earliest` on in a part that had the fewest tries, somewhere inside of it."""
    counts = Counter(part_of(policy, hour) for hour in tried)
    fewest = min(counts[part] for part in range(PARTS))
    wanted = [part for part in range(PARTS) if counts[part] == fewest]
    opens, length = _span(policy)
    for ahead in range(-1, _LOOK_AHEAD_DAYS):
        day = earliest.date() + timedelta(days=ahead)
        if day.isoweekday() not in policy.days:
            continue
        for part in wanted:
            begins = _at(day, opens + length * part / PARTS, earliest)
            ends = _at(day, opens + length * (part + 1) / PARTS, earliest)
            if ends.timestamp() - earliest.timestamp() < MIN_DELAY_S:
                continue
            from_s = max(begins.timestamp(), earliest.timestamp())
            # Not all at the stroke of the hour, and not in the part's last quarter.
            room_s = (ends.timestamp() - from_s) * 0.75
            return datetime.fromtimestamp(from_s + room_s * draw(), earliest.tzinfo)
    return earliest


def _span(policy: Policy) -> tuple[float, float]:
    """Where the calling hours begin, and how many they are."""
    opens, closes = _hours(policy.opens), _hours(policy.closes)
    return opens, (closes - opens) % 24 or 24.0


def _hours(at: time) -> float:
    return at.hour + at.minute / 60 + at.second / 3600


def _at(day: date, hour: float, like: datetime) -> datetime:
    """That hour of the day's wall clock; above 24 it is of the next day."""
    minutes = round(hour * 60)
    whole = datetime.combine(day, time(0), like.tzinfo) + timedelta(days=minutes // 1440)
    return whole.replace(hour=minutes % 1440 // 60, minute=minutes % 60)
