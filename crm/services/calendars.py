"""Booking meetings. The database refuses two meetings at once in a calendar and two bookings of a call."""

import uuid
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from crm.calendars.availability import Period
from crm.models import Calendar, Lead, Meeting, MeetingStatus
from crm.selectors.leads import plain
from crm.services import timeline
from tenex.errors import Conflict, InvalidInput
from tenex.events import services as events
from tenex.lib import storable

_NAMESPACE = uuid.UUID("5b1a3f6e-8f5d-4a08-9a52-6a3c9a0f6d17")


class SlotTaken(Conflict):
    """Somebody was faster."""

    code = "slot_taken"


class AlreadyBooked(Conflict):
    """This call has a meeting at another time; `extra["meeting_id"]`."""

    code = "already_booked"


def book(
    calendar: Calendar,
    slot: Period,
    lead: Lead,
    *,
    now: datetime,
    call_id: uuid.UUID | None = None,
    title: str = "",
    notes: str = "",
) -> Meeting:
    """Book a slot for a lead. Booking the same slot from the same call again finds the same meeting.

    Raises:
        InvalidInput: the slot has passed.
        SlotTaken: the time is not free any more.
        AlreadyBooked: the call has a standing meeting at another time.
    """
    if slot.starts_at <= now:
        raise InvalidInput("that time has passed", type_="slot_passed")
    uid = _uid(calendar, slot, call_id)
    with transaction.atomic():
        known = _standing(call_id)
        if known is not None:
            return _same_or_refuse(known, uid)
        try:
            with transaction.atomic():
                meeting, fresh = _write(calendar, slot, lead, uid, call_id, title, notes)
        except IntegrityError as exc:
            # A parallel booking of the same call may have come first: then it is the answer.
            known = _standing(call_id)
            if known is not None:
                return _same_or_refuse(known, uid)
            raise SlotTaken("that time has just been taken") from exc
        if fresh:
            _announce(meeting, lead)
    return meeting


def cancel(meeting: Meeting, *, actor: str) -> bool:
    """Give a slot free again; False if it was canceled before."""
    with transaction.atomic():
        changed = Meeting.objects.filter(pk=meeting.pk, status=MeetingStatus.BOOKED).update(
            status=MeetingStatus.CANCELED
        )
        if changed and meeting.lead:
            timeline.add(
                meeting.lead,
                "meeting.canceled",
                "Meeting canceled",
                call_id=meeting.call_id,
                data={"meeting_id": str(meeting.pk), "actor": actor},
            )
    return bool(changed)


def wire(meeting: Meeting) -> dict[str, Any]:
    """A meeting as in the verdict and in events (contract.md 5)."""
    return {
        "start": plain(meeting.starts_at),
        "end": plain(meeting.ends_at),
        "timezone": meeting.calendar.time_zone,
        "connector_id": str(meeting.calendar_id),
        "event_id": str(meeting.id),
        "join_url": meeting.calendar.join_url or None,
    }


def _uid(calendar: Calendar, slot: Period, call_id: uuid.UUID | None) -> str:
    """Derived from who books what, so that a retry finds its own booking."""
    owner = call_id or uuid.uuid4()
    name = f"{owner}:{calendar.id}:{slot.starts_at.timestamp():.0f}"
    return f"{uuid.uuid5(_NAMESPACE, name)}@tenex"


def _standing(call_id: uuid.UUID | None) -> Meeting | None:
    if call_id is None:
        return None
    return (
        Meeting.objects.select_related("calendar")
        .filter(call_id=call_id, status=MeetingStatus.BOOKED)
        .first()
    )


def _same_or_refuse(known: Meeting, uid: str) -> Meeting:
    if known.uid == uid:
        return known
    raise AlreadyBooked(
        "this call has booked another time", extra={"meeting_id": str(known.id), "meeting": wire(known)}
    )


def _write(
    calendar: Calendar,
    slot: Period,
    lead: Lead,
    uid: str,
    call_id: uuid.UUID | None,
    title: str,
    notes: str,
) -> tuple[Meeting, bool]:
    """The row, and whether this transaction booked it."""
    values = {
        "lead": lead,
        "title": storable.text(title)[:200],
        "notes": storable.text(notes)[:4096],
        "status": MeetingStatus.BOOKED,
    }
    # The same slot, booked and canceled before in this call: that row comes back to life.
    meeting, created = Meeting.objects.get_or_create(
        uid=uid,
        defaults={
            "workspace_id": calendar.workspace_id,
            "calendar": calendar,
            "call_id": call_id,
            "starts_at": slot.starts_at,
            "ends_at": slot.ends_at,
            **values,
        },
    )
    revived = not created and bool(
        Meeting.objects.filter(pk=meeting.pk, status=MeetingStatus.CANCELED).update(**values)
    )
    if revived:
        meeting.refresh_from_db()
    return meeting, created or revived


def _announce(meeting: Meeting, lead: Lead) -> None:
    timeline.add(
        lead,
        "meeting.booked",
        f"Meeting booked for {plain(meeting.starts_at)}",
        call_id=meeting.call_id,
        data=wire(meeting),
    )
    events.record(
        workspace_id=meeting.workspace_id,
        type="meeting.booked",
        data={
            "meeting_id": str(meeting.id),
            "lead_id": str(lead.id),
            "call_id": str(meeting.call_id) if meeting.call_id else None,
            "meeting": wire(meeting),
        },
        call_id=meeting.call_id,
    )
