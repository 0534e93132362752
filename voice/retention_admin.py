"""Admin pages of retention: holds are made and released here, receipts are looked at."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from tenex.adminsite import Evidence, FormBase, Page
from tenex.errors import TenexError
from voice.models import LegalHold, PurgeReceipt
from voice.services import holds


class HoldForm(FormBase):
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
