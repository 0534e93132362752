"""Calendars, ours and other people's, and what was booked in them."""

from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeBoundary, RangeOperators
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Func
from django.db.models.functions import Coalesce

from crm.models.leads import Lead
from tenex.lib.models import Row
from tenex.workspaces.models import Workspace


class _Period(Func):
    function = "TSTZRANGE"
    output_field = DateTimeRangeField()


class _Periods(Func):
    function = "TSTZMULTIRANGE"
    output_field = DateTimeRangeField()


def _kept_times() -> Func:
    """All time that a meeting keeps: its own, and while it is being moved also the time that it moves to."""
    return _Periods(
        _Period("starts_at", "ends_at", RangeBoundary()),
        _Period(
            Coalesce("moves_to_starts_at", "starts_at"),
            Coalesce("moves_to_ends_at", "ends_at"),
            RangeBoundary(),
        ),
    )


def working_week() -> dict[str, Any]:
    """Monday to Friday 09:00-17:00; keys are ISO weekdays."""
    return {str(day): [["09:00", "17:00"]] for day in range(1, 6)}


class CalendarKind(models.TextChoices):
    BUILT_IN = "built_in", "Built in"
    CALDAV = "caldav", "CalDAV"
    GOOGLE = "google", "Google Calendar"


class Calendar(Row):
    """A calendar to book in. Its id is the `calendar_connector_id` on the wire.

    Of the built-in kind these rows are all there is. The other kinds are somebody's calendar elsewhere
    (:class:`CalendarAccount`), whose events count as busy and in which meetings are written.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="calendars")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=CalendarKind.choices, default=CalendarKind.BUILT_IN)
    time_zone = models.CharField(max_length=64, default="UTC")
    hours = models.JSONField(
        default=working_week, help_text='{"1": [["09:00", "17:00"]], …}, ISO weekdays, local time.'
    )
    slot_minutes = models.PositiveSmallIntegerField(
        default=30, validators=[MinValueValidator(5), MaxValueValidator(480)]
    )
    buffer_before_minutes = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(240)], help_text="Free time that a meeting needs before it."
    )
    buffer_after_minutes = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(240)], help_text="Free time that a meeting needs after it."
    )
    notice_minutes = models.PositiveIntegerField(
        default=120, validators=[MaxValueValidator(43_200)], help_text="How soon a meeting may be, at most."
    )
    horizon_days = models.PositiveSmallIntegerField(
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(365)],
        help_text="How far ahead meetings are booked.",
    )
    daily_limit = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Meetings of ours a day at most; empty: as many as fit.",
    )
    join_url = models.URLField(blank=True, help_text="Where meetings take place, if always at one address.")
    organizer_email = models.EmailField(
        blank=True, help_text="Who invites; empty: the address that our mail comes from."
    )
    sends_invitations = models.BooleanField(
        default=True, help_text="Send the lead an invitation by e-mail, and tell them of changes."
    )
    is_default = models.BooleanField(default=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(
                fields=("workspace",), condition=models.Q(is_default=True), name="one_default_calendar"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_remote(self) -> bool:
        return self.kind != CalendarKind.BUILT_IN


class AccountState(models.TextChoices):
    """How a connection to somebody's calendar stands."""

    UNFINISHED = "unfinished", "Not set up yet"
    OK = "ok", "Works"
    FAILING = "failing", "Does not answer"
    REFUSED = "refused", "Refuses us"


class CalendarAccount(models.Model):
    """The way into a calendar elsewhere, and how it goes there. One a calendar that is not built in."""

    calendar = models.OneToOneField(
        Calendar, on_delete=models.CASCADE, primary_key=True, related_name="account"
    )
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    url = models.CharField(max_length=500, blank=True, help_text="Of a CalDAV server or account.")
    user_name = models.CharField(max_length=200, blank=True)
    # JSON, sealed: the password of CalDAV, the tokens of Google.
    credentials = models.TextField(blank=True, editable=False)
    address = models.CharField(
        max_length=500, blank=True, help_text="The chosen calendar: a CalDAV collection or Google's id."
    )
    address_name = models.CharField(max_length=200, blank=True)
    state = models.CharField(
        max_length=10, choices=AccountState.choices, default=AccountState.UNFINISHED, editable=False
    )
    last_success_at = models.DateTimeField(null=True, editable=False)
    last_error_at = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=200, blank=True, editable=False)
    latency_ms = models.PositiveIntegerField(null=True, editable=False)
    # The circuit breaker: while it is open, nobody in a call waits for this server.
    failures = models.PositiveIntegerField(default=0, editable=False)
    open_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "calendar account"

    def __str__(self) -> str:
        return self.address_name or self.address or self.url or self.get_state_display()

    @property
    def id(self) -> Any:
        return self.pk


class MeetingStatus(models.TextChoices):
    REQUESTED = "requested", "Asked for"
    BOOKING = "booking", "Being booked"
    BOOKED = "booked", "Booked"
    FAILED = "failed", "Not booked"
    CANCELED = "canceled", "Canceled"


HOLDS_TIME = (MeetingStatus.BOOKING, MeetingStatus.BOOKED)
"""Nobody else gets the time of these."""


class Meeting(Row):
    """A meeting with a lead.

    requested -> booking -> booked -> canceled, or failed on the way. A built-in calendar books at once. In
    any other one `booked` means that the event was seen there; what the calendar elsewhere still has to be
    told is due at `sync_at`, and whoever tells it holds the lease, with `fence` as its number.
    """

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
    failure = models.CharField(max_length=40, blank=True, help_text="Why it was not booked.")
    attendee_email = models.EmailField(blank=True, help_text="Where the invitation went.")
    join_url = models.URLField(blank=True, max_length=500)
    sequence = models.PositiveIntegerField(default=0, help_text="How often it was changed; of iCalendar.")
    moves_to_starts_at = models.DateTimeField(null=True, blank=True, editable=False)
    moves_to_ends_at = models.DateTimeField(null=True, blank=True, editable=False)
    moves_by = models.CharField(max_length=300, blank=True, editable=False)
    # What the calendar elsewhere has of it, and what it still has to be told.
    href = models.CharField(max_length=1000, blank=True, editable=False)
    forgotten = models.BooleanField(default=False, editable=False)
    sync_at = models.DateTimeField(null=True, blank=True, editable=False)
    sync_since = models.DateTimeField(null=True, blank=True, editable=False)
    sync_tries = models.PositiveIntegerField(default=0, editable=False)
    looks_left = models.PositiveSmallIntegerField(default=0, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    fence = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("starts_at",)
        constraints = [
            ExclusionConstraint(
                name="no_two_meetings_at_once",
                expressions=[
                    ("calendar", RangeOperators.EQUAL),
                    (_kept_times(), RangeOperators.OVERLAPS),
                ],
                condition=models.Q(status__in=["booking", "booked"]),
            ),
            models.UniqueConstraint(
                fields=("call_id",),
                condition=models.Q(status__in=["booking", "booked"], call_id__isnull=False),
                name="one_meeting_a_call",
            ),
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="meeting_takes_time"
            ),
            models.CheckConstraint(
                condition=models.Q(moves_to_starts_at=None, moves_to_ends_at=None)
                | models.Q(moves_to_ends_at__gt=models.F("moves_to_starts_at")),
                name="meeting_moves_to_a_time",
            ),
        ]
        indexes = [
            # Read by crm.services.meeting_sync: what a calendar has to be told.
            models.Index(fields=("sync_at",), condition=~models.Q(sync_at=None), name="meeting_sync_due"),
            # Lists of the API and the console.
            models.Index(fields=("workspace", "-created_at", "-id"), name="meeting_recent"),
            models.Index(fields=("calendar", "starts_at"), name="meeting_by_time"),
        ]


class SlotHold(models.Model):
    """A time that is being offered in a call: other calls offer it only if they have nothing else.

    It books nothing and ends by itself.
    """

    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, db_index=False)
    call_id = models.UUIDField(db_index=True)
    starts_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("calendar", "call_id", "starts_at"), name="slot_held_once")
        ]


class MailKind(models.TextChoices):
    REQUEST = "request", "Invitation"
    CANCEL = "cancel", "Cancellation"


class MailStatus(models.TextChoices):
    PENDING = "pending", "To be sent"
    SENT = "sent", "Sent"
    DROPPED = "dropped", "Not sent"


class MeetingMail(Row):
    """A message to the lead about a meeting: made when it is due, from what the meeting is then."""

    meeting = models.ForeignKey(Meeting, on_delete=models.CASCADE, related_name="mails", db_index=False)
    kind = models.CharField(max_length=10, choices=MailKind.choices)
    sequence = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=MailStatus.choices, default=MailStatus.PENDING)
    next_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=120, blank=True, help_text="Why it was not sent.")

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(fields=("meeting", "kind", "sequence"), name="meeting_told_once")
        ]
        indexes = [
            # Read by crm.services.meeting_mails.
            models.Index(fields=("next_at",), condition=models.Q(status="pending"), name="meeting_mail_due")
        ]
