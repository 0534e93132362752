"""Offering times and booking one."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field

from crm.calendars.availability import Period, instant, spread
from crm.models import Calendar, Meeting
from crm.selectors import calendars as read
from crm.services import calendars
from tenex.errors import InvalidInput, TenexError
from voice.tools.arguments import Arguments
from voice.tools.scope import Answer, Scope
from voice.tools.spoken import date_of, spoken

_PER_DAY = 3
_MOST = 9
_DEFAULT_DAYS = 7
_HORIZON_DAYS = 60


class NoCalendar(TenexError):
    """This agent has nothing to book in."""

    code = "no_calendar"
    status = 409


class ListFreeSlots(Arguments):
    days: int | None = Field(None, ge=1, le=21, description="How many days to look at; 7 if not given.")
    from_date: str | None = Field(
        None,
        max_length=10,
        description="First day, such as 2026-12-01, in the caller's time zone; today if not given.",
    )


class BookMeeting(Arguments):
    slot_id: str = Field(max_length=60, description="The slot_id of a slot from list_free_slots, unchanged.")
    notes: str | None = Field(None, max_length=1000, description="What the meeting is about.")


def list_free_slots(scope: Scope, arguments: ListFreeSlots) -> Answer:
    """A few free times of each day, on the caller's clock."""
    calendar = _calendar(scope)
    slots = _free(scope, calendar, _window(scope, arguments))
    output: dict[str, Any] = {"slots": slots, "time_zone": str(scope.zone)}
    if not slots:
        output["note"] = "Nothing is free then. Ask for other days."
    return Answer(output)


def book_meeting(scope: Scope, arguments: BookMeeting) -> Answer:
    """Book one of the listed times. Only `booked: true` means that it is booked."""
    calendar = _calendar(scope)
    slot = read.slot_of(calendar, arguments.slot_id, str(scope.call.pk))
    if slot is None:
        raise InvalidInput("no such slot: use a slot_id from list_free_slots", type_="unknown_slot")
    lead = scope.ensure_lead()
    try:
        meeting = calendars.book(
            calendar,
            slot,
            lead,
            now=scope.now,
            call_id=scope.call.pk,
            title=f"Meeting with {lead.name or 'caller'}",
            notes=arguments.notes or "",
        )
    except calendars.SlotTaken as exc:
        exc.extra["alternatives"] = _alternatives(scope, calendar, slot)
        raise
    except calendars.AlreadyBooked as exc:
        known = read.meeting_of_call(scope.call.pk)
        exc.extra = {"meeting": _booked(scope, known)} if known else {}
        raise
    return Answer(_booked(scope, meeting))


def _calendar(scope: Scope) -> Calendar:
    calendar = scope.calendar
    if calendar is None:
        raise NoCalendar("there is no calendar to book in; offer a callback instead")
    return calendar


def _window(scope: Scope, arguments: ListFreeSlots) -> Period:
    zone = scope.zone
    today = scope.now.astimezone(zone).date()
    first = max(date_of(arguments.from_date), today) if arguments.from_date else today
    if (first - today).days > _HORIZON_DAYS:
        raise InvalidInput(f"at most {_HORIZON_DAYS} days ahead", type_="too_far")
    last = first + timedelta(days=arguments.days or _DEFAULT_DAYS)
    return Period(instant(first, "00:00", zone, later=False), instant(last, "00:00", zone, later=False))


def _free(scope: Scope, calendar: Calendar, window: Period) -> list[dict[str, str]]:
    found = read.free(calendar, now=scope.now, window=window)
    chosen = spread(found, scope.zone, per_day=_PER_DAY, most=_MOST)
    return [_slot(scope, calendar, slot) for slot in chosen]


def _slot(scope: Scope, calendar: Calendar, slot: Period) -> dict[str, str]:
    return {
        "slot_id": read.slot_id(calendar, slot, str(scope.call.pk)),
        "starts_at": _iso(slot.starts_at),
        "spoken": spoken(slot.starts_at, scope.zone),
    }


def _alternatives(scope: Scope, calendar: Calendar, taken: Period) -> list[dict[str, str]]:
    """The free times nearest to the one that was taken."""
    around = Period(taken.starts_at - timedelta(days=1), taken.starts_at + timedelta(days=4))
    found = read.free(calendar, now=scope.now, window=around)
    nearest = sorted(found, key=lambda slot: abs(slot.starts_at - taken.starts_at))[:3]
    return [_slot(scope, calendar, slot) for slot in sorted(nearest, key=lambda slot: slot.starts_at)]


def _booked(scope: Scope, meeting: Meeting) -> dict[str, Any]:
    return {
        "booked": True,
        "event_id": str(meeting.pk),
        "starts_at": _iso(meeting.starts_at),
        "ends_at": _iso(meeting.ends_at),
        "spoken": spoken(meeting.starts_at, scope.zone),
        "time_zone": str(scope.zone),
        "join_url": meeting.calendar.join_url or None,
    }


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
