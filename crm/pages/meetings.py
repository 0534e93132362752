"""What people do with a booked meeting: cancel it, move it."""

import uuid
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from crm.calendars.availability import Period
from crm.calendars.port import CalendarUnavailable
from crm.models import Meeting
from crm.selectors import calendars as read
from crm.services import appointments
from tenex.errors import Conflict, InvalidInput
from tenex.lib import zones
from tenex.pages.views import PageView

_DAYS: Final = 7
_FURTHEST_WEEK: Final = 52


class MeetingCancel(PageView):
    scope = "connectors:write"
    nav = "connectors"

    def post(self, request: HttpRequest, meeting_id: uuid.UUID) -> HttpResponseBase:
        meeting = read.meeting(self.workspace.pk, meeting_id)
        appointments.cancel(meeting, actor=self.principal.actor)
        messages.success(request, "The meeting is canceled, and its time is free.")
        return redirect("connector", connector_id=meeting.calendar_id)


class MeetingReschedule(PageView):
    """The free times of a week, and the choice of one."""

    scope = "connectors:write"
    nav = "connectors"

    def get(self, request: HttpRequest, meeting_id: uuid.UUID) -> HttpResponse:
        return self._page(read.meeting(self.workspace.pk, meeting_id))

    def post(self, request: HttpRequest, meeting_id: uuid.UUID) -> HttpResponseBase:
        meeting = read.meeting(self.workspace.pk, meeting_id)
        try:
            starts_at = _instant(request.POST.get("starts_at", ""))
            moved = appointments.move(meeting, starts_at, actor=self.principal.actor)
        except (Conflict, InvalidInput, CalendarUnavailable) as exc:
            return self._page(meeting, exc.detail, status=exc.status)
        if moved.moves_to_starts_at is not None:
            messages.info(request, "The calendar has not confirmed the move yet; it is tried again.")
        else:
            messages.success(request, "The meeting is moved.")
        return redirect("connector", connector_id=meeting.calendar_id)

    def _page(self, meeting: Meeting, problem: str = "", *, status: int = 200) -> HttpResponse:
        asked = self.request.GET.get("week", "")
        known = asked.isascii() and asked.isdigit() and len(asked) < 4
        week = min(int(asked), _FURTHEST_WEEK) if known else 0
        start = timezone.now() + timedelta(days=_DAYS * week)
        zone = zones.first_zone(meeting.calendar.time_zone)
        context: dict[str, Any] = {"meeting": meeting, "problem": problem, "zone": zone, "days": []}
        try:
            found = appointments.slots(meeting.calendar, Period(start, start + timedelta(days=_DAYS)))
        except CalendarUnavailable as exc:
            context["problem"] = problem or exc.detail
        else:
            # Written out here: a template would show them on the workspace's clock.
            local = [slot.starts_at.astimezone(zone) for slot in found]
            context["days"] = [
                (day, [(f"{at:%H:%M}", at.isoformat()) for at in group])
                for day, group in groupby(local, key=lambda at: at.date())
            ]
        context["tells"] = settings.EMAIL_CONFIGURED and meeting.calendar.sends_invitations
        context |= {"week": week, "later": week + 1, "sooner": max(0, week - 1)}
        return self.page("console/meeting_move.html", context, status=status)


def _instant(text: str) -> datetime:
    """
    Raises:
        InvalidInput
    """
    try:
        at = parse_datetime(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidInput("choose a time", loc=("body", "starts_at"))
    return at
