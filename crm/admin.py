"""Leads and calendars in the admin; knowledge has a module of its own."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from crm import knowledge_admin  # noqa: F401 - the admin looks for this module alone
from crm.models import (
    Calendar,
    CalendarAccount,
    Company,
    Consent,
    CustomField,
    FollowUp,
    Lead,
    LeadImport,
    LeadImportError,
    Meeting,
    MeetingMail,
    Segment,
    Suppression,
    TimelineEntry,
)
from crm.selectors import consents, segments
from crm.services import companies, connectors, leads
from crm.services.lead_fields import EDITABLE
from tenex.adminsite import Evidence, EvidenceInline, Page, ServiceForm, in_words
from tenex.errors import TenexError


class TimelineInline(EvidenceInline):
    model = TimelineEntry
    fields = ("created_at", "type", "summary", "call_id")
    readonly_fields = fields


class ConsentInline(EvidenceInline):
    model = Consent
    fields = ("purpose", "source", "given_at", "expires_at", "revoked_at", "recorded_by")
    readonly_fields = fields


class FollowUpInline(EvidenceInline):
    model = FollowUp
    fields = ("kind", "due_at", "note", "status")
    readonly_fields = fields


_OTHERWISE = {"owner_id", "company_id", "company_name"}
"""Of what may be written to a lead: rows, which the form has as such."""


class LeadForm(ServiceForm):
    class Meta:
        model = Lead
        fields = ("workspace", "owner", "company", *sorted({*EDITABLE} - _OTHERWISE))

    def write(self, row: Lead, changed: dict[str, Any]) -> Lead:
        if row._state.adding:
            return leads.create(row.workspace, actor=self.actor, **changed)
        return leads.update(row.workspace, row.pk, actor=self.actor, **changed)


@admin.register(Lead)
class LeadAdmin(Page):
    """Written by the services, as the API's: numbers in one form, opt-outs kept, changes announced."""

    form = LeadForm
    actions = ("archive", "unarchive")
    console = "/console/leads/"
    resource = "leads"
    list_display = (
        "name",
        "phone",
        "company",
        "stage",
        "qualification",
        "last_outcome",
        "last_call_at",
        "callable",
    )
    list_filter = ("stage", "qualification", "last_outcome", "workspace")
    search_fields = ("first_name", "last_name", "phone", "email", "company__name")
    date_hierarchy = "created_at"
    list_select_related = ("company",)
    autocomplete_fields = ("company",)
    readonly_fields = (
        "qualification", "last_call_at", "last_outcome", "opted_out_at", "archived_at", "created_at",
        "updated_at",
    )  # fmt: skip
    inlines = (TimelineInline, ConsentInline, FollowUpInline)
    fieldsets = (
        (None, {"fields": ("workspace", "first_name", "last_name", "title", "company", "owner")}),
        ("Contact", {"fields": ("phone", "email", "time_zone", "country", "region", "source")}),
        ("Standing", {"fields": ("stage", "qualification", "last_call_at", "last_outcome", "opted_out_at")}),
        ("More", {"fields": ("notes", "custom", "archived_at", "created_at", "updated_at")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.readonly_fields, "workspace") if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leads are archived: their calls and what they agreed to stay provable."""
        return False

    @admin.action(description="Archive", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Lead]) -> None:
        self._each(request, queryset, leads.archive, "archived")

    @admin.action(description="Bring back from the archive", permissions=["change"])
    def unarchive(self, request: HttpRequest, queryset: QuerySet[Lead]) -> None:
        self._each(request, queryset, leads.unarchive, "back")

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Lead], act: Callable[..., Lead], done: str
    ) -> None:
        for lead in queryset.select_related("workspace"):
            try:
                act(lead.workspace, lead.pk, actor=f"user:{request.user.get_username()}")
            except TenexError as exc:
                messages.error(request, f"{lead}: {exc.detail}.")
            else:
                messages.success(request, f"{lead}: {done}.")

    @admin.display(description="may be called", boolean=True)
    def callable(self, lead: Lead) -> bool:
        return bool(lead.phone) and lead.opted_out_at is None and lead.archived_at is None


class CompanyForm(ServiceForm):
    class Meta:
        model = Company
        fields = ("workspace", "name", "domain")

    def write(self, row: Company, changed: dict[str, Any]) -> Company:
        if row._state.adding:
            return companies.create(row.workspace, **changed)
        return companies.update(row.workspace, row.pk, **changed)


@admin.register(Company)
class CompanyAdmin(Page):
    form = CompanyForm
    resource = "leads"
    list_display = ("name", "domain", "workspace")
    list_filter = ("workspace",)
    search_fields = ("name", "domain")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("workspace",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is not None and super().has_delete_permission(request, obj) and not obj.leads.exists()

    def delete_model(self, request: HttpRequest, obj: Company) -> None:
        companies.delete(obj.workspace, obj.pk)


@admin.register(TimelineEntry)
class TimelineAdmin(Evidence):
    resource = "leads"
    list_display = ("created_at", "lead", "type", "summary", "call_id")
    list_filter = ("type", "workspace")
    search_fields = ("lead__phone", "lead__last_name", "call_id")
    date_hierarchy = "created_at"
    list_select_related = ("lead",)
    fields = ("created_at", "lead", "type", "summary", "call_id", "content")
    readonly_fields = ("content",)

    @admin.display(description="data")
    def content(self, entry: TimelineEntry) -> SafeString:
        return in_words(entry.data)


@admin.register(Consent)
class ConsentAdmin(Evidence):
    resource = "leads"
    list_display = ("created_at", "lead", "purpose", "source", "state", "given_at", "expires_at")
    list_filter = ("purpose", "workspace")
    search_fields = ("lead__phone", "lead__last_name", "source")
    date_hierarchy = "created_at"
    list_select_related = ("lead",)

    @admin.display(description="state")
    def state(self, consent: Consent) -> str:
        return consents.state(consent, timezone.now())


@admin.register(CustomField)
class CustomFieldAdmin(Evidence):
    """Only shown: type and choices are checked against leads' values and segments by the API."""

    resource = "leads"
    list_display = ("key", "label", "type", "choices", "workspace")
    list_filter = ("type", "workspace")
    search_fields = ("key", "label")


@admin.register(Segment)
class SegmentAdmin(Evidence):
    """Only shown: rules are checked by the API."""

    resource = "leads"
    list_display = ("name", "kind", "description", "workspace", "updated_at")
    list_filter = ("kind", "workspace")
    search_fields = ("name", "description")
    fields = ("workspace", "name", "description", "kind", "asks", "leads_now", "created_at", "updated_at")
    readonly_fields = ("asks", "leads_now")

    @admin.display(description="rules")
    def asks(self, segment: Segment) -> SafeString:
        return in_words(segment.rules)

    @admin.display(description="leads now")
    def leads_now(self, segment: Segment) -> int:
        return segments.leads_of(segment).count()


@admin.register(LeadImport)
class LeadImportAdmin(Evidence):
    resource = "leads"
    list_display = (
        "created_at",
        "file_name",
        "status",
        "rows_read",
        "created_count",
        "updated_count",
        "failed_count",
        "dry_run",
        "workspace",
    )
    list_filter = ("status", "dry_run", "workspace")
    search_fields = ("file_name", "actor")
    date_hierarchy = "created_at"
    exclude = ("lease",)
    readonly_fields = ("bad_rows",)

    @admin.display(description="first bad rows")
    def bad_rows(self, row: LeadImport) -> SafeString:
        first = LeadImportError.objects.filter(lead_import=row).order_by("line")[:50]
        return in_words([f"line {one.line}: {one.column} {one.code}: {one.reason}" for one in first])


@admin.register(Suppression)
class SuppressionAdmin(Evidence):
    resource = "leads"
    list_display = ("created_at", "phone_hint", "source", "reason", "workspace", "call_id")
    list_filter = ("source", "workspace")
    search_fields = ("phone_hint", "reason")
    date_hierarchy = "created_at"
    fields = ("created_at", "workspace", "phone_hint", "source", "reason", "call_id")


@admin.register(FollowUp)
class FollowUpAdmin(Page):
    resource = "leads"
    list_display = ("due_at", "kind", "lead", "note", "status")
    list_filter = ("status", "kind", "workspace")
    search_fields = ("lead__phone", "lead__last_name", "note")
    date_hierarchy = "due_at"
    list_select_related = ("lead",)
    autocomplete_fields = ("lead",)
    readonly_fields = ("call_id",)


class CalendarForm(ServiceForm):
    class Meta:
        model = Calendar
        fields = ("workspace", *connectors.RULES)

    def write(self, row: Calendar, changed: dict[str, Any]) -> Calendar:
        if row._state.adding:
            return connectors.create(row.workspace, changed, actor=self.actor)
        return connectors.update(row, changed, actor=self.actor)


@admin.register(Calendar)
class CalendarAdmin(Page):
    """Written by the service, as the console's. A calendar elsewhere is connected in the console."""

    form = CalendarForm
    resource = "connectors"
    console = "/console/connectors/"
    list_display = ("name", "workspace", "kind", "time_zone", "slot_minutes", "is_default", "archived_at")
    list_filter = ("kind", "workspace")
    search_fields = ("name",)
    readonly_fields = ("kind", "archived_at", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.readonly_fields, "workspace") if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The console takes them out of use: meetings stay in the leads' histories."""
        return False


@admin.register(CalendarAccount)
class CalendarAccountAdmin(Evidence):
    """How connections fare. What is sealed is not shown."""

    resource = "connectors"
    list_display = ("calendar", "workspace", "state", "last_success_at", "last_error_at", "last_error")
    list_filter = ("state", "workspace")
    list_select_related = ("calendar", "workspace")
    fields = (
        "calendar", "workspace", "url", "user_name", "address", "address_name", "state", "last_success_at",
        "latency_ms", "last_error_at", "last_error", "failures", "open_until",
    )  # fmt: skip
    readonly_fields = fields


class MeetingMailInline(EvidenceInline):
    model = MeetingMail
    fields = ("kind", "sequence", "status", "next_at", "tries", "sent_at", "reason")
    readonly_fields = fields


@admin.register(Meeting)
class MeetingAdmin(Evidence):
    resource = "connectors"
    list_display = ("starts_at", "ends_at", "lead", "calendar", "status", "failure", "sync_at", "call_id")
    list_filter = ("status", "calendar")
    search_fields = ("lead__phone", "lead__last_name", "uid")
    date_hierarchy = "starts_at"
    list_select_related = ("lead", "calendar")
    readonly_fields = (
        "moves_to_starts_at", "moves_to_ends_at", "href", "forgotten", "sync_at", "sync_since", "sync_tries",
        "lease_until", "fence", "created_at",
    )  # fmt: skip
    inlines = (MeetingMailInline,)
