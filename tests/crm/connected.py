"""Calendars elsewhere, connected: what the tests of CalDAV and Google begin with."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import override_settings
from django.utils import timezone

from crm.calendars.availability import Period
from crm.models import Calendar, CalendarAccount
from crm.services import calendar_ports, connectors
from tenex.workspaces.models import Workspace
from tests.rig.radicale import PASSWORD, USER, Radicale

EVERY_DAY = {str(day): [["00:00", "24:00"]] for day in range(1, 8)}


def caldav(space: Workspace, server: Radicale, *, calendar: str = "work", **fields: Any) -> Calendar:
    """A CalDAV connector whose calendar is there and chosen; open around the clock in UTC."""
    made = connectors.create(
        space,
        {
            "name": "Theirs",
            "time_zone": "UTC",
            "hours": EVERY_DAY,
            "notice_minutes": 0,
            "url": server.url,
            "user_name": USER,
            "password": PASSWORD,
            **fields,
        },
        kind="caldav",
        actor="test",
    )
    return connectors.update(made, {"address": f"{server.home()}{calendar}/"}, actor="test")


def google(space: Workspace, *, address: str, **fields: Any) -> Calendar:
    """A Google connector that was let in."""
    made = connectors.create(
        space,
        {"name": "Google", "time_zone": "UTC", "hours": EVERY_DAY, "notice_minutes": 0, **fields},
        kind="google",
        actor="test",
    )
    account = CalendarAccount.objects.get(pk=made.pk)
    calendar_ports.keep_credentials(account, {"refresh_token": "1//refresh"})
    return connectors.update(made, {"address": address}, actor="test")


def tomorrow(hour: int = 15, minute: int = 0, minutes: int = 30) -> Period:
    day = timezone.now().astimezone(UTC) + timedelta(days=1)
    start = day.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return Period(start, start + timedelta(minutes=minutes))


def theirs(time: Period, *, uid: str = "theirs@example.com", more: str = "") -> str:
    """Somebody else's event at a time."""
    return (
        f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:Theirs\r\n"
        f"DTSTART:{stamp(time.starts_at)}\r\nDTEND:{stamp(time.ends_at)}\r\n{more}END:VEVENT"
    )


def stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


@contextmanager
def impatient(seconds: float = 1.0) -> Iterator[None]:
    """Nobody waits longer for a calendar than this."""
    with override_settings(CALENDAR_TIMEOUT_S=seconds):
        yield
