"""Free times and meetings, `/connectors/…`."""

import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

import django_filters as df
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from crm.calendars.availability import Period
from crm.models import MeetingStatus
from crm.selectors import calendars as read
from crm.selectors import leads as read_leads
from crm.services import appointments
from tenex.errors import InvalidInput, NotFound
from tenex.rest import filters as strict
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import page
from tenex.rest.schema import filter_parameters, operation, page_of
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView, created

TAG = "Connectors"
_MOST_DAYS = 31
_FAR = timedelta(days=800)


class SlotOut(Output):
    """A time that can be booked."""

    starts_at = f.DateTimeField()
    ends_at = f.DateTimeField()


class SlotsOut(Output):
    """Free times, in order. `time_zone` is the calendar's."""

    items = SlotOut(many=True)
    time_zone = f.CharField()


class MeetingIn(Input):
    """Whom to meet, and when."""

    lead_id = f.UUIDField()
    starts_at = f.DateTimeField(help_text="The beginning of a free time of `GET …/slots`.")
    title = f.CharField(max_length=200, required=False, allow_blank=True)
    notes = f.CharField(max_length=4096, required=False, allow_blank=True)


class RescheduleIn(Input):
    """To when."""

    starts_at = f.DateTimeField(help_text="The beginning of a free time of `GET …/slots`.")


class MeetingOut(Output):
    """A meeting with a lead.

    `booking`: the calendar has not confirmed it yet. `requested`: a time that a caller asked for while the
    calendar could not be seen. `failed` says why in `failure`.
    """

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id", help_text="Your workspace.")
    connector_id = f.UUIDField(source="calendar_id")
    lead_id = f.UUIDField(allow_null=True)
    call_id = f.UUIDField(allow_null=True)
    status = f.ChoiceField(choices=MeetingStatus.choices)
    failure = f.CharField()
    starts_at = f.DateTimeField()
    ends_at = f.DateTimeField()
    moves_to = f.DateTimeField(
        source="moves_to_starts_at", allow_null=True, help_text="It is being moved there; null: it is not."
    )
    title = f.CharField()
    notes = f.CharField()
    join_url = f.SerializerMethodField()
    sequence = f.IntegerField(help_text="How often it was changed.")
    created_at = f.DateTimeField()

    def get_join_url(self, meeting: Any) -> str:
        return str(meeting.join_url or meeting.calendar.join_url)


class MeetingFilters(df.FilterSet):  # type: ignore[misc]
    connector_id = df.UUIDFilter("calendar_id", help_text="In this calendar.")
    lead_id = df.UUIDFilter("lead_id", help_text="With this lead.")
    call_id = df.UUIDFilter("call_id", help_text="Booked in this call.")
    status = strict.Several(choices=MeetingStatus.choices, help_text="One status, or several with commas.")
    starts_from = df.IsoDateTimeFilter("starts_at", lookup_expr="gte", help_text="At this instant or later.")
    starts_to = df.IsoDateTimeFilter("starts_at", lookup_expr="lt", help_text="Before this instant.")


class ConnectorSlots(ApiView):
    scopes: ClassVar = {"GET": "connectors:read"}

    @operation(
        "connectors_slots",
        "List free times",
        "By working hours, buffers, notice, horizon and the day's limit, less what is booked and what the "
        "calendar elsewhere has. Asks that calendar, so it takes as long as that does.",
        tag=TAG,
        response=SlotsOut,
        parameters=[
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="From this instant on, else now."),
            OpenApiParameter(
                "to", OpenApiTypes.DATETIME, description=f"At most {_MOST_DAYS} days later; 7 if absent."
            ),
        ],
        errors=(404, 503),
    )
    def get(self, request: Request, connector_id: uuid.UUID) -> Response:
        self.known_query(("from", "to"))
        calendar = read.get(self.workspace.pk, connector_id)
        found = appointments.slots(calendar, self._window())
        return Response({"items": SlotOut(found, many=True).data, "time_zone": calendar.time_zone})

    def _window(self) -> Period:
        start = _instant(self.query.get("from"), "from") or timezone.now()
        if abs(start - timezone.now()) > _FAR:
            raise InvalidInput("is too far away", loc=("query", "from"), type_="too_far")
        end = _instant(self.query.get("to"), "to") or start + timedelta(days=7)
        if not start < end <= start + timedelta(days=_MOST_DAYS):
            raise InvalidInput(f"must be after `from`, at most {_MOST_DAYS} days", loc=("query", "to"))
        return Period(start, end)


class ConnectorMeetings(ApiView):
    scopes: ClassVar = {"POST": "connectors:write"}

    @operation(
        "meetings_create",
        "Book a meeting",
        "At a free time. 409 `slot_taken` if it is none any more. In a calendar elsewhere the answer may "
        "have `status` `booking`: not confirmed yet; `meeting.booked` or a follow-up comes later.",
        tag=TAG,
        request=MeetingIn,
        response=MeetingOut,
        status=201,
        errors=(404, 409, 503),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, connector_id: uuid.UUID) -> Response:
        self.known_query()
        calendar = read.get(self.workspace.pk, connector_id)
        body = self.body(MeetingIn)
        try:
            lead = read_leads.get(self.workspace.pk, body.pop("lead_id"))
        except NotFound as exc:
            raise InvalidInput(
                "there is no such thing here", loc=("body", "lead_id"), type_="missing"
            ) from exc
        starts_at: datetime = body.pop("starts_at")
        return created(MeetingOut(appointments.book(calendar, lead, starts_at, **body)).data)


class MeetingList(ApiView):
    scopes: ClassVar = {"GET": "connectors:read"}

    @operation(
        "meetings_list",
        "List meetings",
        "The newest first.",
        tag=TAG,
        response=page_of(MeetingOut),
        parameters=filter_parameters(MeetingFilters),
    )
    def get(self, request: Request) -> Response:
        rows = strict.apply(MeetingFilters, self.query, read.meetings(self.workspace.pk))
        found = page(rows, self.query, bound_to=f"meetings:{self.workspace.pk}")
        return Response(found.as_json(MeetingOut))


class MeetingDetail(ApiView):
    scopes: ClassVar = {"GET": "connectors:read"}

    @operation("meetings_get", "Get a meeting", "As it is now.", tag=TAG, response=MeetingOut, errors=(404,))
    def get(self, request: Request, meeting_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(MeetingOut(read.meeting(self.workspace.pk, meeting_id)).data)


class MeetingCancel(ApiView):
    scopes: ClassVar = {"POST": "connectors:write"}

    @operation(
        "meetings_cancel",
        "Cancel a meeting",
        "Its time is free at once, and the lead is told by e-mail. Canceling again changes nothing.",
        tag=TAG,
        response=MeetingOut,
        errors=(404,),
    )
    def post(self, request: Request, meeting_id: uuid.UUID) -> Response:
        self.known_query()
        meeting = read.meeting(self.workspace.pk, meeting_id)
        return Response(MeetingOut(appointments.cancel(meeting, actor=self.principal.actor)).data)


class MeetingReschedule(ApiView):
    scopes: ClassVar = {"POST": "connectors:write"}

    @operation(
        "meetings_reschedule",
        "Move a meeting",
        "To a free time of the same calendar. While `moves_to` is set, a calendar elsewhere has not "
        "confirmed it yet, and both times are kept.",
        tag=TAG,
        request=RescheduleIn,
        response=MeetingOut,
        errors=(404, 409, 503),
    )
    def post(self, request: Request, meeting_id: uuid.UUID) -> Response:
        self.known_query()
        meeting = read.meeting(self.workspace.pk, meeting_id)
        starts_at: datetime = self.body(RescheduleIn)["starts_at"]
        return Response(MeetingOut(appointments.move(meeting, starts_at, actor=self.principal.actor)).data)


def _instant(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        at = f.DateTimeField().to_internal_value(text)
    except f.ValidationError as exc:
        raise InvalidInput("not an ISO 8601 date and time", loc=("query", name), type_="datetime") from exc
    return at
