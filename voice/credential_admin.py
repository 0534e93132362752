"""What workspaces have entrusted to us, in the admin: that it is there and works. The console sets it."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from tenex.adminsite import Evidence
from tenex.errors import TenexError
from voice.models import Credential, CredentialState
from voice.services import credentials


@admin.register(Credential)
class CredentialAdmin(Evidence):
    resource = "credentials"
    list_display = ("kind", "workspace", "account", "state", "set_at", "set_by", "last_used_at", "checked_at")
    list_filter = ("kind", "state", "workspace")
    search_fields = ("account", "set_by")
    list_select_related = ("workspace",)
    fields = (
        "workspace", "kind", "account", "project", "api_key_sid", "parts", "set_at", "set_by",
        "last_used_at", "state", "state_detail", "checked_at",
    )  # fmt: skip
    readonly_fields = ("parts",)
    actions = ("ask",)

    @admin.display(description="secret parts")
    def parts(self, row: Credential) -> str:
        return ", ".join(f"{name} …{ending}" for name, ending in sorted(row.endings.items()))

    def has_control_permission(self, request: HttpRequest) -> bool:
        """The page only shows, so the right to ask the provider is asked for by itself."""
        return self.may_write(request)

    @admin.action(description="Ask the provider whether it works", permissions=["control"])
    def ask(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            try:
                credentials.check(row, f"user:{request.user.get_username()}")
            except TenexError as exc:
                messages.error(request, f"{row}: {exc.detail}")
                continue
            good = row.state == CredentialState.VERIFIED
            (messages.success if good else messages.warning)(
                request, f"{row}: {row.get_state_display().lower()}. {row.state_detail}"
            )
