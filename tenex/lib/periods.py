"""Stretches of time as the people of one time zone cut them: hours, days, weeks, over changes of the clock.

Pure. Instants go in and come out in UTC.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo


class Granularity(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` up to and without `end`."""

    start: datetime
    end: datetime


def utc(start: datetime, end: datetime) -> Period:
    """The same in UTC, where arithmetic is that of elapsed time."""
    return Period(start.astimezone(UTC), end.astimezone(UTC))


def buckets(period: Period, by: Granularity, zone: ZoneInfo, *, most: int) -> list[Period] | None:
    """`period` cut where the zone's hours, days or weeks (from Monday) begin; None if in more than `most`.

    The first and the last may be shorter than the others. A day on which the clock is changed has 23 or 25
    hours (or 23.5), an hour that comes twice is two buckets.
    """
    edges = [period.start]
    for edge in _edges_after(period.start, by, zone):
        if edge >= period.end:
            break
        edges.append(edge)
        if len(edges) > most:
            return None
    return [Period(*pair) for pair in pairwise([*edges, period.end])]


def _edges_after(start: datetime, by: Granularity, zone: ZoneInfo) -> Iterator[datetime]:
    local = start.astimezone(zone)
    match by:
        case Granularity.HOUR:
            edge = start
            while True:
                local = edge.astimezone(zone)
                edge += timedelta(hours=1) - timedelta(
                    minutes=local.minute, seconds=local.second, microseconds=local.microsecond
                )
                yield edge
        case Granularity.DAY | Granularity.WEEK:
            step = 1 if by == Granularity.DAY else 7
            day = local.date() - timedelta(days=0 if step == 1 else local.weekday())
            while True:
                day += timedelta(days=step)
                yield start_of_day(day, zone)


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day. Where the clock jumps over midnight, that is the jump."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def last_days(now: datetime, days: int, zone: ZoneInfo) -> Period:
    """The last `days` days of the zone's calendar, the present one up to `now` included."""
    return Period(start_of_day(now.astimezone(zone).date() - timedelta(days=days - 1), zone), now)


def before(period: Period, zone: ZoneInfo) -> Period:
    """The period of the same length on the wall's clock right before: for a week the week before it."""
    start, end = (at.astimezone(zone).replace(tzinfo=None) for at in (period.start, period.end))
    earlier = (start - (end - start)).replace(tzinfo=zone).astimezone(UTC)
    if earlier >= period.start:  # within an hour that the clock shows twice
        earlier = period.start - (period.end - period.start)
    return Period(earlier, period.start)


def hour_of(at: datetime) -> datetime:
    """The hour of UTC that an instant lies in, by its beginning."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def pieces_of_hours(edges: Iterable[datetime]) -> list[tuple[datetime, list[Period]]]:
    """Hours of UTC that an edge cuts in pieces (zones that are not whole hours off, periods from any minute).

    Each with its pieces, in order; the first and the last may lie outside of what the edges are of.
    """
    within: dict[datetime, set[datetime]] = {}
    for edge in edges:
        if hour_of(edge) != edge:
            within.setdefault(hour_of(edge), set()).add(edge)
    return [
        (hour, [Period(*pair) for pair in pairwise([hour, *sorted(cuts), hour + timedelta(hours=1)])])
        for hour, cuts in sorted(within.items())
    ]
