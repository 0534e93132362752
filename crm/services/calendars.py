"""Booking, moving and canceling meetings. The database refuses two meetings at once in a calendar and two
bookings of a call.

A built-in calendar is these rows, so all is done in one transaction. For a calendar elsewhere the rows say
what is wanted, and :mod:`crm.services.meeting_sync` makes it so: the time is kept from then on, and nothing
is announced before the calendar has it.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from crm.calendars.availability import Period
from crm.models import (
    HOLDS_TIME,
    Calendar,
    CalendarKind,
    Lead,
    MailStatus,
    Meeting,
    MeetingMail,
    MeetingStatus,
)
from crm.selectors import calendars as read
from crm.services import follow_ups, meeting_news
from crm.services.meeting_news import wire
from tenex.errors import Conflict, InvalidInput
from tenex.lib import storable
from tenex.lib.wake import wake

__all__ = [
    "AlreadyBooked", "MeetingOver", "SlotTaken",
    "ask_for", "book", "cancel", "due_now", "forget", "move", "wire",
]  # fmt: skip

_AFTER_THE_CALL_S = 600.0
"""A wish is tried when its call is over; by then it is, if nobody told us."""
_NAMESPACE = uuid.UUID("5b1a3f6e-8f5d-4a08-9a52-6a3c9a0f6d17")


class SlotTaken(Conflict):
    """Somebody was faster."""

    code = "slot_taken"


class AlreadyBooked(Conflict):
    """This call has a meeting at another time; `extra["meeting_id"]`."""

    code = "already_booked"


class MeetingOver(Conflict):
    """It does not stand, so there is nothing to move or to cancel."""

    code = "meeting_over"


def book(
    calendar: Calendar,
    slot: Period,
    lead: Lead,
    *,
    now: datetime,
    call_id: uuid.UUID | None = None,
    title: str = "",
    notes: str = "",
    at_once: bool = False,
) -> Meeting:
    """Book a slot for a lead. Booking the same slot from the same call again finds the same meeting.

    In a calendar elsewhere it is `booking` until :func:`meeting_sync.settle`; `at_once` leaves that out, for
    whoever only tries what would be answered.

    Raises:
        InvalidInput: the slot has passed.
        SlotTaken: the time is not free any more.
        AlreadyBooked: the call has a standing meeting at another time.
    """
    if slot.starts_at <= now:
        raise InvalidInput("that time has passed", type_="slot_passed")
    remote = calendar.is_remote and not at_once
    values = {
        **_wanted(slot, lead, title, notes),
        "status": MeetingStatus.BOOKING if remote else MeetingStatus.BOOKED,
        **(due_now(now, grace_s=settings.CALENDAR_TIMEOUT_S + 1) if remote else {}),
    }
    with transaction.atomic():
        alone_in(calendar)
        known = _standing(call_id)
        if known is not None:
            return _same_or_refuse(known, calendar, slot)
        _admit(calendar, slot)
        try:
            with transaction.atomic():
                meeting, fresh = _write(calendar, _uid(calendar, slot, call_id), call_id, values)
        except IntegrityError as exc:
            # The same call may have booked in another calendar meanwhile: then that is the answer.
            known = _standing(call_id)
            if known is not None:
                return _same_or_refuse(known, calendar, slot)
            raise SlotTaken("that time has just been taken") from exc
        if fresh and not remote:
            meeting_news.booked(meeting)
    return meeting


def ask_for(
    calendar: Calendar,
    slot: Period,
    lead: Lead,
    *,
    now: datetime,
    call_id: uuid.UUID,
    title: str = "",
    notes: str = "",
) -> Meeting:
    """Note the time that a caller would like while the calendar cannot be seen. It is tried later; until it
    is booked, it is a follow-up for a person as well.

    Raises:
        InvalidInput: the time has passed.
        AlreadyBooked: the call has a standing meeting.
    """
    if slot.starts_at <= now:
        raise InvalidInput("that time has passed", type_="slot_passed")
    with transaction.atomic():
        known = _standing(call_id)
        if known is not None:
            raise _already(known)
        values = {
            **_wanted(slot, lead, title, notes),
            "status": MeetingStatus.REQUESTED,
            **due_now(now, grace_s=_AFTER_THE_CALL_S / settings.TIME_SCALE),
        }
        # Another wish takes the place of the first one.
        Meeting.objects.filter(call_id=call_id, status=MeetingStatus.REQUESTED).update(
            status=MeetingStatus.CANCELED, sync_at=None
        )
        meeting, _ = _write(calendar, _uid(calendar, slot, call_id), call_id, values)
        follow_ups.schedule(
            lead,
            due_at=slot.starts_at,
            kind=meeting_news.FOLLOW_UP,
            note="Asked for this time; the calendar could not be seen during the call.",
            call_id=call_id,
        )
    return meeting


def move(meeting: Meeting, slot: Period, *, now: datetime, actor: str) -> Meeting:
    """Move a meeting that stands. In a calendar elsewhere both times are kept until it has moved there.

    Raises:
        InvalidInput: the slot has passed.
        SlotTaken: the time is not free.
        MeetingOver: it does not stand any more.
    """
    if slot.starts_at <= now:
        raise InvalidInput("that time has passed", type_="slot_passed")
    with transaction.atomic():
        locked = _locked(meeting)
        if locked.status != MeetingStatus.BOOKED or locked.calendar.archived_at is not None:
            raise MeetingOver("only a booked meeting can be moved, in a calendar that is there")
        if Period(locked.starts_at, locked.ends_at) == slot:
            return locked
        alone_in(locked.calendar)
        _admit(locked.calendar, slot, apart_from=locked)
        was = locked.starts_at
        if locked.calendar.is_remote:
            values: dict[str, Any] = {
                "moves_to_starts_at": slot.starts_at,
                "moves_to_ends_at": slot.ends_at,
                "moves_by": actor,
                "failure": "",
                **due_now(now, grace_s=settings.CALENDAR_TIMEOUT_S + 1),
            }
        else:
            values = {
                "starts_at": slot.starts_at, "ends_at": slot.ends_at, "sequence": locked.sequence + 1,
            }  # fmt: skip
        try:
            with transaction.atomic():
                Meeting.objects.filter(pk=locked.pk).update(**values)
        except IntegrityError as exc:
            raise SlotTaken("that time has just been taken") from exc
        moved = _fresh(locked.pk)
        if not locked.calendar.is_remote:
            meeting_news.moved(moved, actor, was.isoformat())
    return moved


def cancel(meeting: Meeting, *, actor: str, now: datetime | None = None) -> bool:
    """Give a slot free again; False if it was canceled before. A calendar elsewhere is told afterwards."""
    at = now or timezone.now()
    with transaction.atomic():
        locked = _locked(meeting)
        if locked.status not in (*HOLDS_TIME, MeetingStatus.REQUESTED):
            return False
        stood = locked.status == MeetingStatus.BOOKED
        locked.status = MeetingStatus.CANCELED
        locked.sequence += 1
        locked.moves_to_starts_at = locked.moves_to_ends_at = None
        locked.save(update_fields=["status", "sequence", "moves_to_starts_at", "moves_to_ends_at"])
        if locked.calendar.is_remote and locked.calendar.archived_at is None:
            Meeting.objects.filter(pk=locked.pk).update(**due_now(at), looks_left=1)
            wake("crm.calendars.settle", str(locked.pk))
        if stood:
            meeting_news.canceled(locked, actor)
    return True


def forget(lead_ids: Sequence[uuid.UUID]) -> int:
    """Take people out of their meetings, in the caller's transaction; how many meetings.

    What is to come is canceled, without a word to anybody: there is nobody to tell. Their events are taken
    out of calendars elsewhere, for which these rows stay due until it is done.
    """
    now = timezone.now()
    theirs = Meeting.objects.filter(lead_id__in=lead_ids)
    to_come = theirs.filter(status__in=[MeetingStatus.REQUESTED, *HOLDS_TIME], ends_at__gt=now)
    to_come.update(status=MeetingStatus.CANCELED, moves_to_starts_at=None, moves_to_ends_at=None)
    reachable = theirs.filter(calendar__archived_at=None).exclude(calendar__kind=CalendarKind.BUILT_IN)
    written = reachable.exclude(href="", sync_at=None)
    for meeting_id in written.values_list("pk", flat=True):
        wake("crm.calendars.settle", str(meeting_id))
    written.update(**due_now(now), forgotten=True, looks_left=1)
    MeetingMail.objects.filter(meeting__lead_id__in=lead_ids, status=MailStatus.PENDING).delete()
    return theirs.update(title="", notes="", attendee_email="")


def due_now(now: datetime, *, grace_s: float = 0.0) -> dict[str, Any]:
    """Columns: the calendar elsewhere has to be told. Whoever wrote this may do so itself within the grace;
    then the sweep does."""
    return {"sync_at": now + timedelta(seconds=grace_s), "sync_since": now, "sync_tries": 0}


def alone_in(calendar: Calendar) -> None:
    """Nobody else takes a time in this calendar until the end of the transaction.

    The exclusion constraint alone would keep two out of one time, but not without deadlocks: of two rows that
    come in at once each waits for the other.
    """
    Calendar.objects.select_for_update(no_key=True).get(pk=calendar.pk)


def _admit(calendar: Calendar, slot: Period, *, apart_from: Meeting | None = None) -> None:
    """The calendar's own rules. The caller is :func:`alone_in` it.

    Raises:
        SlotTaken: taken, no room for the buffers, or enough meetings on that day.
    """
    rules = read.rules(calendar)
    near = read.kept_times(calendar, read.whole_days(rules, slot), apart_from=apart_from)
    if any(slot.overlaps(other) for other in near):
        raise SlotTaken("that time has just been taken")
    if any(rules.padded(slot).overlaps(other) or rules.padded(other).overlaps(slot) for other in near):
        raise SlotTaken("that time is too close to another meeting")
    on_that_day = sum(rules.day(other.starts_at) == rules.day(slot.starts_at) for other in near)
    if rules.daily_limit is not None and on_that_day >= rules.daily_limit:
        raise SlotTaken("there are enough meetings on that day")


def _wanted(slot: Period, lead: Lead, title: str, notes: str) -> dict[str, Any]:
    """Columns of a meeting that is to be, whatever becomes of it."""
    return {
        "lead": lead,
        "starts_at": slot.starts_at,
        "ends_at": slot.ends_at,
        "title": storable.text(title)[:200],
        "notes": storable.text(notes)[:4096],
        "attendee_email": lead.email or "",
        "failure": "",
    }


def _uid(calendar: Calendar, slot: Period, call_id: uuid.UUID | None) -> str:
    """Derived from who books what, so that a retry finds its own booking."""
    owner = call_id or uuid.uuid4()
    name = f"{owner}:{calendar.id}:{slot.starts_at.timestamp():.0f}"
    return f"{uuid.uuid5(_NAMESPACE, name)}@tenex"


def _standing(call_id: uuid.UUID | None) -> Meeting | None:
    if call_id is None:
        return None
    rows = Meeting.objects.select_related("calendar", "lead")
    return rows.filter(call_id=call_id, status__in=HOLDS_TIME).first()


def _same_or_refuse(known: Meeting, calendar: Calendar, slot: Period) -> Meeting:
    if known.calendar_id == calendar.pk and Period(known.starts_at, known.ends_at) == slot:
        return known
    raise _already(known)


def _already(known: Meeting) -> AlreadyBooked:
    return AlreadyBooked(
        "this call has booked another time", extra={"meeting_id": str(known.id), "meeting": wire(known)}
    )


def _write(
    calendar: Calendar, uid: str, call_id: uuid.UUID | None, values: dict[str, Any]
) -> tuple[Meeting, bool]:
    """The row, and whether this transaction wrote it."""
    meeting, created = Meeting.objects.get_or_create(
        uid=uid,
        defaults={
            "workspace_id": calendar.workspace_id,
            "calendar": calendar,
            "call_id": call_id,
            **values,
        },
    )
    # The same slot, given up before in this call: that row comes back to life.
    revived = not created and bool(
        Meeting.objects.filter(pk=meeting.pk).exclude(status__in=HOLDS_TIME).update(**values, looks_left=0)
    )
    if revived:
        meeting = _fresh(meeting.pk)
    return meeting, created or revived


def _locked(meeting: Meeting) -> Meeting:
    return (
        Meeting.objects.select_for_update(of=("self",)).select_related("calendar", "lead").get(pk=meeting.pk)
    )


def _fresh(meeting_id: uuid.UUID) -> Meeting:
    return Meeting.objects.select_related("calendar", "lead").get(pk=meeting_id)
