"""Meetings that people make and change by hand, through the API and the console: only at times that are free,
in a calendar elsewhere as in our own.
"""

from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from crm.calendars.availability import Period
from crm.models import Calendar, Lead, Meeting, MeetingStatus
from crm.selectors import calendars as read
from crm.services import calendar_ports, calendars, meeting_sync

_LOOK_S: Final = 10.0


def slots(calendar: Calendar, window: Period) -> list[Period]:
    """The free times in `window`.

    Raises:
        CalendarUnavailable: the calendar elsewhere does not tell.
    """
    now = timezone.now()
    asked = read.bookable(calendar, now=now, window=window)
    busy: list[Period] = []
    if calendar.is_remote and asked.starts_at < asked.ends_at:
        rules = read.rules(calendar)
        busy = calendar_ports.busy(calendar, rules.padded(asked), seconds=_LOOK_S)
    return read.free(calendar, now=now, window=window, busy=busy)


def book(calendar: Calendar, lead: Lead, starts_at: datetime, *, title: str = "", notes: str = "") -> Meeting:
    """Book a free time; in a calendar elsewhere it may be `booking` still.

    Raises:
        SlotTaken: it is not free.
        CalendarUnavailable: the calendar elsewhere does not tell.
    """
    slot = _free(calendar, starts_at)
    made = calendars.book(
        calendar,
        slot,
        lead,
        now=timezone.now(),
        title=title or f"Meeting with {lead.name or 'a lead'}",
        notes=notes,
    )
    if made.status == MeetingStatus.BOOKING:
        made = meeting_sync.settle(made.pk, late=False)
    if made.status == MeetingStatus.FAILED:
        raise calendars.SlotTaken("that time has just been taken")
    return made


def move(meeting: Meeting, starts_at: datetime, *, actor: str) -> Meeting:
    """Move it to a free time; in a calendar elsewhere it may still be on its way.

    Raises:
        SlotTaken, MeetingOver, CalendarUnavailable.
    """
    if meeting.status != MeetingStatus.BOOKED:
        raise calendars.MeetingOver("only a booked meeting can be moved")
    if meeting.starts_at == starts_at and meeting.moves_to_starts_at is None:
        return meeting  # asked for once more
    slot = _free(meeting.calendar, starts_at)
    moved = calendars.move(meeting, slot, now=timezone.now(), actor=actor)
    if moved.moves_to_starts_at is not None:
        moved = meeting_sync.settle(moved.pk, late=False)
    if moved.moves_to_starts_at is None and moved.starts_at != slot.starts_at:
        raise calendars.SlotTaken("that time has just been taken; the meeting stays where it was")
    return moved


def cancel(meeting: Meeting, *, actor: str) -> Meeting:
    """Cancel it; a calendar elsewhere is told right after."""
    calendars.cancel(meeting, actor=actor)
    return read.meeting(meeting.workspace_id, meeting.pk)


def _free(calendar: Calendar, starts_at: datetime) -> Period:
    if abs(starts_at - timezone.now()) > timedelta(days=calendar.horizon_days + 1):
        raise calendars.SlotTaken("that is further ahead than meetings are booked")
    window = Period(starts_at, starts_at + timedelta(minutes=calendar.slot_minutes))
    found = [slot for slot in slots(calendar, window) if slot.starts_at == starts_at]
    if not found:
        raise calendars.SlotTaken("that is not a free time of this calendar")
    return found[0]
