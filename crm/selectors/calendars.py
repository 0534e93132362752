"""Reading calendars: which one, what is free, what is booked."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from crm.calendars import slot_ids
from crm.calendars.availability import Period, Rules, free_slots, instant
from crm.models import HOLDS_TIME, Calendar, Lead, Meeting, MeetingStatus
from tenex.errors import existing
from tenex.lib import zones


def all_of(workspace_id: uuid.UUID) -> QuerySet[Calendar]:
    """Those that can be booked in; what was deleted is none of them."""
    return Calendar.objects.filter(workspace_id=workspace_id, archived_at=None)


def get(workspace_id: uuid.UUID, calendar_id: uuid.UUID) -> Calendar:
    """
    Raises:
        NotFound: not there, or of another workspace.
    """
    return existing(
        all_of(workspace_id).select_related("account", "workspace").filter(pk=calendar_id).first(),
        "no such calendar",
    )


def default(workspace_id: uuid.UUID) -> Calendar | None:
    """The workspace's default calendar; its only one, if none is marked."""
    found = list(all_of(workspace_id).order_by("-is_default", "created_at")[:2])
    return found[0] if found and (found[0].is_default or len(found) == 1) else None


def rules(calendar: Calendar) -> Rules:
    return Rules(
        hours=calendar.hours,
        zone=zones.first_zone(calendar.time_zone),
        slot_minutes=calendar.slot_minutes,
        buffer_before_minutes=calendar.buffer_before_minutes,
        buffer_after_minutes=calendar.buffer_after_minutes,
        daily_limit=calendar.daily_limit,
    )


def bookable(calendar: Calendar, *, now: datetime, window: Period) -> Period:
    """The part of `window` that notice and horizon leave."""
    start = max(window.starts_at, now + timedelta(minutes=calendar.notice_minutes))
    return Period(start, min(window.ends_at, now + timedelta(days=calendar.horizon_days)))


def free(calendar: Calendar, *, now: datetime, window: Period, busy: Sequence[Period] = ()) -> list[Period]:
    """Free slots in `window`. `busy` is what the calendar elsewhere has (`crm.services.calendar_ports`)."""
    its_rules = rules(calendar)
    inside = bookable(calendar, now=now, window=window)
    if inside.ends_at <= inside.starts_at:
        return []
    meetings = kept_times(calendar, whole_days(its_rules, inside))
    return free_slots(its_rules, meetings=meetings, busy=busy, window=inside)


def whole_days(its_rules: Rules, window: Period) -> Period:
    """The calendar's days that `window` touches, and enough on either side for the buffers."""
    first, last = its_rules.day(window.starts_at), its_rules.day(window.ends_at) + timedelta(days=1)
    zone = its_rules.zone
    days = Period(instant(first, "00:00", zone, later=False), instant(last, "00:00", zone, later=False))
    most = max(its_rules.buffer_before_minutes, its_rules.buffer_after_minutes)
    return days.padded(most, most)


def kept_times(calendar: Calendar, window: Period, *, apart_from: Meeting | None = None) -> list[Period]:
    """The times that meetings of ours keep in `window`: of one that is being moved both."""
    rows = Meeting.objects.filter(calendar=calendar, status__in=HOLDS_TIME)
    if apart_from is not None:
        rows = rows.exclude(pk=apart_from.pk)
    here = Q(starts_at__lt=window.ends_at, ends_at__gt=window.starts_at)
    there = Q(moves_to_starts_at__lt=window.ends_at, moves_to_ends_at__gt=window.starts_at)
    found = []
    columns = ("starts_at", "ends_at", "moves_to_starts_at", "moves_to_ends_at")
    for starts_at, ends_at, to_starts_at, to_ends_at in rows.filter(here | there).values_list(*columns):
        found.append(Period(starts_at, ends_at))
        if to_starts_at is not None:
            found.append(Period(to_starts_at, to_ends_at))
    return found


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


def latest_of_call(call_id: uuid.UUID) -> Meeting | None:
    """What came of a call's wish for a meeting: what stands or is to stand, else the last one."""
    found = list(Meeting.objects.select_related("calendar").filter(call_id=call_id).order_by("-created_at"))
    return next((one for one in found if one.status in HOLDS_TIME), found[0] if found else None)


def upcoming_of(lead: Lead, now: datetime) -> list[Meeting]:
    """The meetings of a lead that stand and are to come, the next one first."""
    rows = Meeting.objects.select_related("calendar").filter(lead=lead, status=MeetingStatus.BOOKED)
    return list(rows.filter(starts_at__gt=now).order_by("starts_at")[:10])


def meetings(workspace_id: uuid.UUID) -> QuerySet[Meeting]:
    return Meeting.objects.filter(workspace_id=workspace_id).select_related("calendar", "lead")


def meeting(workspace_id: uuid.UUID, meeting_id: uuid.UUID) -> Meeting:
    """
    Raises:
        NotFound: not there, or of another workspace.
    """
    return existing(meetings(workspace_id).filter(pk=meeting_id).first(), "no such meeting")


def upcoming_in(calendar: Calendar, now: datetime) -> QuerySet[Meeting]:
    """What is to come in a calendar, or is not settled yet."""
    rows = Meeting.objects.filter(calendar=calendar).select_related("calendar", "lead")
    open_ones = [MeetingStatus.REQUESTED, *HOLDS_TIME]
    return rows.filter(status__in=open_ones, ends_at__gt=now).order_by("starts_at")


def to_come(
    workspace_id: uuid.UUID, calendar_ids: Sequence[uuid.UUID], now: datetime
) -> dict[uuid.UUID, int]:
    """How many booked meetings are to come, by calendar."""
    rows = Meeting.objects.filter(
        workspace_id=workspace_id, calendar_id__in=calendar_ids, status=MeetingStatus.BOOKED, ends_at__gt=now
    )
    counted = rows.order_by().values_list("calendar_id").annotate(Count("id"))
    return dict(counted.values_list("calendar_id", "id__count"))


def unsettled_in(calendar: Calendar) -> int:
    """How many meetings the calendar elsewhere still has to be told about."""
    return Meeting.objects.filter(calendar=calendar).exclude(sync_at=None).count()
