"""iCalendar (RFC 5545) between calendars and us: what is busy in a file, and files of our own. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

import icalendar
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from crm.calendars.availability import Period, instant
from crm.calendars.port import Event
from crm.calendars.recurrence import Unexpandable, local_until, starts
from tenex.lib import zones

PRODUCT: Final = "-//Tenex//Tenex voice//EN"
_FOLD = re.compile(rb"\r?\n[ \t]")
_ZONES = re.compile(rb"^BEGIN:VTIMEZONE\r?$.*?^END:VTIMEZONE\r?$", re.MULTILINE | re.DOTALL | re.IGNORECASE)
_OFTEN = re.compile(rb"FREQ=(?!YEARLY)", re.IGNORECASE)
_UNREADABLE = (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What a parser raises at text that somebody made up."""
_LONGEST: Final = timedelta(days=400)
"""Of one occurrence: what lasts longer is busy from its start on, and no start is looked for further back."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that an event takes place. `busy` says whether it takes anybody's time."""

    uid: str
    period: Period
    busy: bool
    sequence: int = 0


class NotACalendar(ValueError):
    """The text is no iCalendar."""


type _When = datetime | date


def occurrences(text: bytes, *, zone: ZoneInfo, window: Period) -> list[Occurrence]:
    """What takes place in `window`. Days and times without a zone are those of `zone`.

    An event that repeats in a way that cannot be read is busy all over the window: rather a time less to
    offer than one that is taken.

    Raises:
        NotACalendar.
    """
    if any(_OFTEN.search(_FOLD.sub(b"", found[0])) for found in _ZONES.finditer(text)):
        raise NotACalendar("a time zone whose clocks change more often than yearly")
    try:
        parsed = icalendar.Calendar.from_ical(text)
        own_zones = _own_zones(parsed)
    except _UNREADABLE as exc:
        raise NotACalendar("not an iCalendar file") from exc
    series: dict[str, list[Any]] = {}
    for event in parsed.walk("VEVENT"):
        series.setdefault(str(event.get("UID", "")), []).append(event)
    found: list[Occurrence] = []
    for uid, events in series.items():
        try:
            found += _Series(uid, events, zone, own_zones).within(window)
        except (Unexpandable, *_UNREADABLE):
            found.append(Occurrence(uid, window, busy=any(map(_is_busy, events))))
    return found


def first_event(text: bytes, *, zone: ZoneInfo) -> Occurrence | None:
    """The first event of a file, as one of ours is stored: alone; None if there is none.

    Raises:
        NotACalendar.
    """
    try:
        event = next(iter(icalendar.Calendar.from_ical(text).walk("VEVENT")), None)
        if event is None:
            return None
        reader = _Series(str(event.get("UID", "")), [event], zone, {})
        return reader.first()
    except _UNREADABLE as exc:
        raise NotACalendar("not an iCalendar file") from exc


def _own_zones(parsed: Any) -> dict[str, tzinfo]:
    """Zones that a file defines by itself, by their names in it.

    The parser keeps those in the process, by name: the next file, of somebody else, would get them. So they
    are made here for this file, and what the parser keeps is thrown away.
    """
    found = {}
    for one in parsed.walk("VTIMEZONE"):
        name = str(one.get("TZID", ""))
        if name and zones.zone(name) is None and name not in WINDOWS_TO_OLSON:
            found[name] = one.to_tz(lookup_tzid=False)
    if found:
        icalendar.use_zoneinfo()  # type: ignore[no-untyped-call]
    return found


class _Series:
    """The events of one uid: a master with its rules, and occurrences that were changed one by one."""

    def __init__(self, uid: str, events: list[Any], zone: ZoneInfo, own_zones: dict[str, tzinfo]) -> None:
        self._uid, self._events, self._zone, self._own_zones = uid, events, zone, own_zones

    def within(self, window: Period) -> Iterator[Occurrence]:
        changed = {self._key(self._at(one["RECURRENCE-ID"])) for one in self._events if _alone(one)}
        for event in self._events:
            sequence = int(event.get("SEQUENCE", 0) or 0)
            times = [self._first(event)] if _alone(event) else self._times(event, window)
            for start, length in times:
                if not _alone(event) and self._key(start) in changed:
                    continue
                period = Period(self._utc(start), self._end(start, length))
                if _touches(period, window):
                    yield Occurrence(self._uid, period, _is_busy(event), sequence)

    def first(self) -> Occurrence:
        event = self._events[0]
        start, length = self._first(event)
        period = Period(self._utc(start), self._end(start, length))
        return Occurrence(self._uid, period, _is_busy(event), int(event.get("SEQUENCE", 0) or 0))

    def _first(self, event: Any) -> tuple[_When, timedelta]:
        start = self._at(event["DTSTART"])
        return start, self._length(event, start)

    def _length(self, event: Any, start: _When) -> timedelta:
        """Real time of one with a time of day, days of one without."""
        if "DTEND" in event:
            end = self._at(event["DTEND"])
            if isinstance(start, datetime) and isinstance(end, datetime):
                return max(timedelta(0), self._utc(end) - self._utc(start))
            return max(timedelta(0), _day(end) - _day(start))
        if "DURATION" in event:
            duration: timedelta = event["DURATION"].dt
            return max(timedelta(0), duration)
        return timedelta(0) if isinstance(start, datetime) else timedelta(days=1)

    def _times(self, event: Any, window: Period) -> Iterator[tuple[_When, timedelta]]:
        """Starts and lengths of a master: its own, those of its rules, the added ones, less the excluded."""
        first, length = self._first(event)
        excluded = {self._key(self._at(one)) for one in _listed(event, "EXDATE")}
        found: dict[datetime, tuple[_When, timedelta]] = {}
        for rule in _list(event.get("RRULE")):
            for start in self._by_rule(rule, first, length, window):
                found[self._key(start)] = start, length
        if not event.get("RRULE"):
            found[self._key(first)] = first, length
        for added in _listed(event, "RDATE"):
            start = self._at(added)
            its_length = length
            if isinstance(added.dt, tuple):  # a period: its end or its length
                last = added.dt[1]
                its_length = last if isinstance(last, timedelta) else self._utc(last) - self._utc(start)
            found[self._key(start)] = start, its_length
        yield from (found[key] for key in sorted(found) if key not in excluded)

    def _by_rule(self, rule: Any, first: _When, length: timedelta, window: Period) -> Iterator[_When]:
        timed = isinstance(first, datetime)
        own = (first.tzinfo if isinstance(first, datetime) else None) or self._zone
        wall = first.replace(tzinfo=None) if isinstance(first, datetime) else _midnight(first)
        # A day on either side: the window's ends are read on another clock than the event's, perhaps.
        before = min(length, _LONGEST) + timedelta(days=1)
        low = window.starts_at.astimezone(own).replace(tzinfo=None) - before
        high = window.ends_at.astimezone(own).replace(tzinfo=None) + timedelta(days=1)
        until = _list(rule.get("UNTIL"))
        plain = rule.copy()
        plain.pop("UNTIL", None)
        end = local_until(until[0], own) if until else None
        for at in starts(plain.to_ical().decode(), wall, until=end, low=low, high=high):
            yield at.replace(tzinfo=own) if timed else at.date()

    def _at(self, value: Any) -> _When:
        """The instant or day of a property, in the zone that its own file means."""
        at: _When = value.dt[0] if isinstance(value.dt, tuple) else value.dt
        own = self._own_zones.get(str(value.params.get("TZID", "")))
        return at.replace(tzinfo=own) if own is not None and isinstance(at, datetime) else at

    def _key(self, at: _When) -> datetime:
        """The same for the same occurrence, however its start is written; a day is its midnight."""
        return self._utc(at)

    def _utc(self, at: _When) -> datetime:
        if not isinstance(at, datetime):
            return instant(at, "00:00", self._zone, later=False)
        return at.replace(tzinfo=at.tzinfo or self._zone).astimezone(UTC)

    def _end(self, start: _When, length: timedelta) -> datetime:
        if isinstance(start, datetime):
            return self._utc(start) + length
        return instant(start + timedelta(days=length.days), "00:00", self._zone, later=False)


def _alone(event: Any) -> bool:
    return "RECURRENCE-ID" in event


def _touches(period: Period, window: Period) -> bool:
    if period.starts_at == period.ends_at:
        return window.starts_at <= period.starts_at < window.ends_at
    return period.overlaps(window)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def _day(at: _When) -> date:
    return at.date() if isinstance(at, datetime) else at


def _listed(event: Any, name: str) -> Iterator[Any]:
    for line in _list(event.get(name)):
        yield from line.dts


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _is_busy(event: Any) -> bool:
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        return False
    if str(event.get("X-MICROSOFT-CDO-BUSYSTATUS", "")).upper() == "FREE":
        return False
    return str(event.get("TRANSP", "OPAQUE")).upper() != "TRANSPARENT"


# --- our own ---------------------------------------------------------------------------------------


def stored_form(event: Event, *, now: datetime) -> bytes:
    """As we keep it on a server. Without attendees: some servers would write to them, and so do we."""
    made = _event(event, now)
    made.add("X-TENEX-REVISION", str(event.revision))
    return _file(made)


@dataclass(frozen=True, slots=True)
class Party:
    """Who invites, or is invited."""

    email: str
    name: str = ""


def invitation(event: Event, *, method: str, organizer: Party, guest: Party, now: datetime) -> bytes:
    """A message of iTIP (RFC 5546) for a guest: `method` is REQUEST or CANCEL."""
    made = _event(event, now)
    if method == "CANCEL":
        made["STATUS"] = icalendar.vText("CANCELLED")
    host, invited = (icalendar.vCalAddress(f"mailto:{party.email}") for party in (organizer, guest))
    for address, party in ((host, organizer), (invited, guest)):
        if party.name:
            address.params["CN"] = icalendar.vText(party.name)
    invited.params["ROLE"] = icalendar.vText("REQ-PARTICIPANT")
    invited.params["PARTSTAT"] = icalendar.vText("NEEDS-ACTION")
    invited.params["RSVP"] = icalendar.vText("FALSE")
    made.add("ORGANIZER", host)
    made.add("ATTENDEE", invited)
    return _file(made, method=method)


def for_guest(event: Event, *, title: str, sequence: int) -> Event:
    """The same meeting without what its host's calendar says about the guest."""
    return replace(event, title=title, text="", sequence=sequence)


def _event(event: Event, now: datetime) -> icalendar.Event:
    made = icalendar.Event()
    made.add("UID", event.uid)
    made.add("DTSTAMP", now.astimezone(UTC))
    made.add("DTSTART", event.period.starts_at.astimezone(UTC))
    made.add("DTEND", event.period.ends_at.astimezone(UTC))
    made.add("SUMMARY", event.title)
    made.add("SEQUENCE", event.sequence)
    made.add("STATUS", "CONFIRMED")
    made.add("TRANSP", "OPAQUE")
    if event.text:
        made.add("DESCRIPTION", event.text)
    if event.join_url:
        made.add("LOCATION", event.join_url)
        made.add("URL", event.join_url)
    return made


def _file(event: icalendar.Event, *, method: str = "") -> bytes:
    file = icalendar.Calendar()
    file.add("PRODID", PRODUCT)
    file.add("VERSION", "2.0")
    if method:
        file.add("METHOD", method)
    file.add_component(event)
    written: bytes = file.to_ical()
    return written
