"""Meetings, and how they stand on the server."""

import uuid
from typing import Any

from django.utils import timezone

from crm.calendars.availability import Period
from crm.models import Calendar, Meeting
from crm.services import calendars, meeting_sync
from tests import rows
from tests.crm.connected import tomorrow
from tests.rig.radicale import Radicale


def book(calendar: Calendar, time: Period | None = None, *, late: bool = False, **fields: Any) -> Meeting:
    """Book and settle, as a call does."""
    lead = fields.pop("lead", None) or rows.lead(calendar.workspace)
    made = calendars.book(
        calendar,
        time or tomorrow(),
        lead,
        now=timezone.now(),
        **{"call_id": uuid.uuid4(), "title": "Meeting with Maria", **fields},
    )
    return meeting_sync.settle(made.pk, late=late)


def stands(server: Radicale) -> dict[str, Period]:
    """Uid to time of all that the server has."""
    return {str(one["UID"]): Period(one["DTSTART"].dt, one["DTEND"].dt) for one in server.events()}


def times(meeting: Meeting) -> Period:
    return Period(meeting.starts_at, meeting.ends_at)


def due(meeting: Meeting) -> Meeting:
    """Let its next try be due."""
    Meeting.objects.filter(pk=meeting.pk).update(sync_at=timezone.now(), lease_until=None)
    return meeting
