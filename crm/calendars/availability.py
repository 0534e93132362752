"""When there is time: working hours, slot length, notice and what is booked. Pure; time is an argument."""

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


def free_slots(
    *,
    hours: Mapping[str, Any],
    zone: ZoneInfo,
    slot_minutes: int,
    busy: Sequence[Period],
    window: Period,
) -> list[Period]:
    """Free slots that lie wholly in `window`, in order, as UTC.

    Working hours are wall-clock times of `zone`; slots are laid from the start of each working period in
    steps of real time, so a day with a clock change has fewer or more of them, and never one that does not
    exist or one twice.
    """
    step = timedelta(minutes=slot_minutes)
    if step <= timedelta(0) or window.ends_at <= window.starts_at:
        return []
    first = window.starts_at.astimezone(zone).date() - timedelta(days=1)
    last = window.ends_at.astimezone(zone).date()
    taken = sorted(busy, key=lambda period: period.starts_at)
    found: dict[datetime, Period] = {}
    for period in _working(hours, zone, _dates(first, last)):
        start = period.starts_at
        while start + step <= period.ends_at:
            slot = Period(start, start + step)
            inside = window.starts_at <= slot.starts_at and slot.ends_at <= window.ends_at
            if inside and not any(slot.overlaps(other) for other in taken):
                found[start] = slot
            start += step
    return [found[start] for start in sorted(found)]


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


def _dates(first: date, last: date) -> Iterator[date]:
    for offset in range((last - first).days + 1):
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
