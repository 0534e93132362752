"""The admin of dialing as a whole: the instance's kill switch, and who can carry calls."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest

from tenex.adminsite import Evidence, EvidenceInline, Page
from voice.models import CallingSwitch, CarrierAccount, CarrierSlot, MediaProcess
from voice.services import switches


@admin.register(CallingSwitch)
class CallingSwitchAdmin(Page):
    """One row; two actions. Who may change it stops and starts the whole instance."""

    list_display = ("calling", "stopped_at", "stopped_by", "reason")
    readonly_fields = ("stopped_at", "stopped_by")
    fields = ("stopped_at", "stopped_by", "reason")
    actions = ("stop_all", "start_all")

    def get_queryset(self, request: HttpRequest) -> Any:
        CallingSwitch.objects.get_or_create(pk=1)
        return super().get_queryset(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description="calling", boolean=True)
    def calling(self, switch: CallingSwitch) -> bool:
        return switch.stopped_at is None

    @admin.action(description="Stop all dialing of the instance now", permissions=["change"])
    def stop_all(self, request: HttpRequest, queryset: Any) -> None:
        switches.stop(actor=f"user:{request.user}", reason="admin")
        messages.warning(request, "Nobody is dialed, in any workspace, until dialing is resumed.")

    @admin.action(description="Resume dialing", permissions=["change"])
    def start_all(self, request: HttpRequest, queryset: Any) -> None:
        switches.start(actor=f"user:{request.user}")
        messages.success(request, "Dialing goes on.")


@admin.register(MediaProcess)
class MediaProcessAdmin(Evidence):
    list_display = ("name", "capacity", "live_calls", "draining", "started_at", "alive_until")


class SlotInline(EvidenceInline):
    model = CarrierSlot
    fields = ("index", "free_at_s", "attempt_id")
    readonly_fields = fields


@admin.register(CarrierAccount)
class CarrierAccountAdmin(Evidence):
    """Whose turn it is is read here, and written by the dialer alone."""

    list_display = ("sid", "strikes", "hold_until_s", "next_at_s", "virtual")
    inlines = (SlotInline,)
