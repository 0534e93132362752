"""Workspaces, people and keys in the admin."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import get_random_string

from tenex.adminsite import Evidence, FormBase, InlineBase, LabeledFormSet, Page
from tenex.workspaces.models import ApiKey, AuditEntry, Invitation, Membership, Role, User, Workspace
from tenex.workspaces.services import audit, keys

admin.site.unregister(Group)


def actor(request: HttpRequest) -> str:
    return f"user:{request.user}"


class MembershipFormSet(LabeledFormSet):
    """The database keeps the last owner (migration 0003); this says so before it does."""

    def clean(self) -> None:
        super().clean()
        had_owner = self.instance.pk and self.instance.memberships.filter(role=Role.OWNER).exists()
        kept = [
            form.cleaned_data for form in self.forms if form.cleaned_data and form not in self.deleted_forms
        ]
        if had_owner and not any(data["role"] == Role.OWNER for data in kept):
            raise ValidationError("A workspace keeps its last owner: make another member one first.")


class MembershipInline(InlineBase):
    model = Membership
    formset = MembershipFormSet
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(Workspace)
class WorkspaceAdmin(Page):
    resource = "settings"
    workspace_path = "pk"
    list_display = ("name", "slug", "time_zone", "max_concurrent_calls", "calls_per_second", "dialing")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    inlines = (MembershipInline,)
    actions = ("stop_dialing", "resume_dialing")
    readonly_fields = ("id", "created_at", "calling_paused_at", "calling_rules")
    fieldsets = (
        (None, {"fields": ("name", "slug", "time_zone", "default_region", "id", "created_at")}),
        (
            "Recording and retention",
            {
                "fields": (
                    "recording_consent",
                    "recording_retention_days",
                    "transcript_retention_days",
                    "journal_retention_days",
                    "evidence_retention_days",
                ),
                "description": "The announcement is spoken before anything is stored.",
            },
        ),
        (
            "Outbound calls",
            {
                "fields": (
                    "calling_window_start",
                    "calling_window_end",
                    "calling_days",
                    "calling_rules",
                    "calling_countries",
                    "default_purpose",
                    "legal_name",
                    "max_calls_per_lead_a_day",
                    "max_calls_per_lead_a_week",
                    "max_calls_per_lead_in_all",
                    "min_gap_between_calls_s",
                    "max_concurrent_calls",
                    "calls_per_second",
                    "calling_paused_at",
                ),
                "description": "Times are those of the person called. The switch to stop all dialing is an "
                "action of the list. The rules are loosened through the API, with a reason.",
            },
        ),
        ("Transfers", {"fields": ("transfer_number",)}),
    )

    @admin.display(description="dialing", boolean=True)
    def dialing(self, workspace: Workspace) -> bool:
        return workspace.calling_paused_at is None

    @admin.action(description="Stop all dialing now")
    def stop_dialing(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        count = queryset.filter(calling_paused_at=None).update(calling_paused_at=timezone.now())
        messages.warning(request, f"{count} workspaces dial nobody until dialing is resumed.")

    @admin.action(description="Resume dialing")
    def resume_dialing(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        count = queryset.update(calling_paused_at=None)
        messages.success(request, f"{count} workspaces may dial again.")

    def save_model(self, request: HttpRequest, obj: Workspace, form: Any, change: bool) -> None:
        if not obj.webhook_secret:
            obj.webhook_secret = get_random_string(48)
        super().save_model(request, obj, form, change)
        if change and form.changed_data:
            audit.record(
                obj.pk,
                actor(request),
                "workspace.updated",
                object_type="workspace",
                object_id=obj.pk,
                data={
                    "fields": sorted(form.changed_data),
                    "before": {name: str(form.initial.get(name)) for name in form.changed_data},
                    "after": {name: str(form.cleaned_data.get(name)) for name in form.changed_data},
                },
            )


@admin.register(User)
class UserAdmin(DjangoUserAdmin, Page):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "name", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("email", "password", "name")}),
        ("Access", {"fields": ("is_active", "is_superuser")}),
        ("Times", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "name", "password1", "password2")}),)


class KeyForm(FormBase):
    class Meta:
        model = ApiKey
        fields = ("workspace", "name", "scopes", "expires_at")


@admin.register(ApiKey)
class ApiKeyAdmin(Page):
    resource = "keys"
    form = KeyForm
    list_display = (
        "name",
        "masked",
        "workspace",
        "scopes",
        "last_used_at",
        "last_used_ip",
        "expires_at",
        "revoked_at",
    )
    list_filter = ("workspace",)
    search_fields = ("name", "prefix")
    list_select_related = ("workspace",)
    actions = ("revoke",)

    @admin.display(description="key", ordering="prefix")
    def masked(self, key: ApiKey) -> str:
        return f"tnx_{key.prefix}_…"

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        made, text = keys.create(obj.workspace, obj.name, obj.scopes, actor(request), obj.expires_at)
        obj.pk = made.pk
        messages.success(request, f"The key, shown this once: {text}")

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset.filter(revoked_at=None):
            keys.revoke(key, actor(request))
        messages.success(request, "Revoked; the next request with these keys fails.")


@admin.register(Invitation)
class InvitationAdmin(Evidence):
    resource = "users"
    list_display = ("email", "workspace", "role", "invited_by", "expires_at", "accepted_at", "revoked_at")
    list_filter = ("workspace", "role")
    search_fields = ("email",)
    list_select_related = ("workspace",)


@admin.register(AuditEntry)
class AuditAdmin(Evidence):
    resource = "settings"
    list_display = ("created_at", "workspace", "actor", "action", "object_type", "object_id")
    list_filter = ("action", "workspace")
    search_fields = ("actor", "object_id")
    date_hierarchy = "created_at"
    list_select_related = ("workspace",)
