"""What goes in and out about calendars."""

from typing import Any, ClassVar

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f

from crm.models import AccountState, Calendar, CalendarAccount, CalendarKind
from crm.services import calendar_health
from tenex.rest.serializers import FreeObject, Input, Output

_SPAN: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"},
    "minItems": 2,
    "maxItems": 2,
}
_HOURS: dict[str, Any] = {
    "type": "object",
    "description": "Working hours on the clock of `time_zone`: ISO weekday to spans. A day that is absent "
    "has none.",
    "properties": {str(day): {"type": "array", "items": _SPAN, "maxItems": 6} for day in range(1, 8)},
    "additionalProperties": False,
    "examples": [{"1": [["09:00", "12:30"], ["13:30", "17:00"]], "5": [["09:00", "14:00"]]}],
}


@extend_schema_field(_HOURS)
class Hours(FreeObject):
    """Checked by the service."""


_LETTER = "A-Za-z0-9\u00a1-\u1fff"
_ADDRESS = RegexValidator(
    f"^https?://([{_LETTER}]([{_LETTER}-]{{0,60}}[{_LETTER}])?\\.)+[A-Za-z]{{2,60}}"
    "(:[0-9]{1,5})?([/?#][^\\s\\x00-\\x1f]*)?$",
    "not a web address",
)
"""Narrower than Django's own check, which also lets through what no browser opens."""


class ConnectorPatchIn(Input):
    """Changes of a calendar. What is absent stays."""

    name = f.CharField(max_length=120)
    time_zone = f.CharField(max_length=64, required=False, help_text="IANA name; the workspace's if absent.")
    hours = Hours(required=False)
    slot_minutes = f.IntegerField(min_value=5, max_value=480, required=False)
    buffer_before_minutes = f.IntegerField(
        min_value=0, max_value=240, required=False, help_text="Free time that a meeting needs before it."
    )
    buffer_after_minutes = f.IntegerField(
        min_value=0, max_value=240, required=False, help_text="Free time that a meeting needs after it."
    )
    notice_minutes = f.IntegerField(
        min_value=0, max_value=43_200, required=False, help_text="How soon a meeting may be, at most."
    )
    horizon_days = f.IntegerField(
        min_value=1, max_value=365, required=False, help_text="How far ahead meetings are booked."
    )
    daily_limit = f.IntegerField(
        min_value=1,
        max_value=100,
        required=False,
        allow_null=True,
        help_text="Meetings of ours a day at most; null: as many as fit.",
    )
    join_url = f.URLField(max_length=200, required=False, allow_blank=True, validators=[_ADDRESS])
    organizer_email = f.EmailField(
        required=False, allow_blank=True, help_text="Who invites; empty: where our mail comes from."
    )
    sends_invitations = f.BooleanField(required=False, help_text="Write to leads about their meetings.")
    is_default = f.BooleanField(required=False, help_text="Takes the bookings of agents that have none.")
    url = f.CharField(max_length=500, required=False, help_text="CalDAV: of the server or the account.")
    user_name = f.CharField(max_length=200, required=False, help_text="CalDAV.")
    password = f.CharField(
        max_length=1000, required=False, write_only=True, help_text="CalDAV. Sealed, and never given out."
    )
    address = f.CharField(
        max_length=500,
        required=False,
        help_text="The chosen calendar: an `address` of `POST …/discover`.",
    )


class ConnectorIn(ConnectorPatchIn):
    """A new calendar. CalDAV needs `url`, `user_name`, `password`; Google is connected afterwards."""

    kind = f.ChoiceField(choices=[CalendarKind.CALDAV, CalendarKind.BUILT_IN, CalendarKind.GOOGLE])
    address = None  # type: ignore[assignment]
    together: ClassVar[dict[str, Any]] = {
        "if": {"properties": {"kind": {"const": "caldav"}}},
        "then": {"required": ["url", "user_name", "password"]},
        "else": {"properties": {"url": False, "user_name": False, "password": False}},
    }


class HealthOut(Output):
    """How a calendar elsewhere fares. While `breaker_open_until` lies ahead, calls do not wait for it."""

    state = f.ChoiceField(choices=AccountState.choices)
    last_success_at = f.DateTimeField(allow_null=True)
    last_error_at = f.DateTimeField(allow_null=True)
    last_error = f.CharField()
    latency_ms = f.IntegerField(allow_null=True)
    failures = f.IntegerField(help_text="In a row.")
    breaker_open_until = f.SerializerMethodField()

    @extend_schema_field(f.DateTimeField(allow_null=True))
    def get_breaker_open_until(self, account: CalendarAccount) -> Any:
        return account.open_until if calendar_health.is_open(account) else None


class AccountOut(Output):
    """The account at a calendar elsewhere. Its password or tokens are never given out."""

    url = f.CharField()
    user_name = f.CharField()
    has_credentials = f.SerializerMethodField()
    address = f.CharField(help_text="The chosen calendar; empty: none yet.")
    address_name = f.CharField()

    def get_has_credentials(self, account: CalendarAccount) -> bool:
        return bool(account.credentials)


class ConnectorOut(Output):
    """A calendar that meetings are booked in. Its id is every `calendar_connector_id`."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id", help_text="Your workspace.")
    name = f.CharField()
    kind = f.ChoiceField(choices=CalendarKind.choices)
    time_zone = f.CharField()
    hours = f.SerializerMethodField()
    slot_minutes = f.IntegerField()
    buffer_before_minutes = f.IntegerField()
    buffer_after_minutes = f.IntegerField()
    notice_minutes = f.IntegerField()
    horizon_days = f.IntegerField()
    daily_limit = f.IntegerField(allow_null=True)
    join_url = f.CharField()
    organizer_email = f.CharField()
    sends_invitations = f.BooleanField()
    is_default = f.BooleanField()
    account = f.SerializerMethodField(help_text="null if it is built in.")
    health = f.SerializerMethodField(help_text="null if it is built in.")
    created_at = f.DateTimeField()

    @extend_schema_field(_HOURS)
    def get_hours(self, calendar: Calendar) -> Any:
        return calendar.hours

    @extend_schema_field(AccountOut(allow_null=True))
    def get_account(self, calendar: Calendar) -> Any:
        account = getattr(calendar, "account", None)
        return AccountOut(account).data if account is not None else None

    @extend_schema_field(HealthOut(allow_null=True))
    def get_health(self, calendar: Calendar) -> Any:
        account = getattr(calendar, "account", None)
        return HealthOut(account).data if account is not None else None


class CheckOut(Output):
    """One thing that was tried."""

    step = f.CharField(help_text="`sign_in`, `calendar`, `busy_times`, `account` or `built_in`.")
    ok = f.BooleanField()
    detail = f.CharField()
    took_ms = f.IntegerField()


class TestOut(Output):
    """What works. The first step that fails is the last."""

    __test__ = False
    ok = f.BooleanField()
    checks = CheckOut(many=True)


class ChoiceOut(Output):
    """A calendar of the account."""

    address = f.CharField()
    name = f.CharField()
    writable = f.BooleanField()


class ChoicesOut(Output):
    """The calendars of the account. If only one can be written in, it is chosen."""

    items = ChoiceOut(many=True)


class AuthorizationOut(Output):
    """Where to send somebody who lets us into their Google calendar. They come back to the console."""

    authorization_url = f.CharField()
    expires_in_s = f.IntegerField()


class AuthorizedIn(Input):
    """What Google sent back."""

    state = f.CharField(max_length=2000)
    code = f.CharField(max_length=2000)
