"""Calendars and what was booked in them."""

from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import Func

from crm.models.leads import Lead
from tenex.lib.models import Row
from tenex.workspaces.models import Workspace


class _Period(Func):
    function = "TSTZRANGE"
    output_field = DateTimeRangeField()


def working_week() -> dict[str, Any]:
    """Monday to Friday 09:00-17:00; keys are ISO weekdays."""
    return {str(day): [["09:00", "17:00"]] for day in range(1, 6)}


class Calendar(Row):
    """The built-in availability calendar. Its id is the `calendar_connector_id` on the wire."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="calendars")
    name = models.CharField(max_length=120)
    time_zone = models.CharField(max_length=64, default="UTC")
    hours = models.JSONField(
        default=working_week, help_text='{"1": [["09:00", "17:00"]], …}, ISO weekdays, local time.'
    )
    slot_minutes = models.PositiveSmallIntegerField(default=30)
    notice_minutes = models.PositiveIntegerField(default=120)
    join_url = models.URLField(blank=True)
    is_default = models.BooleanField(default=False)

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(
                fields=("workspace",), condition=models.Q(is_default=True), name="one_default_calendar"
            )
        ]

    def __str__(self) -> str:
        return self.name


class MeetingStatus(models.TextChoices):
    BOOKED = "booked", "Booked"
    CANCELED = "canceled", "Canceled"


class Meeting(Row):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="meetings")
    lead = models.ForeignKey(Lead, on_delete=models.SET_NULL, null=True, blank=True, related_name="meetings")
    call_id = models.UUIDField(null=True, blank=True)
    uid = models.CharField(
        max_length=120, unique=True, help_text="Derived from call and slot: a retry finds its own booking."
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    title = models.CharField(max_length=200, blank=True)
    notes = models.TextField(blank=True, max_length=4096)
    status = models.CharField(max_length=10, choices=MeetingStatus.choices, default=MeetingStatus.BOOKED)

    class Meta:
        ordering = ("starts_at",)
        constraints = [
            ExclusionConstraint(
                name="no_double_booking",
                expressions=[
                    ("calendar", RangeOperators.EQUAL),
                    (_Period("starts_at", "ends_at", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
                condition=models.Q(status="booked"),
            ),
            models.UniqueConstraint(
                fields=("call_id",),
                condition=models.Q(status="booked", call_id__isnull=False),
                name="one_booking_a_call",
            ),
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="meeting_takes_time"
            ),
        ]
