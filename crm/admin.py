"""Leads, knowledge and calendars in the admin."""

from django.contrib import admin
from django.utils.safestring import SafeString

from crm.models import Calendar, Chunk, Company, Document, FollowUp, Lead, Meeting, Suppression, TimelineEntry
from tenex.adminsite import Evidence, EvidenceInline, Page, in_words


class TimelineInline(EvidenceInline):
    model = TimelineEntry
    fields = ("created_at", "type", "summary", "call_id")
    readonly_fields = fields


class FollowUpInline(EvidenceInline):
    model = FollowUp
    fields = ("kind", "due_at", "note", "status")
    readonly_fields = fields


@admin.register(Lead)
class LeadAdmin(Page):
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
    autocomplete_fields = ("company", "owner")
    readonly_fields = ("last_call_at", "last_outcome", "opted_out_at", "created_at", "updated_at")
    inlines = (TimelineInline, FollowUpInline)
    fieldsets = (
        (None, {"fields": ("workspace", "first_name", "last_name", "title", "company", "owner")}),
        ("Contact", {"fields": ("phone", "email", "time_zone", "source")}),
        ("Standing", {"fields": ("stage", "qualification", "last_call_at", "last_outcome", "opted_out_at")}),
        ("More", {"fields": ("notes", "custom", "archived_at", "created_at", "updated_at")}),
    )

    @admin.display(description="may be called", boolean=True)
    def callable(self, lead: Lead) -> bool:
        return bool(lead.phone) and lead.opted_out_at is None and lead.archived_at is None


@admin.register(Company)
class CompanyAdmin(Page):
    list_display = ("name", "domain", "workspace")
    list_filter = ("workspace",)
    search_fields = ("name", "domain")


@admin.register(TimelineEntry)
class TimelineAdmin(Evidence):
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


@admin.register(Suppression)
class SuppressionAdmin(Evidence):
    list_display = ("created_at", "phone_hint", "source", "reason", "workspace", "call_id")
    list_filter = ("source", "workspace")
    search_fields = ("phone_hint", "reason")
    date_hierarchy = "created_at"
    fields = ("created_at", "workspace", "phone_hint", "source", "reason", "call_id")


@admin.register(FollowUp)
class FollowUpAdmin(Page):
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
    list_display = ("title", "workspace", "status", "error", "created_at")
    list_filter = ("status", "workspace")
    search_fields = ("title", "body")
    readonly_fields = ("status", "error", "created_at")
    inlines = (ChunkInline,)


@admin.register(Calendar)
class CalendarAdmin(Page):
    list_display = ("name", "workspace", "time_zone", "slot_minutes", "is_default")
    list_filter = ("workspace",)
    search_fields = ("name",)


@admin.register(Meeting)
class MeetingAdmin(Evidence):
    list_display = ("starts_at", "ends_at", "lead", "calendar", "status", "call_id")
    list_filter = ("status", "calendar")
    search_fields = ("lead__phone", "lead__last_name", "uid")
    date_hierarchy = "starts_at"
    list_select_related = ("lead", "calendar")
