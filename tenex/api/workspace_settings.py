"""The workspace's settings."""

from typing import ClassVar
from zoneinfo import available_timezones

from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.lib import places
from tenex.rest.local_time import LocalTime
from tenex.rest.schema import operation
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView
from tenex.workspaces.models import CallingPurpose, CallingRules, RecordingConsent
from tenex.workspaces.services import workspaces

TAG = "Settings"
MAX_RETENTION_DAYS = 3650
MAX_PLACES = 400


class SettingsIn(Input):
    """Changes of the settings."""

    name = f.CharField(max_length=200, required=False)
    time_zone = f.CharField(
        max_length=64, required=False, help_text="IANA name, for instance `Europe/Berlin`."
    )
    default_region = f.RegexField(
        r"^[A-Z]{2}$", required=False, help_text="ISO country code that national phone numbers are read in."
    )
    recording_consent = f.ChoiceField(choices=RecordingConsent.choices, required=False)
    recording_consent_places = f.DictField(
        child=f.ChoiceField(choices=RecordingConsent.choices),
        required=False,
        help_text="Where another mode holds: `DE` or, for states and provinces, `US-CA`, to `announce`, "
        "`explicit` or `off`. Replaces what was there. Who may be in several places gets the strictest mode.",
    )
    recording_retention_days = f.IntegerField(min_value=1, max_value=MAX_RETENTION_DAYS, required=False)
    transcript_retention_days = f.IntegerField(min_value=1, max_value=MAX_RETENTION_DAYS, required=False)
    journal_retention_days = f.IntegerField(min_value=1, max_value=MAX_RETENTION_DAYS, required=False)
    evidence_retention_days = f.IntegerField(min_value=1, max_value=MAX_RETENTION_DAYS, required=False)
    calling_window_start = LocalTime(required=False, help_text="In the lead's time zone.")
    calling_window_end = LocalTime(required=False)
    calling_days = f.ListField(
        child=f.IntegerField(min_value=1, max_value=7),
        min_length=1,
        max_length=7,
        required=False,
        help_text="ISO weekdays on which leads are called, 1 is Monday.",
    )
    calling_rules = f.ChoiceField(
        choices=CallingRules.choices,
        required=False,
        help_text="`strict`: our narrow hours and three calls in 24 hours, whatever the law of the place "
        "allows. `legal`: all that it allows; needs `calling_rules_reason`.",
    )
    calling_rules_reason = f.CharField(
        max_length=300, required=False, help_text="Why `legal`: kept in the audit log with who said so."
    )
    calling_countries = f.ListField(
        child=f.CharField(max_length=60),
        max_length=250,
        required=False,
        help_text="Countries that are called, by ISO code; none: that of `default_region`.",
    )
    default_purpose = f.ChoiceField(
        choices=CallingPurpose.choices,
        required=False,
        help_text="Of calls that name none: which consent a lead must have given.",
    )
    legal_name = f.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        help_text="Who calls. Workspaces of one legal name are one caller: do-not-call lists and limits hold "
        "for all of them together.",
    )
    max_calls_per_lead_a_day = f.IntegerField(
        min_value=1, max_value=20, required=False, help_text="Calls to one number in any 24 hours."
    )
    max_calls_per_lead_a_week = f.IntegerField(
        min_value=1, max_value=50, required=False, help_text="Calls to one number in any seven days."
    )
    max_calls_per_lead_in_all = f.IntegerField(
        min_value=1, max_value=200, required=False, help_text="Calls to one number, ever."
    )
    min_gap_between_calls_s = f.IntegerField(
        min_value=60,
        max_value=30 * 86_400,
        required=False,
        help_text="Seconds between two calls to one.",
    )
    max_concurrent_calls = f.IntegerField(min_value=0, max_value=1000, required=False)
    calls_per_second = f.FloatField(min_value=0.01, max_value=50, required=False)
    calling_paused = f.BooleanField(required=False, help_text="Kill switch: while true, nobody is dialled.")
    transfer_number = f.CharField(max_length=40, required=False, allow_blank=True)

    def validate_recording_consent_places(self, value: dict[str, str]) -> dict[str, str]:
        if len(value) > MAX_PLACES:
            raise f.ValidationError(f"at most {MAX_PLACES} places", code="max_length")
        found: dict[str, str] = {}
        for text, mode in value.items():
            code = places.place_code(text)
            if code is None:
                raise f.ValidationError(f"{text[:40]!r} is no country, nor a state of one", code="place")
            found[code] = mode
        return dict(sorted(found.items()))

    def validate_calling_days(self, value: list[int]) -> list[int]:
        return sorted(set(value))

    def validate_calling_countries(self, value: list[str]) -> list[str]:
        codes = [places.country_code(text) for text in value]
        if not all(codes):
            raise f.ValidationError("not a country: its ISO code, or its English name", code="country")
        return sorted({code for code in codes if code})

    def validate_default_region(self, value: str) -> str:
        if value not in places.countries():
            raise f.ValidationError("not a country: its ISO code", code="country")
        return value

    def validate_time_zone(self, value: str) -> str:
        if value not in available_timezones():
            raise f.ValidationError("not an IANA time zone name", code="time_zone")
        return value


class SettingsOut(Output):
    """The workspace and its settings."""

    company_id = f.UUIDField(source="id")
    name = f.CharField()
    slug = f.CharField()
    time_zone = f.CharField()
    default_region = f.CharField()
    recording_consent = f.ChoiceField(choices=RecordingConsent.choices)
    recording_consent_places = f.DictField(child=f.ChoiceField(choices=RecordingConsent.choices))
    recording_retention_days = f.IntegerField()
    transcript_retention_days = f.IntegerField()
    journal_retention_days = f.IntegerField()
    evidence_retention_days = f.IntegerField()
    calling_window_start = LocalTime()
    calling_window_end = LocalTime()
    calling_days = f.ListField(child=f.IntegerField())
    calling_rules = f.ChoiceField(choices=CallingRules.choices)
    calling_countries = f.ListField(child=f.CharField())
    default_purpose = f.ChoiceField(choices=CallingPurpose.choices)
    legal_name = f.CharField()
    max_calls_per_lead_a_day = f.IntegerField()
    max_calls_per_lead_a_week = f.IntegerField()
    max_calls_per_lead_in_all = f.IntegerField()
    min_gap_between_calls_s = f.IntegerField()
    max_concurrent_calls = f.IntegerField()
    calls_per_second = f.FloatField()
    calling_paused_at = f.DateTimeField(allow_null=True)
    transfer_number = f.CharField()


class Settings(ApiView):
    scopes: ClassVar = {"GET": "settings:read", "PATCH": "settings:write"}

    @operation("settings_get", "Get the settings", "The workspace's settings.", tag=TAG, response=SettingsOut)
    def get(self, request: Request) -> Response:
        self.known_query()
        return Response(SettingsOut(self.workspace).data)

    @operation(
        "settings_update",
        "Change the settings",
        "Holds at once: a dialer in the middle of a batch obeys from its next dial on.",
        tag=TAG,
        request=SettingsIn,
        response=SettingsOut,
    )
    def patch(self, request: Request) -> Response:
        changed = workspaces.update(self.workspace, self.body(SettingsIn), self.principal.actor)
        return Response(SettingsOut(changed).data)
