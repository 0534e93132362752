"""Against Google itself; no part of `make test`, because it needs an account.

    GOOGLE_CLIENT_ID=… GOOGLE_CLIENT_SECRET=… GOOGLE_TEST_REFRESH_TOKEN=… pytest tests/crm/live_google.py

The token opens a calendar that may be written to: a meeting in a month is booked and canceled.
"""

import os
from datetime import timedelta
from typing import Any

import pytest

from crm.calendars.availability import Period
from crm.models import Calendar, CalendarAccount, MeetingStatus
from crm.services import appointments, calendar_ports, calendars, connector_checks, connectors, meeting_sync
from tests import rows
from tests.crm import connected
from tests.crm.connected import tomorrow
from tests.crm.test_google_calendar import book

pytestmark = pytest.mark.django_db(transaction=True)


def test_with_google_itself() -> None:
    made = connectors.create(
        rows.workspace(),
        {"name": "Live", "time_zone": "UTC", "hours": connected.EVERY_DAY},
        kind="google",
        actor="test",
    )
    account = CalendarAccount.objects.get(pk=made.pk)
    token: dict[str, Any] = {"refresh_token": os.environ["GOOGLE_TEST_REFRESH_TOKEN"]}
    calendar_ports.keep_credentials(account, token)
    writable = [one for one in connector_checks.discover(made, actor="test") if one.writable]
    connectors.update(made, {"address": writable[0].address}, actor="test")
    made = Calendar.objects.get(pk=made.pk)
    day = tomorrow().starts_at + timedelta(days=30)
    free = appointments.slots(made, Period(day, day + timedelta(days=1)))
    meeting = book(made, free[0])
    assert meeting.status == MeetingStatus.BOOKED
    calendars.cancel(meeting, actor="test")
    meeting_sync.settle(meeting.pk, late=True)
