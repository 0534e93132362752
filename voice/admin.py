"""Calls and batches in the admin.

What the state machine owns is shown and not edited: calls, attempts, verdicts and evidence are read-only.
"""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tenex.adminsite import Evidence, EvidenceInline, in_words
from tenex.errors import TenexError
from voice.credential_admin import CredentialAdmin
from voice.dialing_admin import CallingSwitchAdmin, CarrierAccountAdmin, MediaProcessAdmin
from voice.evidence_admin import CallShareAdmin, RecordingAdmin, VerdictCorrectionAdmin
from voice.models import (
    Batch,
    BatchUpload,
    BatchVersion,
    Call,
    CallEvent,
    Decision,
    DialAttempt,
    MetricsDue,
    MetricsHour,
    Recipient,
    Recording,
    ToolCall,
    Turn,
    Verdict,
    VoiceSession,
)
from voice.retention_admin import ErasureAdmin, LegalHoldAdmin, PurgeReceiptAdmin
from voice.services import batches, costs
from voice.setup_admin import AgentAdmin, AgentVersionAdmin, PhoneNumberAdmin, VoiceProfileAdmin

__all__ = [
    "AgentAdmin",
    "AgentVersionAdmin",
    "CallShareAdmin",
    "CallingSwitchAdmin",
    "CarrierAccountAdmin",
    "CredentialAdmin",
    "ErasureAdmin",
    "LegalHoldAdmin",
    "MediaProcessAdmin",
    "PhoneNumberAdmin",
    "PurgeReceiptAdmin",
    "RecordingAdmin",
    "VerdictCorrectionAdmin",
    "VoiceProfileAdmin",
]


class TurnInline(EvidenceInline):
    model = Turn
    fields = ("start_ms", "speaker", "said", "interrupted", "status")
    readonly_fields = fields
    verbose_name_plural = "transcript"

    @admin.display(description="said")
    def said(self, turn: Turn) -> SafeString:
        if turn.interrupted and turn.text.startswith(turn.heard_text):
            return format_html("{} <s>{}</s>", turn.heard_text, turn.text[len(turn.heard_text) :])
        return format_html("{}", turn.text)


class ToolCallInline(EvidenceInline):
    model = ToolCall
    fields = ("at_ms", "name", "arguments", "output", "status", "duration_ms")
    readonly_fields = fields


class SessionInline(EvidenceInline):
    model = VoiceSession
    fields = ("number", "model", "status", "opened_at", "closed_at", "close_reason", "usage")
    readonly_fields = fields


class AttemptInline(EvidenceInline):
    model = DialAttempt
    fields = ("number", "state", "posted_at", "resolved_at", "http_status", "error_code", "provider_sid")
    readonly_fields = fields


class RecordingInline(EvidenceInline):
    model = Recording
    fields = ("provider_sid", "status", "duration_ms", "channels", "size_bytes", "sha256", "purge_after")
    readonly_fields = fields


class JournalInline(EvidenceInline):
    model = CallEvent
    fields = ("seq", "at_ms", "type", "data")
    readonly_fields = fields
    verbose_name_plural = "journal"


@admin.register(Call)
class CallAdmin(Evidence):
    console = "/console/calls/"
    resource = "calls"
    list_display = (
        "created_at",
        "direction",
        "other_party",
        "lead",
        "status",
        "outcome",
        "end_reason",
        "seconds",
    )
    list_filter = ("status", "outcome", "direction", "end_reason", "workspace")
    search_fields = ("id", "provider_sid", "from_number", "to_number", "lead__last_name", "lead__first_name")
    date_hierarchy = "created_at"
    list_select_related = ("lead",)
    inlines = (TurnInline, ToolCallInline, SessionInline, AttemptInline, RecordingInline, JournalInline)

    @admin.display(description="other party")
    def other_party(self, call: Call) -> str:
        return call.remote_number

    @admin.display(description="seconds", ordering="duration_ms")
    def seconds(self, call: Call) -> str:
        return "" if call.duration_ms is None else f"{call.duration_ms / 1000:.0f}"


@admin.register(Verdict)
class VerdictAdmin(Evidence):
    resource = "calls"
    list_display = ("created_at", "call", "qualification", "confidence", "summary", "needs_review", "model")
    list_filter = ("qualification", "needs_review", "workspace")
    search_fields = ("call__id", "summary")
    date_hierarchy = "created_at"
    list_select_related = ("call",)
    fields = (
        "call",
        "qualification",
        "confidence",
        "summary",
        "undetermined_because",
        "needs_review",
        "model",
        "evidence",
    )
    readonly_fields = ("evidence",)

    @admin.display(description="criteria, meeting, follow-up")
    def evidence(self, verdict: Verdict) -> SafeString:
        return in_words(
            {
                "reasons": verdict.reasons,
                "criteria": verdict.criteria,
                "meeting": verdict.meeting,
                "follow_up": verdict.follow_up,
            }
        )


@admin.register(Recipient)
class RecipientAdmin(Evidence):
    """Of a batch of any size: a page of its own, reached from the batch."""

    resource = "batches"
    list_display = (
        "position",
        "batch",
        "lead",
        "status",
        "calls_made",
        "next_at",
        "outcome",
        "refusal_code",
        "is_callback",
    )
    list_filter = ("status", "outcome", "refusal_code", "workspace")
    search_fields = ("batch__id", "lead__first_name", "lead__last_name", "lead__phone")
    list_select_related = ("batch", "lead")
    ordering = ("batch", "position")

    @admin.display(description="callback", boolean=True)
    def is_callback(self, row: Recipient) -> bool:
        return row.callback_of_id is not None


class SplitInline(EvidenceInline):
    model = BatchVersion
    fields = ("agent_version", "weight")
    readonly_fields = fields


class UploadInline(EvidenceInline):
    model = BatchUpload
    fields = ("created_at", "lead_import", "taken_count", "refused_count", "duplicate_count", "done_at")
    readonly_fields = fields


@admin.register(Batch)
class BatchAdmin(Evidence):
    """Rows are evidence; what may be done with a batch are actions, which go through the services."""

    console = "/console/batches/"
    resource = "batches"
    list_display = (
        "created_at",
        "name",
        "status",
        "pause_code",
        "agent",
        "number",
        "spent",
        "priority",
        "starts_at",
        "completed_at",
    )
    list_filter = ("status", "pause_code", "is_standing", "workspace", "agent")
    search_fields = ("name", "objective", "client_reference")
    date_hierarchy = "created_at"
    list_select_related = ("agent", "number")
    inlines = (SplitInline, UploadInline)
    readonly_fields = ("progress", "recipients_page")
    actions = ("start", "pause", "resume", "cancel")

    @admin.display(description="spent, cents", ordering="spent_microusd")
    def spent(self, batch: Batch) -> str:
        return str(costs.minor(batch.spent_microusd))

    @admin.display(description="progress")
    def progress(self, batch: Batch) -> SafeString:
        found = batches.facts(batch)
        return in_words({name: found[name] for name in ("total", "recipients", "outcomes")})

    @admin.display(description="recipients")
    def recipients_page(self, batch: Batch) -> SafeString:
        page = reverse("admin:voice_recipient_changelist")
        return format_html('<a href="{}?q={}">All of them</a>', page, batch.pk)

    def has_control_permission(self, request: HttpRequest) -> bool:
        """The page only shows, so the right to change batches is asked for by itself."""
        return self.may_write(request)

    @admin.action(description="Start", permissions=["control"])
    def start(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        self._each(request, queryset, batches.start, "started")

    @admin.action(description="Pause: nobody else is dialed", permissions=["control"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        self._each(request, queryset, batches.pause, "paused")

    @admin.action(description="Resume", permissions=["control"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        self._each(request, queryset, batches.resume, "resumed")

    @admin.action(description="Cancel for good", permissions=["control"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        self._each(request, queryset, batches.cancel, "canceled")

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Batch], act: Callable[..., Batch], done: str
    ) -> None:
        for batch in queryset:
            try:
                act(batch, actor=f"user:{request.user.get_username()}")
            except TenexError as exc:
                messages.error(request, f"{batch}: {exc.detail}")
            else:
                messages.success(request, f"{batch}: {done}.")


@admin.register(Decision)
class DecisionAdmin(Evidence):
    """Why somebody was called, or was not."""

    resource = "leads"
    list_display = ("created_at", "stage", "lead", "allowed", "code", "detail", "until", "batch")
    list_filter = ("stage", "allowed", "code", "workspace")
    search_fields = ("lead__phone", "lead__last_name", "batch__id", "call__id")
    date_hierarchy = "created_at"
    list_select_related = ("lead", "batch")
    fields = (
        "at",
        "workspace",
        "lead",
        "batch",
        "recipient",
        "call",
        "stage",
        "allowed",
        "code",
        "detail",
        "until",
        "made_of",
    )
    readonly_fields = ("made_of",)

    @admin.display(description="made of")
    def made_of(self, decision: Decision) -> SafeString:
        return in_words(decision.inputs)


@admin.register(MetricsHour)
class MetricsHourAdmin(Evidence):
    """What was summed up, for whoever doubts a figure: it is replaced when a call of the hour changes."""

    resource = "calls"
    list_display = (
        "hour",
        "workspace",
        "direction",
        "is_total",
        "calls",
        "dialed",
        "connected",
        "qualified",
        "meetings_booked",
    )
    list_filter = ("is_total", "direction", "workspace")
    search_fields = ("agent_id", "number_id", "batch_id")
    date_hierarchy = "hour"
    list_select_related = ("workspace",)


@admin.register(MetricsDue)
class MetricsDueAdmin(Evidence):
    """Hours that wait for the task; the present one is always among them while there are calls."""

    list_display = ("hour", "workspace_id", "id")
    ordering = ("-hour", "-id")
