"""Workspaces, people and keys in the admin."""

import calendar
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.html import format_html

from tenex.adminsite import (
    Evidence,
    InlineBase,
    LabeledFormSet,
    Page,
    ServiceForm,
    looking,
    sees_all,
)
from tenex.lib import places, sealed, zones
from tenex.workspaces.models import (
    ApiKey,
    AuditEntry,
    DataKey,
    Invitation,
    KeyRotation,
    Membership,
    RecordingConsent,
    Role,
    User,
    Workspace,
)
from tenex.workspaces.principal import Principal
from tenex.workspaces.scopes import ALL, SCOPES
from tenex.workspaces.services import keys, workspaces

admin.site.unregister(Group)


def actor(request: HttpRequest) -> str:
    return f"user:{request.user}"


KEPT: Final = (
    "recording_retention_days", "transcript_retention_days", "journal_retention_days",
    "evidence_retention_days",
)  # fmt: skip
WORDS: Final[dict[str, str]] = {
    "time_zone": "In which pages show times, like America/New_York. Leads have their own.",
    "default_region": "Country that numbers without a country code are read in, by its ISO code: US, GB, DE.",
    "recording_consent": "Announce: callers hear that the call is recorded, before anything is stored. Ask "
    "for a yes: "
    "without one nothing is recorded. Do not record: no sound is kept; transcripts are.",
    "recording_retention_days": "Days after a call that its sound can be listened to. Then the files are "
    "deleted "
    "here and at the carrier.",
    "transcript_retention_days": "Days after a call that its words can be read: transcript, and what tools "
    "were "
    "asked and answered.",
    "journal_retention_days": "Days after a call that what happened in it, second by second, can be looked "
    "at.",
    "evidence_retention_days": "Days after a call that summary and quotes of its verdict are kept. Whether "
    "it "
    "qualified stays.",
    "calling_window_start": "At the clock of the person called.",
    "calling_window_end": "At the clock of the person called.",
    "default_purpose": "Marketing calls need a consent to marketing; informational ones to information. Of "
    "calls "
    "that name none.",
    "legal_name": "Who calls, as the opening says it. Workspaces of one legal name are one caller: what "
    "somebody asks "
    "of one holds in all.",
    "min_gap_between_calls_s": "Seconds between two calls to one number: 7200 are two hours.",
    "max_concurrent_calls": "Calls at a time, both ways.",
    "calls_per_second": "Calls that may begin in a second.",
    "transfer_number": "Of a person who takes calls that the agent hands over, in the form +14155550100.",
}


class MembershipFormSet(LabeledFormSet):
    """The database keeps the last owner (migration 0003); this says so before it does."""

    def clean(self) -> None:
        super().clean()
        had_owner = self.instance.pk and self.instance.memberships.filter(role=Role.OWNER).exists()
        kept = [
            form.cleaned_data for form in self.forms if form.cleaned_data and form not in self.deleted_forms
        ]
        if had_owner and not any(data["role"] == Role.OWNER for data in kept):
            raise ValidationError("A workspace keeps its last owner: make another member one first.")


class MembershipInline(InlineBase):
    model = Membership
    formset = MembershipFormSet
    extra = 0
    autocomplete_fields = ("user",)


class WorkspaceForm(ServiceForm):
    calling_days = forms.TypedMultipleChoiceField(
        coerce=int,
        choices=[(n + 1, name) for n, name in enumerate(calendar.day_name)],
        widget=forms.CheckboxSelectMultiple,
        initial=list(range(1, 8)),
    )
    recording_consent_places = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One a line: DE: explicit, or US-CA: off. Who may be in several places gets the strictest.",
    )
    calling_countries = forms.CharField(
        required=False, help_text="ISO codes, separated by commas. Empty: the country of the default region."
    )
    confirm_deletion = forms.BooleanField(
        required=False,
        label="Yes, delete that",
        help_text="Needed when a shorter time would delete something.",
    )

    class Meta:
        model = Workspace
        fields = (
            "name", "slug", "time_zone", "default_region", "recording_consent", "recording_consent_places",
            *KEPT, "calling_window_start", "calling_window_end", "calling_days", "calling_countries",
            "default_purpose", "legal_name", "max_calls_per_lead_a_day", "max_calls_per_lead_a_week",
            "max_calls_per_lead_in_all", "min_gap_between_calls_s", "max_concurrent_calls",
            "calls_per_second", "transfer_number",
        )  # fmt: skip
        help_texts = WORDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "calling_countries" in self.fields:
            self.initial["calling_countries"] = ", ".join(self.instance.calling_countries or [])
        if "recording_consent_places" in self.fields:
            modes = (self.instance.recording_consent_places or {}).items()
            self.initial["recording_consent_places"] = "\r\n".join(f"{code}: {mode}" for code, mode in modes)

    def clean_time_zone(self) -> str:
        name = str(self.cleaned_data["time_zone"])
        if zones.zone(name) is None:
            raise ValidationError("Not a time zone: write it like America/New_York.")
        return name

    def clean_default_region(self) -> str:
        code = str(self.cleaned_data["default_region"]).upper()
        if code not in places.countries():
            raise ValidationError("Not a country: its ISO code, like US.")
        return code

    def clean_recording_consent_places(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in str(self.cleaned_data["recording_consent_places"]).splitlines():
            if not line.strip():
                continue
            text, _, mode = (part.strip() for part in line.partition(":"))
            code = places.place_code(text)
            if code is None:
                raise ValidationError(f"Not a country, nor a state of one: {text[:40]}.")
            if mode not in RecordingConsent.values:
                raise ValidationError(f"{text[:40]}: announce, explicit or off.")
            found[code] = mode
        return dict(sorted(found.items()))

    def clean_calling_countries(self) -> list[str]:
        asked = [
            text.strip() for text in str(self.cleaned_data["calling_countries"]).split(",") if text.strip()
        ]
        codes = [places.country_code(text) for text in asked]
        if not all(codes):
            raise ValidationError("Not a country: ISO codes, like US, GB, separated by commas.")
        return sorted({code for code in codes if code})

    def changed_values(self) -> dict[str, Any]:
        return {name: value for name, value in super().changed_values().items() if name != "confirm_deletion"}

    def write(self, row: Workspace, changed: dict[str, Any]) -> Workspace:
        if row._state.adding:
            return workspaces.create(changed, self.actor)
        return workspaces.update(Workspace.objects.get(pk=row.pk), changed, self.actor)


@admin.register(Workspace)
class WorkspaceAdmin(Page):
    form = WorkspaceForm
    resource = "settings"
    workspace_path = "pk"
    list_display = ("name", "slug", "time_zone", "max_concurrent_calls", "calls_per_second", "dialing")
    search_fields = ("name", "slug")
    inlines = (MembershipInline,)
    actions = ("stop_dialing", "resume_dialing")
    readonly_fields = ("id", "created_at", "calling_paused_at", "calling_rules")
    fieldsets = (
        (None, {"fields": ("name", "slug", "time_zone", "default_region", "id", "created_at")}),
        (
            "Recording and retention",
            {
                "fields": (
                    "recording_consent",
                    "recording_consent_places",
                    "recording_retention_days",
                    "transcript_retention_days",
                    "journal_retention_days",
                    "evidence_retention_days",
                    "confirm_deletion",
                ),
                "description": "The announcement is spoken before anything is stored. What has been kept "
                "long "
                "enough is deleted for good, within the hour; figures and counts stay. A legal hold keeps "
                "what it "
                "is about.",
            },
        ),
        (
            "Outbound calls",
            {
                "fields": (
                    "calling_window_start",
                    "calling_window_end",
                    "calling_days",
                    "calling_rules",
                    "calling_countries",
                    "default_purpose",
                    "legal_name",
                    "max_calls_per_lead_a_day",
                    "max_calls_per_lead_a_week",
                    "max_calls_per_lead_in_all",
                    "min_gap_between_calls_s",
                    "max_concurrent_calls",
                    "calls_per_second",
                    "calling_paused_at",
                ),
                "description": "Times are those of the person called. The switch to stop all dialing is an "
                "action of the list. The rules are loosened through the API, with a reason.",
            },
        ),
        ("Transfers", {"fields": ("transfer_number",)}),
    )

    @admin.display(description="dialing", boolean=True)
    def dialing(self, workspace: Workspace) -> bool:
        return workspace.calling_paused_at is None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.readonly_fields, "slug") if obj else self.readonly_fields

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return {} if obj else {"slug": ("name",)}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return sees_all(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A workspace's calls and audit stay provable."""
        return False

    @admin.action(description="Stop all dialing now", permissions=["change"])
    def stop_dialing(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        for workspace in queryset:
            workspaces.update(workspace, {"calling_paused": True}, actor(request))
        messages.warning(request, f"{len(queryset)} workspaces dial nobody until dialing is resumed.")

    @admin.action(description="Resume dialing", permissions=["change"])
    def resume_dialing(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        for workspace in queryset:
            workspaces.update(workspace, {"calling_paused": False}, actor(request))
        messages.success(request, f"{len(queryset)} workspaces may dial again.")


@admin.register(User)
class UserAdmin(DjangoUserAdmin, Page):  # type: ignore[type-arg, misc]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "name", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("email", "password", "name")}),
        ("Access", {"fields": ("is_active", "is_superuser")}),
        ("Times", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "name", "password1", "password2")}),)


class KeyForm(ServiceForm):
    scopes = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        choices=[
            (ALL, "Everything, now and later"),
            *((name, f"{name}: {text}") for name, text in SCOPES.items()),
        ],
        help_text="Give it what its program needs and no more. Writing includes reading.",
    )

    class Meta:
        model = ApiKey
        fields = ("workspace", "name", "scopes", "expires_at")
        help_texts = {
            "name": "Who uses it, and for what.",
            "expires_at": "Empty: it holds until it is revoked.",
        }

    by: Principal | None = None
    """Who mints, where it is not a superuser: nobody hands out more than they have."""
    text = ""

    def write(self, row: ApiKey, changed: dict[str, Any]) -> ApiKey:
        asked = (changed["name"], changed["scopes"])
        if self.by is not None:
            made, self.text = keys.mint(self.by, *asked, changed["expires_at"])
        else:
            made, self.text = keys.create(row.workspace, *asked, self.actor, changed["expires_at"])
        return made


@admin.register(ApiKey)
class ApiKeyAdmin(Page):
    resource = "keys"
    form = KeyForm
    list_display = (
        "name",
        "masked",
        "workspace",
        "scopes",
        "last_used_at",
        "last_used_ip",
        "expires_at",
        "revoked_at",
    )
    list_filter = ("workspace",)
    search_fields = ("name", "prefix")
    list_select_related = ("workspace",)
    actions = ("revoke",)

    @admin.display(description="key", ordering="prefix")
    def masked(self, key: ApiKey) -> str:
        return f"tnx_{key.prefix}_…"

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.by = None if sees_all(request) else looking(request)
        return form

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        shown = format_html(
            "The key, shown this once: <code>{}</code> "
            '<button class="button small" type="button" data-copy="{}">Copy</button>',
            form.text,
            form.text,
        )
        messages.success(request, shown)

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> Any:
        """Back to the list: a key has no page that could be edited."""
        return redirect("admin:workspaces_apikey_changelist")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Keys are not changed, so the right to revoke them is asked for by itself."""
        return self.has_add_permission(request)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset.filter(revoked_at=None):
            keys.revoke(key, actor(request))
        messages.success(request, "Revoked; the next request with these keys fails.")


@admin.register(Invitation)
class InvitationAdmin(Evidence):
    resource = "users"
    list_display = ("email", "workspace", "role", "invited_by", "expires_at", "accepted_at", "revoked_at")
    list_filter = ("workspace", "role")
    search_fields = ("email",)
    list_select_related = ("workspace",)


@admin.register(AuditEntry)
class AuditAdmin(Evidence):
    resource = "settings"
    list_display = ("created_at", "workspace", "actor", "action", "object_type", "object_id")
    list_filter = ("action", "workspace")
    search_fields = ("actor", "object_id")
    date_hierarchy = "created_at"
    list_select_related = ("workspace",)


@admin.register(DataKey)
class DataKeyAdmin(Evidence):
    """Which key opens what; the keys themselves are sealed. `manage.py rotate_keys` changes them."""

    list_display = ("id", "workspace", "kind", "opened_by", "created_at", "wrapped_at", "retired_at")
    list_filter = ("kind", "workspace")
    list_select_related = ("workspace",)
    fields = list_display

    @admin.display(description="key encryption key")
    def opened_by(self, key: DataKey) -> str:
        return sealed.key_id_of(key.wrapped)


@admin.register(KeyRotation)
class KeyRotationAdmin(Evidence):
    list_display = ("created_at", "by", "finished_at", "counts")
    fields = list_display
