"""When a batch would be through and what it would cost, from what calls of the workspace were like.

An estimate, and it says on what it is based; nothing is said while there are too few calls to base it on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from voice.models import Batch
from voice.outbound import hours, policy, retries
from voice.outbound.hours import Window
from voice.selectors import batch_stats
from voice.selectors.batch_stats import Past

ENOUGH_CALLS: Final = 20
_FURTHEST: Final = timedelta(days=120)
_HOUR: Final = timedelta(hours=1)
_SETUP_S: Final = 3.0
"""From one call's end to the next one's ring."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """All None: nothing is known to base it on, or nobody is left."""

    end_at: datetime | None = None
    dials: int | None = None
    cost_microusd: int | None = None
    based_on: Past | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast dials can follow each other, and how a lead that is not reached is tried again."""

    lines: int
    calls_per_second: float
    window: Window
    zone: str
    delays_s: tuple[float, ...] = ()


def of(batch: Batch, openings: Mapping[datetime, int], now: datetime) -> Forecast:
    """Of leads who can be called from these hours on (hour -> how many)."""
    past = batch_stats.past(batch.workspace)
    return foresee(past, _pace(batch), openings, now)


def foresee(past: Past, pace: Pace, openings: Mapping[datetime, int], now: datetime) -> Forecast:
    """Pure: what :func:`of` says, of these facts."""
    leads = sum(openings.values())
    if past.calls < ENOUGH_CALLS or not leads:
        return Forecast(based_on=past if past.calls else None)
    missed = 1 - past.connect_rate
    tries = sum(missed**n for n in range(len(pace.delays_s) + 1))
    dials = round(leads * tries)
    end_at = _end(past, pace, openings, tries, now)
    for n, delay_s in enumerate(pace.delays_s, 1):
        if end_at is not None and leads * missed**n >= 0.5:
            end_at = hours.first_opening(pace.window, (), (pace.zone,), end_at + timedelta(seconds=delay_s))
    return Forecast(end_at, dials, round(dials * past.cost_microusd), past)


def _end(
    past: Past, pace: Pace, openings: Mapping[datetime, int], tries: float, now: datetime
) -> datetime | None:
    """When the last dial is through: hour by hour, what has come up by then as far as the lines serve it."""
    line_s = past.connect_rate * past.connected_s + (1 - past.connect_rate) * past.missed_s + _SETUP_S
    an_hour = 3600 * min(pace.calls_per_second, pace.lines / line_s)
    if an_hour <= 0:
        return None
    waiting = 0.0
    coming = sorted(openings.items())
    at = now
    while at < now + _FURTHEST:
        until = at.replace(minute=0, second=0, microsecond=0) + _HOUR
        while coming and coming[0][0] < until:
            waiting += coming.pop(0)[1] * tries
        if waiting > 0 and hours.is_open(pace.window, (), pace.zone, at):
            room = an_hour * (until - at).total_seconds() / 3600
            if waiting <= room and not coming:
                return at + timedelta(hours=waiting / an_hour)
            waiting = max(0.0, waiting - room)
        if waiting <= 0 and coming:
            until = max(until, coming[0][0])
        elif waiting <= 0:
            return at
        at = until
    return None


def _pace(batch: Batch) -> Pace:
    space = batch.workspace
    own = batch.calls_per_second or space.calls_per_second
    if batch.retry_policy:
        delays = tuple(map(float, batch.retry_policy.get("no-answer", ())))[: retries.MAX_RETRIES]
    else:
        delays = (float(batch.retry_after_s),) * (batch.max_attempts - 1)
    return Pace(
        lines=min(batch.concurrency, space.max_concurrent_calls),
        calls_per_second=min(own, space.calls_per_second),
        window=policy.window_of(space, batch),
        zone=space.time_zone,
        delays_s=delays,
    )
