"""Agents, voices and numbers in the admin: what a workspace sets up before anybody is on the phone."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from tenex.adminsite import Evidence, EvidenceInline, Page
from tenex.errors import TenexError
from voice.admin_forms import AgentForm, NumberForm, ProfileForm, has_draft
from voice.models import Agent, AgentVersion, PhoneNumber, VoiceProfile
from voice.selectors.agents import routing_of
from voice.services import agents, numbers, profiles, rehearsals, voice_samples


@admin.register(VoiceProfile)
class VoiceProfileAdmin(Page):
    """Every setting in words; the next call has what is saved, calls under way keep what they began with."""

    form = ProfileForm
    resource = "agents"
    list_display = ("name", "workspace", "voice", "model", "language", "speed", "turn_detection")
    list_filter = ("workspace", "turn_detection")
    search_fields = ("name",)
    change_form_template = "admin/voice_profile.html"
    fieldsets = (
        (None, {"fields": ("workspace", "name", "voice", "speed", "language", "greeting", "speaks_first")}),
        (
            "Taking turns",
            {
                "fields": (
                    "turn_detection",
                    "silence_duration_ms",
                    "vad_threshold",
                    "prefix_padding_ms",
                    "idle_timeout_ms",
                    "eagerness",
                    "noise_reduction",
                    "noise_reduction_strength",
                ),
            },
        ),
        ("Silence and length", {"fields": ("silence_reprompt_s", "silence_reprompts", "max_duration_s")}),
        (
            "What is understood and thought",
            {
                "fields": (
                    "keywords",
                    "transcription_model",
                    "transcription_prompt",
                    "model",
                    "reasoning_effort",
                    "max_output_tokens",
                    "retention_ratio",
                )
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("workspace",) if obj else ()

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        seen = obj.workspace_id if (obj := kwargs.get("obj")) else None
        context["own_voice"] = seen is not None and voice_samples.is_own_voice(seen)
        return super().render_change_form(request, context, *args, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is not None and super().has_delete_permission(request, obj) and not obj.agents.exists()

    def delete_model(self, request: HttpRequest, obj: VoiceProfile) -> None:
        profiles.delete(obj, f"user:{request.user.get_username()}")


class VersionInline(EvidenceInline):
    model = AgentVersion
    fields = ("number", "created_at", "created_by", "note", "objective", "tools")
    readonly_fields = fields
    show_change_link = True


@admin.register(Agent)
class AgentAdmin(Page):
    console = "/console/agents/"
    resource = "agents"
    form = AgentForm
    list_display = ("name", "workspace", "profile", "calendar", "version")
    list_filter = ("workspace",)
    search_fields = ("name", "slug")
    list_select_related = ("workspace", "profile", "calendar", "current_version")
    inlines = (VersionInline,)
    readonly_fields = ("archived_at",)
    fieldsets = (
        (None, {"fields": ("workspace", "name", "slug", "profile", "calendar", "is_default", "archived_at")}),
        (
            "What it says and does",
            {
                "fields": ("system_prompt", "objective", "criteria", "tools", "note"),
                "description": "Saving publishes at once, as a new version; calls under way keep theirs. To "
                "work on "
                "a draft, see a preview and compare versions, open it in the console.",
            },
        ),
    )
    actions = ("archive",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.readonly_fields, "workspace") if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Agents are archived: their calls name the version that they ran."""
        return False

    @admin.display(description="version", ordering="current_version__number")
    def version(self, agent: Agent) -> str:
        return f"v{agent.current_version.number}" if agent.current_version else "none"

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and has_draft(obj):
            messages.warning(request, "There is a draft of this agent in the console; it stays as it is.")

    @admin.action(description="Archive", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        for agent in queryset:
            try:
                agents.archive(agent, f"user:{request.user.get_username()}")
            except TenexError as exc:
                messages.error(request, f"{agent}: {exc.detail}.")
            else:
                messages.success(request, f"{agent}: archived.")


@admin.register(AgentVersion)
class AgentVersionAdmin(Evidence):
    resource = "agents"
    workspace_path = "agent__workspace"
    list_display = ("agent", "number", "created_at", "created_by", "note")
    list_filter = ("agent",)
    search_fields = ("agent__name", "note", "system_prompt")
    list_select_related = ("agent",)


@admin.register(PhoneNumber)
class PhoneNumberAdmin(Page):
    resource = "numbers"
    list_display = ("e164", "label", "workspace", "agent", "status", "source", "problem_code")
    list_filter = ("workspace", "status", "source", "agent")
    search_fields = ("e164", "label", "provider_sid")
    list_select_related = ("workspace", "agent")
    form = NumberForm
    readonly_fields = ("routing", "status", "source", "problem_code", "problem_detail")
    fieldsets = (
        (None, {"fields": ("workspace", "e164", "label")}),
        ("Who answers", {"fields": ("agent", "fallback_number", "calendar", "routing")}),
        (
            "At the carrier",
            {"fields": ("provider_sid", "status", "source", "problem_code", "problem_detail")},
        ),
    )
    actions = ("release", "rehearse")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.readonly_fields, "workspace", "e164", "provider_sid") if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Numbers are given up: their calls stay."""
        return False

    @admin.display(description="in words")
    def routing(self, number: PhoneNumber) -> SafeString:
        return format_html_join("", "<p>{}</p>", ((line,) for line in routing_of(number)))

    def has_rehearsal_permission(self, request: HttpRequest) -> bool:
        """Only where a carrier that is not there would ring."""
        return rehearsals.possible() and self.has_change_permission(request)

    @admin.action(description="Place a rehearsal call to it", permissions=["rehearsal"])
    def rehearse(self, request: HttpRequest, queryset: QuerySet[PhoneNumber]) -> None:
        for number in queryset.select_related("workspace"):
            try:
                rehearsals.ring(number.workspace, number, f"user:{request.user.get_username()}")
            except TenexError as exc:
                messages.error(request, f"{number}: {exc.detail}.")
            else:
                messages.success(request, f"{number}: it rings. Watch it in the console, under Live.")

    @admin.action(description="Give up (it stays in the Twilio account)", permissions=["change"])
    def release(self, request: HttpRequest, queryset: QuerySet[PhoneNumber]) -> None:
        for number in queryset:
            try:
                numbers.release(number, at_carrier=False, actor=f"user:{request.user.get_username()}")
            except TenexError as exc:
                messages.error(request, f"{number}: {exc.detail}.")
            else:
                messages.success(request, f"{number}: given up.")
