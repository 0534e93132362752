"""Hours of the day in several zones at once: open or not, and when next. Pure.

Times of day are seconds since midnight of what the wall clock shows, so a clock change needs no rule of its
own; spans are half-open. Zones are IANA names that exist.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import holidays

DAY_S: Final = 86_400
MARGIN_S: Final = 300
"""Before the end of the hours: the carrier may queue, and the phone rings for a while (promises.md 4.2)."""
HORIZON_DAYS: Final = 35
"""Hours that do not open within so many days are taken for never."""

type Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Hours that a workspace or a batch chose, at the local clock. `start == end` means any time,
    `start > end` passes midnight."""

    start: time
    end: time
    days: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    """ISO weekdays on which it opens."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` attempts in any `period_s` seconds."""

    most: int
    period_s: int


@dataclass(frozen=True, slots=True)
class Law:
    """Hours and limits that hold in some place; see `rulebook`."""

    name: str
    days: tuple[tuple[Span, ...], ...]
    """Seven, Monday first."""
    on_holidays: tuple[Span, ...] | None
    """None: holidays are as other days."""
    calendar: tuple[str, str]
    """Country and region whose holidays they are; without a country, none are known."""
    limits: tuple[Limit, ...]

    def __hash__(self) -> int:
        return hash(self.name)  # laws are keys of what is looked up for every lead


@lru_cache(maxsize=64)
def _holidays(country: str, region: str, year: int) -> frozenset[date]:
    found = holidays.country_holidays(country, subdiv=region or None, years=year)
    return frozenset(found.keys())


def is_holiday(law: Law, day: date) -> bool:
    """Whether `day` is a public holiday by the law's calendar."""
    country, region = law.calendar
    return bool(country) and day in _holidays(country, region, day.year)


@lru_cache(maxsize=16_384)
def open_on(window: Window, laws: tuple[Law, ...], day: date) -> tuple[Span, ...]:
    """The spans of `day` in which everything is open, in order."""
    spans = _chosen(window, day)
    for law in laws:
        lawful = law.days[day.weekday()]
        if law.on_holidays is not None and is_holiday(law, day):
            lawful = law.on_holidays
        spans = _both(spans, lawful)
    return spans


def _chosen(window: Window, day: date) -> tuple[Span, ...]:
    start, end = _seconds(window.start), _seconds(window.end)
    opens = day.isoweekday() in window.days
    if start == end:
        return ((0, DAY_S),) if opens else ()
    if start < end:
        return ((start, end),) if opens else ()
    still = (day - timedelta(days=1)).isoweekday() in window.days
    return (((0, end),) if still and end else ()) + (((start, DAY_S),) if opens else ())


def _both(some: tuple[Span, ...], others: tuple[Span, ...]) -> tuple[Span, ...]:
    found = []
    for a, b in some:
        for c, d in others:
            start, end = max(a, c), min(b, d)
            if start < end:
                found.append((start, end))
    return tuple(found)


def _seconds(at: time) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second


def is_open(window: Window, laws: tuple[Law, ...], zone: str, at: datetime) -> bool:
    """Whether the clocks of `zone` show open hours at this instant, and will for the margin."""
    local = at.astimezone(_zone(zone))
    shown = local.hour * 3600 + local.minute * 60 + local.second
    for start, end in open_on(window, laws, local.date()):
        if start <= shown < end - _margin(window, laws, local.date(), start, end):
            return True
    return False


def _margin(window: Window, laws: tuple[Law, ...], day: date, start: int, end: int) -> float:
    """Never more than half of a short span, and none where the next day goes on."""
    if end == DAY_S and any(first == 0 for first, _ in open_on(window, laws, day + timedelta(days=1))):
        return 0
    return min(MARGIN_S, (end - start) / 2)


@lru_cache(maxsize=8192)
def first_opening(
    window: Window, laws: tuple[Law, ...], zones: tuple[str, ...], now: datetime
) -> datetime | None:
    """`now` if it is open in every zone, else the first instant that is; None: not within HORIZON_DAYS."""
    if all(is_open(window, laws, zone, now) for zone in zones):
        return now
    for offset in range(HORIZON_DAYS):
        start = now + timedelta(days=offset)
        for at in _turns(window, laws, zones, start, start + timedelta(days=1)):
            if all(is_open(window, laws, zone, at) for zone in zones):
                return at
    return None


def _turns(
    window: Window, laws: tuple[Law, ...], zones: tuple[str, ...], start: datetime, end: datetime
) -> list[datetime]:
    """Instants of (start, end] at which some zone may open: beginnings of spans, clock changes."""
    found: set[datetime] = set()
    for name in zones:
        zone = _zone(name)
        day, last = start.astimezone(zone).date(), end.astimezone(zone).date()
        while day <= last:
            for opens_s, _ in open_on(window, laws, day):
                local = datetime.combine(day, time(opens_s // 3600, opens_s % 3600 // 60, opens_s % 60), zone)
                found |= {local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)}
            day += timedelta(days=1)
        if start.astimezone(zone).utcoffset() != end.astimezone(zone).utcoffset():
            found.add(_clock_change(zone, start, end))
    return sorted(at for at in found if start < at <= end)


def _clock_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    """The second in (start, end] from which on the clocks are the other ones."""
    low, high = int(start.timestamp()), int(end.timestamp())
    before = start.astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
