"""Admin pages of retention: what a setting would delete is seen before it is saved, holds are made and
released here, receipts are looked at."""

import uuid
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.utils import timezone

from tenex.adminsite import Evidence, FormBase, Page
from tenex.errors import InvalidInput, TenexError
from tenex.workspaces.admin import WorkspaceAdmin, WorkspaceForm
from tenex.workspaces.models import Workspace
from voice.models import Erasure, LegalHold, PurgeReceipt
from voice.selectors import retention as read
from voice.selectors.retention import Outlook
from voice.services import holds, retention

_CLASSES: Final = {field: kept for kept, field in retention.SETTINGS.items()}


def outlook(workspace: Workspace, asked: dict[str, int]) -> list[Outlook]:
    """Of each class: what is due now, and what would be with the days of `asked` (by field)."""
    days = {_CLASSES[field]: count for field, count in asked.items()}
    return read.outlook(workspace, timezone.now(), days=days)


class SettingsForm(WorkspaceForm):
    def clean(self) -> dict[str, Any]:
        """A time that would delete something is asked for twice."""
        given: dict[str, Any] = super().clean() or {}
        asked = {field: given[field] for field in _CLASSES if field in self.changed_data and field in given}
        if self.instance._state.adding or not asked or given.get("confirm_deletion"):
            return given
        saved = Workspace.objects.get(pk=self.instance.pk)
        lost = [
            f"{row.label} of {row.then['calls']} call{'s' if row.then['calls'] != 1 else ''}"
            for row in outlook(saved, asked)
            if row.more
        ]
        if lost:
            self.add_error("confirm_deletion", f"Within the hour this would delete: {'; '.join(lost)}.")
        return given


admin.site.unregister(Workspace)


@admin.register(Workspace)
class SettingsAdmin(WorkspaceAdmin):
    """A workspace's settings, with a look at what a retention would delete."""

    form = SettingsForm
    change_form_template = "admin/workspace.html"

    def get_urls(self) -> list[Any]:
        own = path(
            "<uuid:workspace_id>/retention/",
            self.admin_site.admin_view(self.retention),
            name="workspace_retention",
        )
        return [own, *super().get_urls()]

    def retention(self, request: HttpRequest, workspace_id: uuid.UUID) -> HttpResponse:
        """Part of the page: what the days that stand in the form would delete."""
        workspace = get_object_or_404(self.get_queryset(request), pk=workspace_id)
        asked = {
            field: int(raw)
            for field in _CLASSES
            if (raw := request.GET.get(field, "")).isascii()
            and raw.isdigit()
            and len(raw) < 7
            and int(raw) > 0
        }
        return render(request, "admin/retention_outlook.html", {"rows": outlook(workspace, asked)})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        workspace = self.get_object(request, object_id)
        shown = {"rows": outlook(workspace, {})} if workspace else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})


class HoldForm(FormBase):
    def clean_reason(self) -> str:
        try:
            return holds.worded(self.cleaned_data["reason"])
        except InvalidInput as exc:
            raise ValidationError(exc.detail) from exc

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        for name in ("call", "lead"):
            thing = given.get(name)
            if thing is not None and thing.workspace_id != getattr(given.get("workspace"), "pk", None):
                raise ValidationError({name: f"There is no such {name} in this workspace."})
        return given


@admin.register(LegalHold)
class LegalHoldAdmin(Page):
    """Adding is holding. A hold is released by its action and never changed: it is evidence itself."""

    resource = "settings"
    list_display = ("created_at", "workspace", "call", "lead", "reason", "held_by", "released_at")
    list_filter = ("workspace", ("released_at", admin.EmptyFieldListFilter))
    form = HoldForm
    fields = ("workspace", "call", "lead", "reason")
    raw_id_fields = ("call", "lead")
    list_select_related = ("workspace", "call", "lead")
    actions = ("release",)

    def has_change_permission(self, request: HttpRequest, obj: LegalHold | None = None) -> bool:
        return False

    def has_hold_permission(self, request: HttpRequest) -> bool:
        """Holds are not changed, so the right to release them is asked for by itself."""
        return self.has_add_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: LegalHold | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: LegalHold, form: Any, change: bool) -> None:
        made = holds.hold(
            obj.workspace,
            reason=obj.reason,
            actor=f"user:{request.user}",
            call_id=obj.call_id,
            lead_id=obj.lead_id,
        )
        obj.pk = made.pk

    @admin.action(description="Release: retention goes on", permissions=["hold"])
    def release(self, request: HttpRequest, rows: "QuerySet[LegalHold]") -> None:
        for made in rows:
            try:
                holds.release(made, actor=f"user:{request.user}")
            except TenexError as exc:
                self.message_user(request, f"{made}: {exc.detail}", messages.WARNING)


@admin.register(PurgeReceipt)
class PurgeReceiptAdmin(Evidence):
    resource = "settings"
    list_display = ("number", "workspace", "kept_class", "counts", "older_than", "created_at")
    list_filter = ("workspace", "kept_class")
    list_select_related = ("workspace",)


@admin.register(Erasure)
class ErasureAdmin(Evidence):
    resource = "settings"
    list_display = ("created_at", "workspace", "asked_by", "waits_for", "finished_at", "counts")
    list_filter = ("workspace", ("finished_at", admin.EmptyFieldListFilter))
    list_select_related = ("workspace",)
    fields = ("workspace", "created_at", "asked_by", "waits_for", "finished_at", "counts", "receipt")
