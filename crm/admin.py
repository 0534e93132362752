"""Leads, knowledge and calendars in the admin."""

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString

from crm.models import (
    Calendar,
    Chunk,
    Company,
    Consent,
    CustomField,
    Document,
    FollowUp,
    Lead,
    LeadImport,
    LeadImportError,
    Meeting,
    Segment,
    Suppression,
    TimelineEntry,
)
from crm.selectors import consents, segments
from tenex.adminsite import Evidence, EvidenceInline, Page, in_words


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


@admin.register(Lead)
class LeadAdmin(Page):
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
    readonly_fields = ("last_call_at", "last_outcome", "opted_out_at", "created_at", "updated_at")
    inlines = (TimelineInline, ConsentInline, FollowUpInline)
    fieldsets = (
        (None, {"fields": ("workspace", "first_name", "last_name", "title", "company", "owner")}),
        ("Contact", {"fields": ("phone", "email", "time_zone", "country", "region", "source")}),
        ("Standing", {"fields": ("stage", "qualification", "last_call_at", "last_outcome", "opted_out_at")}),
        ("More", {"fields": ("notes", "custom", "archived_at", "created_at", "updated_at")}),
    )

    @admin.display(description="may be called", boolean=True)
    def callable(self, lead: Lead) -> bool:
        return bool(lead.phone) and lead.opted_out_at is None and lead.archived_at is None


@admin.register(Company)
class CompanyAdmin(Page):
    resource = "leads"
    list_display = ("name", "domain", "workspace")
    list_filter = ("workspace",)
    search_fields = ("name", "domain")


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


class ChunkInline(EvidenceInline):
    model = Chunk
    fields = ("position", "heading", "text")
    readonly_fields = fields


@admin.register(Document)
class DocumentAdmin(Page):
    resource = "agents"
    list_display = ("title", "workspace", "status", "error", "created_at")
    list_filter = ("status", "workspace")
    search_fields = ("title", "body")
    readonly_fields = ("status", "error", "created_at")
    inlines = (ChunkInline,)


@admin.register(Calendar)
class CalendarAdmin(Page):
    resource = "agents"
    list_display = ("name", "workspace", "time_zone", "slot_minutes", "is_default")
    list_filter = ("workspace",)
    search_fields = ("name",)


@admin.register(Meeting)
class MeetingAdmin(Evidence):
    resource = "leads"
    list_display = ("starts_at", "ends_at", "lead", "calendar", "status", "call_id")
    list_filter = ("status", "calendar")
    search_fields = ("lead__phone", "lead__last_name", "uid")
    date_hierarchy = "starts_at"
    list_select_related = ("lead", "calendar")
