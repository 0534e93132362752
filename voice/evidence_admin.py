"""Admin pages of what a call left behind: recordings, corrections of verdicts, links that show a call."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from tenex.adminsite import Evidence, in_words
from tenex.errors import TenexError
from voice.models import CallShare, Recording, RecordingProblem, VerdictCorrection
from voice.services import recording_files, shares


def _actor(request: HttpRequest) -> str:
    return f"user:{request.user.get_username()}"


@admin.register(Recording)
class RecordingAdmin(Evidence):
    """How each recording lies, and what is wrong with it."""

    resource = "recordings"
    list_display = (
        "created_at",
        "call",
        "status",
        "what_is_wrong",
        "at_rest",
        "duration_ms",
        "verified_at",
        "carrier_deleted_at",
    )
    list_filter = ("status", "problem", "at_rest", "workspace")
    search_fields = ("provider_sid", "call__id")
    date_hierarchy = "created_at"
    list_select_related = ("call",)
    exclude = ("source_url", "leftovers")
    actions = ("again", "accept")

    @admin.display(description="problem", ordering="problem")
    def what_is_wrong(self, row: Recording) -> str:
        return RecordingProblem(row.problem).label if row.problem else ""

    def has_act_permission(self, request: HttpRequest) -> bool:
        """The page only shows, so the right is asked for by itself."""
        return self.may_write(request)

    @admin.action(description="Fetch from the carrier once more", permissions=["act"])
    def again(self, request: HttpRequest, queryset: QuerySet[Recording]) -> None:
        self._each(request, queryset, recording_files.try_again)

    @admin.action(description="Keep as it is", permissions=["act"])
    def accept(self, request: HttpRequest, queryset: QuerySet[Recording]) -> None:
        self._each(request, queryset, recording_files.accept)

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Recording], act: Callable[[Recording, str], None]
    ) -> None:
        done = 0
        for row in queryset:
            try:
                act(row, _actor(request))
                done += 1
            except TenexError as exc:
                messages.error(request, f"{row.provider_sid}: {exc.detail}")
        if done:
            messages.success(request, f"{done} done.")


@admin.register(VerdictCorrection)
class VerdictCorrectionAdmin(Evidence):
    """What people said against verdicts. Never changed."""

    resource = "calls"
    list_display = ("created_at", "workspace", "call", "number", "actor", "reason")
    list_filter = ("workspace",)
    search_fields = ("call__id", "actor")
    date_hierarchy = "created_at"
    list_select_related = ("call", "workspace")
    fields = ("created_at", "workspace", "call", "number", "actor", "reason", "was", "is_now")
    readonly_fields = ("was", "is_now")

    @admin.display(description="before")
    def was(self, row: VerdictCorrection) -> SafeString:
        return in_words(row.before)

    @admin.display(description="after")
    def is_now(self, row: VerdictCorrection) -> SafeString:
        return in_words(row.after)


@admin.register(CallShare)
class CallShareAdmin(Evidence):
    """Links that show a call to outsiders. The token is nowhere; a link can be revoked."""

    resource = "calls"
    list_display = (
        "created_at",
        "workspace",
        "call",
        "with_audio",
        "created_by",
        "expires_at",
        "revoked_at",
        "opened",
    )
    list_filter = ("with_audio", "workspace", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("call__id", "created_by")
    date_hierarchy = "created_at"
    list_select_related = ("call", "workspace")
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """The page only shows, so the right is asked for by itself."""
        return self.may_write(request)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[CallShare]) -> None:
        count = sum(shares.revoke(row, _actor(request)) for row in queryset)
        messages.success(request, f"{count} revoked: whoever opens them is told so.")
