"""When there is time: working hours, slot length, buffers and what is booked. Pure; time is an argument."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open, aware instants."""

    starts_at: datetime
    ends_at: datetime

    def overlaps(self, other: "Period") -> bool:
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at

    def padded(self, before_minutes: int, after_minutes: int) -> "Period":
        """With time to get ready before it and to recover after it."""
        return Period(
            self.starts_at - timedelta(minutes=before_minutes),
            self.ends_at + timedelta(minutes=after_minutes),
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """How a calendar wants to be filled. `hours` is {"1": [["09:00", "17:00"]], …}, ISO weekdays, wall clock
    of `zone`; `daily_limit` counts meetings on a day of that zone, None for as many as fit."""

    hours: Mapping[str, Any]
    zone: ZoneInfo
    slot_minutes: int
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    daily_limit: int | None = None

    def padded(self, slot: Period) -> Period:
        return slot.padded(self.buffer_before_minutes, self.buffer_after_minutes)

    def day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()


def free_slots(
    rules: Rules, *, meetings: Sequence[Period], busy: Sequence[Period] = (), window: Period
) -> list[Period]:
    """Free slots that lie wholly in `window`, in order, as UTC.

    `meetings` are ours and count for the day's limit; `busy` is whatever else stands in the calendar. The
    buffers of a slot must be free of both. Slots are laid from the start of each working period in steps of
    real time, so a day with a clock change has fewer or more of them, and never one that does not exist or
    one twice.
    """
    step = timedelta(minutes=rules.slot_minutes)
    if step <= timedelta(0) or window.ends_at <= window.starts_at:
        return []
    day = _Occupied(rules, meetings, busy)
    found: dict[datetime, Period] = {}
    for period in _working(rules.hours, rules.zone, _dates(window, rules.zone)):
        start = period.starts_at
        while start + step <= period.ends_at:
            slot = Period(start, start + step)
            inside = window.starts_at <= slot.starts_at and slot.ends_at <= window.ends_at
            if inside and day.has_room(slot):
                found[start] = slot
            start += step
    return [found[start] for start in sorted(found)]


def fits(rules: Rules, time: Period, *, meetings: Sequence[Period], busy: Sequence[Period] = ()) -> bool:
    """Whether a time that somebody has asked for, slot or not, lies in working hours and is free."""
    working = any(
        period.starts_at <= time.starts_at and time.ends_at <= period.ends_at
        for period in _working(rules.hours, rules.zone, _dates(time, rules.zone))
    )
    return working and _Occupied(rules, meetings, busy).has_room(time)


class _Occupied:
    """What is taken already, by the rules: our meetings keep their buffers, whatever else stands has none."""

    def __init__(self, rules: Rules, meetings: Sequence[Period], busy: Sequence[Period]) -> None:
        self._rules = rules
        self._taken = _Taken((*meetings, *busy))
        self._kept = _Taken(map(rules.padded, meetings))
        counts = Counter(rules.day(one.starts_at) for one in meetings)
        limit = rules.daily_limit
        self._full = {day for day, count in counts.items() if limit is not None and count >= limit}

    def has_room(self, slot: Period) -> bool:
        if self._rules.day(slot.starts_at) in self._full:
            return False
        return not (self._taken.touches(self._rules.padded(slot)) or self._kept.touches(slot))


class _Taken:
    """Periods merged and in order, so that a question is a binary search and not a walk."""

    def __init__(self, periods: Iterable[Period]) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        for one in sorted(periods, key=lambda period: period.starts_at):
            if one.ends_at <= one.starts_at:
                continue  # takes no time
            if self._ends and one.starts_at <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], one.ends_at)
            else:
                self._starts.append(one.starts_at)
                self._ends.append(one.ends_at)

    def touches(self, period: Period) -> bool:
        last = bisect_left(self._starts, period.ends_at) - 1
        return last >= 0 and self._ends[last] > period.starts_at


def spread(slots: Iterable[Period], zone: ZoneInfo, *, per_day: int, most: int) -> list[Period]:
    """A few slots of each day, over the day: what a person can keep in mind on the phone."""
    days: dict[date, list[Period]] = {}
    for slot in slots:
        days.setdefault(slot.starts_at.astimezone(zone).date(), []).append(slot)
    chosen: list[Period] = []
    for day in days.values():
        count = min(per_day, len(day))
        chosen += [day[index * len(day) // count] for index in range(count)]
    return chosen[:most]


def _dates(window: Period, zone: ZoneInfo) -> Iterator[date]:
    """Days of `window` and the one before: its working hours may reach over midnight."""
    first, last = (at.astimezone(zone).date() for at in (window.starts_at, window.ends_at))
    for offset in range(-1, (last - first).days + 1):
        yield first + timedelta(days=offset)


def _working(hours: Mapping[str, Any], zone: ZoneInfo, dates: Iterable[date]) -> Iterator[Period]:
    for day in dates:
        for opens, closes in hours.get(str(day.isoweekday()), ()):
            start = instant(day, str(opens), zone, later=False)
            end = instant(day, str(closes), zone, later=True)
            if start < end:
                yield Period(start, end)


def instant(day: date, wall: str, zone: ZoneInfo, *, later: bool) -> datetime:
    """UTC of a wall-clock time ("09:00"; "24:00" is midnight at the day's end).

    In the hour that a clock change skips, the instant of the change; of an hour that comes twice, the first
    or (`later`) the second.
    """
    hour, _, minute = wall.partition(":")
    days, hour_of_day = divmod(int(hour), 24)
    clock = time(hour_of_day, int(minute or 0))
    local = datetime.combine(day + timedelta(days=days), clock, zone)
    early, late = local.replace(fold=0), local.replace(fold=1)
    early_offset, late_offset = early.utcoffset(), late.utcoffset()
    if early_offset is None or late_offset is None or early_offset == late_offset:
        return local.astimezone(UTC)
    if (
        early_offset < late_offset
    ):  # the gap: fold=0 reads with the offset before it, fold=1 with the one after
        return _transition(late.astimezone(UTC), early.astimezone(UTC), zone)
    return (late if later else early).astimezone(UTC)


def _transition(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The instant between two at which the zone's offset changes, to the second."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after
