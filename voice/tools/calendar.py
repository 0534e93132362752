"""Offering times, booking one, moving and canceling what is booked.

A calendar elsewhere is asked ahead of the tool's transaction (`ahead_of_…`): nothing waits for a server while
it holds a lock, and the transaction only says what came of it.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction
from pydantic import Field

from crm.calendars.availability import Period, instant, spread
from crm.calendars.port import CalendarUnavailable
from crm.models import Calendar, Meeting, MeetingStatus
from crm.selectors import calendars as read
from crm.services import calendar_ports, calendars, meeting_news, meeting_sync, slot_holds
from tenex.errors import Conflict, InvalidInput, TenexError
from voice.tools.arguments import Arguments
from voice.tools.scope import Answer, GivenUp, Scope
from voice.tools.spoken import date_of, instant_of, spoken

_PER_DAY = 3
_MOST = 9
_DEFAULT_DAYS = 7
_LOOK_S: Final = 4.0
"""For a look at a calendar elsewhere; booking has CALENDAR_TIMEOUT_S."""
UNCONFIRMED: Final = (
    "Not confirmed yet. Do not say that it is booked: say that a confirmation follows by e-mail, or that "
    "somebody gets in touch."
)

UNMOVED: Final = (
    "Not confirmed yet. Do not say that it is moved: say that a confirmation follows by e-mail, or that "
    "somebody gets in touch."
)


class NoCalendar(TenexError):
    """This agent has nothing to book in."""

    code = "no_calendar"
    status = 409


class CannotSee(CalendarUnavailable):
    """In words for an agent who is on the phone."""

    def __init__(self) -> None:
        super().__init__(
            "The calendar cannot be seen right now. Say so. Then offer a callback (schedule_callback), or "
            "ask for a preferred time and note it (note_preferred_time): it is tried after the call."
        )


class WhichMeeting(Conflict):
    """The caller has several."""

    code = "several_meetings"


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


class _OfMeeting(Arguments):
    event_id: str | None = Field(
        None, max_length=40, description="Which meeting, if the caller has several; from an earlier answer."
    )


class RescheduleMeeting(_OfMeeting):
    slot_id: str = Field(max_length=60, description="The slot_id of a slot from list_free_slots, unchanged.")


class CancelMeeting(_OfMeeting):
    pass


class NotePreferredTime(Arguments):
    at: str = Field(
        max_length=40,
        description="The time that the caller would like, ISO 8601, such as 2026-12-01T15:00; without an "
        "offset it is the caller's own time.",
    )
    notes: str | None = Field(None, max_length=1000, description="What the meeting is about.")


# --- what is free ----------------------------------------------------------------------------------


def ahead_of_slots(scope: Scope, arguments: ListFreeSlots) -> list[Period]:
    """When the calendar elsewhere is taken."""
    return _busy(_calendar(scope), _window(scope, arguments))


def list_free_slots(scope: Scope, arguments: ListFreeSlots) -> Answer:
    """A few free times of each day, on the caller's clock. Other calls are offered others meanwhile."""
    calendar = _calendar(scope)
    found = read.free(calendar, now=scope.now, window=_window(scope, arguments), busy=scope.found_ahead or [])
    chosen = slot_holds.choose(
        calendar, found, scope.call.pk, now=scope.now, pick=lambda one: _few(scope, one)
    )
    output: dict[str, Any] = {
        "slots": [_slot(scope, calendar, slot) for slot in chosen],
        "time_zone": str(scope.zone),
    }
    if not chosen:
        output["note"] = "Nothing is free then. Ask for other days."
    return Answer(output)


def _few(scope: Scope, slots: Sequence[Period]) -> list[Period]:
    return spread(slots, scope.zone, per_day=_PER_DAY, most=_MOST)


# --- booking ---------------------------------------------------------------------------------------


def ahead_of_booking(scope: Scope, arguments: BookMeeting) -> Meeting | None:
    """Book in a calendar elsewhere. None: it is done in the tool's own transaction."""
    calendar = _calendar(scope)
    if not calendar.is_remote or scope.call.is_test:
        return None
    slot = _of_id(scope, calendar, arguments.slot_id)
    try:
        with transaction.atomic():
            scope.still_wanted()
            meeting = _book(scope, calendar, slot, arguments)
        if meeting.status == MeetingStatus.BOOKING:
            meeting = meeting_sync.settle(meeting.pk, late=False)
        if meeting.status == MeetingStatus.FAILED:
            _tell_unless_heard(scope, meeting)
            raise calendars.SlotTaken("that time has just been taken")
    except calendars.SlotTaken as exc:
        exc.extra["alternatives"] = _alternatives(scope, calendar, slot)
        raise
    return meeting


def _tell_unless_heard(scope: Scope, meeting: Meeting) -> None:
    """The agent hears it in this answer. If that was given up, it has said that a confirmation follows."""
    with transaction.atomic():
        try:
            scope.still_wanted()
        except GivenUp:
            meeting_news.failed(meeting)


def book_meeting(scope: Scope, arguments: BookMeeting) -> Answer:
    """Book one of the listed times. Only `booked: true` means that it is booked."""
    meeting = scope.found_ahead
    if meeting is None:
        calendar = _calendar(scope)
        slot = _of_id(scope, calendar, arguments.slot_id)
        try:
            meeting = _book(scope, calendar, slot, arguments)
        except calendars.SlotTaken as exc:
            exc.extra["alternatives"] = _alternatives(scope, calendar, slot)
            raise
    slot_holds.release(scope.call.pk)
    return Answer(_state(scope, meeting))


def booking_given_up(call_id: uuid.UUID) -> str:
    """What to say when the booking took too long: words for the agent, empty if nothing was begun."""
    meeting = read.latest_of_call(call_id)
    begun = meeting is not None and meeting.status in (MeetingStatus.BOOKING, MeetingStatus.BOOKED)
    return UNCONFIRMED if begun else ""


def moving_given_up(call_id: uuid.UUID) -> str:
    """As :func:`booking_given_up`."""
    return UNMOVED


def _book(scope: Scope, calendar: Calendar, slot: Period, arguments: BookMeeting) -> Meeting:
    lead = scope.ensure_lead()
    try:
        return calendars.book(
            calendar,
            slot,
            lead,
            now=scope.now,
            call_id=scope.call.pk,
            title=f"Meeting with {lead.name or 'caller'}",
            notes=arguments.notes or "",
            at_once=scope.call.is_test,
        )
    except calendars.AlreadyBooked as exc:
        known = read.latest_of_call(scope.call.pk)
        exc.extra = {"meeting": _state(scope, known)} if known else {}
        raise


# --- moving and canceling --------------------------------------------------------------------------


def ahead_of_moving(scope: Scope, arguments: RescheduleMeeting) -> Meeting | None:
    """Move it in a calendar elsewhere. None: in the tool's own transaction."""
    meeting = _mine(scope, arguments)
    calendar = meeting.calendar
    if not calendar.is_remote or scope.call.is_test:
        return None
    slot = _of_id(scope, calendar, arguments.slot_id)
    try:
        with transaction.atomic():
            scope.still_wanted()
            moved = calendars.move(meeting, slot, now=scope.now, actor=scope.actor)
        if moved.moves_to_starts_at is not None:
            moved = meeting_sync.settle(moved.pk, late=False)
        if moved.moves_to_starts_at is None and moved.starts_at != slot.starts_at:
            raise calendars.SlotTaken("that time has just been taken; the meeting stays where it was")
    except calendars.SlotTaken as exc:
        exc.extra["alternatives"] = _alternatives(scope, calendar, slot)
        raise
    return moved


def reschedule_meeting(scope: Scope, arguments: RescheduleMeeting) -> Answer:
    """Move the caller's meeting to one of the listed times."""
    meeting = scope.found_ahead
    if meeting is None:
        mine = _mine(scope, arguments)
        slot = _of_id(scope, mine.calendar, arguments.slot_id)
        if scope.call.is_test and mine.calendar.is_remote:
            return Answer({"moved": True, "spoken": spoken(slot.starts_at, scope.zone)})
        try:
            meeting = calendars.move(mine, slot, now=scope.now, actor=scope.actor)
        except calendars.SlotTaken as exc:
            exc.extra["alternatives"] = _alternatives(scope, mine.calendar, slot)
            raise
    slot_holds.release(scope.call.pk)
    if meeting.moves_to_starts_at is not None:
        return Answer({"moved": False, "pending": True, "note": UNMOVED})
    return Answer({"moved": True, **_facts(scope, meeting)})


def cancel_meeting(scope: Scope, arguments: CancelMeeting) -> Answer:
    """Cancel the caller's meeting. Ours at once; a calendar elsewhere is told in the background."""
    meeting = _mine(scope, arguments)
    if not calendars.cancel(meeting, actor=scope.actor, now=scope.now):
        raise calendars.MeetingOver("the meeting is canceled already")
    return Answer(
        {"canceled": True, "event_id": str(meeting.pk), "was": spoken(meeting.starts_at, scope.zone)}
    )


def upcoming(scope: Scope) -> list[dict[str, Any]]:
    """The meetings that the caller has."""
    found = read.upcoming_of(scope.lead, scope.now) if scope.lead is not None else []
    return [_facts(scope, one) for one in found]


def _mine(scope: Scope, arguments: _OfMeeting) -> Meeting:
    """The caller's own meeting that is to come. Nobody else's can be named.

    Raises:
        MeetingOver: there is none.
        WhichMeeting: several, and none is named.
    """
    found = read.upcoming_of(scope.lead, scope.now) if scope.lead is not None else []
    if arguments.event_id:
        found = [one for one in found if str(one.pk) == arguments.event_id.strip().lower()]
    if not found:
        raise calendars.MeetingOver("no meeting of this caller is to come")
    if len(found) > 1:
        raise WhichMeeting(
            "the caller has several meetings: ask which one",
            extra={"meetings": [_facts(scope, one) for one in found]},
        )
    return found[0]


# --- when the calendar cannot be seen --------------------------------------------------------------


def note_preferred_time(scope: Scope, arguments: NotePreferredTime) -> Answer:
    """Note the time that the caller would like. It books nothing now."""
    calendar = _calendar(scope)
    start = instant_of(arguments.at, scope.zone)
    latest = read.bookable(calendar, now=scope.now, window=Period(scope.now, start)).ends_at
    if start > latest:
        raise InvalidInput(f"at most {calendar.horizon_days} days ahead", type_="too_far")
    lead = scope.ensure_lead()
    meeting = calendars.ask_for(
        calendar,
        Period(start, start + timedelta(minutes=calendar.slot_minutes)),
        lead,
        now=scope.now,
        call_id=scope.call.pk,
        title=f"Meeting with {lead.name or 'caller'}",
        notes=arguments.notes or "",
    )
    return Answer(
        {
            "noted": True,
            "booked": False,
            "spoken": spoken(meeting.starts_at, scope.zone),
            "note": "Noted, not booked: say that they get a confirmation by e-mail, or that somebody gets in "
            "touch about another time.",
        }
    )


# --- between ---------------------------------------------------------------------------------------


def _calendar(scope: Scope) -> Calendar:
    calendar = scope.calendar
    if calendar is None:
        raise NoCalendar("there is no calendar to book in; offer a callback instead")
    return calendar


def _busy(calendar: Calendar, window: Period) -> list[Period]:
    """
    Raises:
        CannotSee
    """
    if not calendar.is_remote:
        return []
    try:
        return calendar_ports.busy(calendar, window, seconds=_LOOK_S)
    except CalendarUnavailable as exc:
        raise CannotSee from exc


def _window(scope: Scope, arguments: ListFreeSlots) -> Period:
    zone = scope.zone
    today = scope.now.astimezone(zone).date()
    first = max(date_of(arguments.from_date), today) if arguments.from_date else today
    most = _calendar(scope).horizon_days
    if (first - today).days > most:
        raise InvalidInput(f"at most {most} days ahead", type_="too_far")
    last = first + timedelta(days=arguments.days or _DEFAULT_DAYS)
    return Period(instant(first, "00:00", zone, later=False), instant(last, "00:00", zone, later=False))


def _of_id(scope: Scope, calendar: Calendar, slot_id: str) -> Period:
    slot = read.slot_of(calendar, slot_id, str(scope.call.pk))
    if slot is None:
        raise InvalidInput("no such slot: use a slot_id from list_free_slots", type_="unknown_slot")
    return slot


def _slot(scope: Scope, calendar: Calendar, slot: Period) -> dict[str, str]:
    return {
        "slot_id": read.slot_id(calendar, slot, str(scope.call.pk)),
        "starts_at": _iso(slot.starts_at),
        "spoken": spoken(slot.starts_at, scope.zone),
    }


def _alternatives(scope: Scope, calendar: Calendar, taken: Period) -> list[dict[str, str]]:
    """The free times nearest to the one that was taken."""
    around = Period(taken.starts_at - timedelta(days=1), taken.starts_at + timedelta(days=4))
    try:
        busy = _busy(calendar, around)
    except CannotSee:
        return []
    found = [slot for slot in read.free(calendar, now=scope.now, window=around, busy=busy) if slot != taken]
    nearest = sorted(found, key=lambda slot: abs(slot.starts_at - taken.starts_at))[:3]
    return [_slot(scope, calendar, slot) for slot in sorted(nearest, key=lambda slot: slot.starts_at)]


def _state(scope: Scope, meeting: Meeting) -> dict[str, Any]:
    if meeting.status != MeetingStatus.BOOKED:
        return {"booked": False, "pending": True, "note": UNCONFIRMED, **_facts(scope, meeting)}
    address = bool(meeting.attendee_email or (meeting.lead and meeting.lead.email))
    invitation = (
        "An invitation goes to their e-mail address."
        if address
        else "No e-mail address is known: ask for it and write it down with update_lead, then an invitation "
        "goes there."
    )
    return {
        "booked": True,
        **_facts(scope, meeting),
        **({"invitation": invitation} if meeting.calendar.sends_invitations else {}),
    }


def _facts(scope: Scope, meeting: Meeting) -> dict[str, Any]:
    return {
        "event_id": str(meeting.pk),
        "starts_at": _iso(meeting.starts_at),
        "ends_at": _iso(meeting.ends_at),
        "spoken": spoken(meeting.starts_at, scope.zone),
        "time_zone": str(scope.zone),
        "join_url": meeting.join_url or meeting.calendar.join_url or None,
    }


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
