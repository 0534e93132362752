"""Reading calendars: which one, what is free, what is booked."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet

from crm.calendars import slot_ids
from crm.calendars.availability import Period, free_slots
from crm.models import Calendar, Meeting, MeetingStatus
from tenex.errors import NotFound
from tenex.lib import zones


def all_of(workspace_id: uuid.UUID) -> QuerySet[Calendar]:
    return Calendar.objects.filter(workspace_id=workspace_id)


def get(workspace_id: uuid.UUID, calendar_id: uuid.UUID) -> Calendar:
    """
    Raises:
        NotFound: not there, or of another workspace.
    """
    found = Calendar.objects.filter(workspace_id=workspace_id, pk=calendar_id).first()
    if found is None:
        raise NotFound("no such calendar")
    return found


def default(workspace_id: uuid.UUID) -> Calendar | None:
    """The workspace's default calendar; its only one, if none is marked."""
    found = list(Calendar.objects.filter(workspace_id=workspace_id).order_by("-is_default", "created_at")[:2])
    return found[0] if found and (found[0].is_default or len(found) == 1) else None


def free(calendar: Calendar, *, now: datetime, window: Period) -> list[Period]:
    """Free slots in `window`, none sooner than the calendar's notice."""
    start = max(window.starts_at, now + timedelta(minutes=calendar.notice_minutes))
    return free_slots(
        hours=calendar.hours,
        zone=zones.first_zone(calendar.time_zone),
        slot_minutes=calendar.slot_minutes,
        busy=_busy(calendar, window),
        window=Period(start, window.ends_at),
    )


def slot_id(calendar: Calendar, slot: Period, scope: str) -> str:
    return slot_ids.issue(slot, calendar_id=calendar.id, scope=scope, key=settings.SLOT_ID_KEY)


def slot_of(calendar: Calendar, text: str, scope: str) -> Period | None:
    return slot_ids.read(text, calendar_id=calendar.id, scope=scope, key=settings.SLOT_ID_KEY)


def meeting_of_call(call_id: uuid.UUID) -> Meeting | None:
    """The meeting that a call booked, if it still stands."""
    return (
        Meeting.objects.select_related("calendar")
        .filter(call_id=call_id, status=MeetingStatus.BOOKED)
        .first()
    )


def _busy(calendar: Calendar, window: Period) -> list[Period]:
    rows = Meeting.objects.filter(
        calendar=calendar,
        status=MeetingStatus.BOOKED,
        starts_at__lt=window.ends_at,
        ends_at__gt=window.starts_at,
    ).values_list("starts_at", "ends_at")
    return [Period(starts_at, ends_at) for starts_at, ends_at in rows]
