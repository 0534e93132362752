"""What the admin pages of all apps have in common: who may see and change what, and the frame around them.

The admin is looked at through one workspace, as the console is (tenex.pages.views), and what a person may do
in it follows the role of their membership: a page of rows of `resource` needs `<resource>:read` to be seen
and `<resource>:write` to be changed, the scopes that the API asks for. Superusers run the installation: they
see the rows of all workspaces.
"""

from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, Final
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tenex.errors import Forbidden, InvalidInput, TenexError
from tenex.pages import nav
from tenex.pages.views import frame_of, membership_of
from tenex.workspaces.models import User
from tenex.workspaces.principal import Principal
from tenex.workspaces.services import people

__all__ = [
    "Evidence", "EvidenceInline", "FormBase", "FormSetBase", "InlineBase", "LabeledFormSet", "Page",
    "ServiceForm", "Site", "in_words", "looking", "sees_all",
]  # fmt: skip

if TYPE_CHECKING:  # Django's own classes are generic for the type checker only
    from django.contrib.admin import ModelAdmin as _DjangoAdmin
    from django.contrib.admin import TabularInline as _DjangoTabular
    from django.forms import ModelForm
    from django.forms.models import BaseInlineFormSet

    AdminBase = _DjangoAdmin[Any]
    InlineBase = _DjangoTabular[Any, Any]
    FormBase = ModelForm[Any]
    FormSetBase = BaseInlineFormSet[Any, Any, Any]
else:
    from django.contrib.admin import ModelAdmin as AdminBase
    from django.contrib.admin import TabularInline as InlineBase
    from django.forms import ModelForm as FormBase
    from django.forms.models import BaseInlineFormSet as FormSetBase

GROUPS: Final = (
    ("Set up", ("Agent", "VoiceProfile", "PhoneNumber", "Calendar", "CalendarAccount")),
    ("Knowledge", ("Document", "Chunk", "Corpus")),
    ("Leads", ("Lead", "Company", "Segment", "CustomField", "LeadImport", "FollowUp", "Meeting")),
    ("Consent and retention", ("Consent", "Suppression", "LegalHold", "PurgeReceipt", "Erasure")),
    ("Dialing", ("Batch", "Recipient", "Decision", "CallingSwitch", "CarrierAccount", "MediaProcess")),
    ("Evidence", ("Call", "Recording", "Verdict", "VerdictCorrection", "CallShare", "TimelineEntry")),
    ("What was done", ("AuditEntry", "Event", "AgentVersion")),
    ("Workspace", ("Workspace", "User", "Invitation", "ApiKey", "Credential")),
    ("Keys of the vault", ("DataKey", "KeyRotation")),
    ("Webhooks", ("WebhookSubscription", "Delivery", "Replay")),
)
"""The menu: what it is for, and its models by name; whatever is not named stands under "More"."""


def looking(request: HttpRequest) -> Principal | None:
    """Through whose eyes the admin is looked at: the membership in the chosen workspace, None without one."""
    if not hasattr(request, "_tenex_principal"):
        user, found = request.user, None
        if isinstance(user, User) and user.is_active:
            try:
                found = people.principal(membership_of(request, user))
            except Forbidden:
                found = None
        request._tenex_principal = found  # type: ignore[attr-defined]
    principal: Principal | None = request._tenex_principal  # type: ignore[attr-defined]
    return principal


def sees_all(request: HttpRequest) -> bool:
    """Whether it is somebody who runs the installation."""
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


class Site(admin.AdminSite):
    site_header = site_title = "Tenex voice"
    index_title = "Admin"
    enable_nav_sidebar = False
    empty_value_display = "–"

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.disable_action("delete_selected")  # it deletes rows past every service

    def has_permission(self, request: HttpRequest) -> bool:
        """A member of a workspace comes in: what there is to see and to change is their role's matter."""
        return sees_all(request) or looking(request) is not None

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Times are those of the workspace that is looked at, as in the console: shown and typed ones."""
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def in_zone(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            principal = looking(request)
            with timezone.override(ZoneInfo(principal.workspace.time_zone) if principal else None):
                answer: HttpResponseBase = inner(request, *args, **kwargs)
                if isinstance(answer, SimpleTemplateResponse) and not answer.is_rendered:
                    answer.render()  # it would be rendered outside, on another clock
                return answer

        return in_zone

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        if not self.has_permission(request):
            return context
        principal = looking(request)
        return {
            **context,
            **frame_of(request, principal),
            "nav_items": [one for one in nav.ITEMS if principal is None or principal.allows(one.scope)],
            "nav_now": "admin",
            "groups": grouped(context["available_apps"]),
        }


def grouped(apps: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The models that somebody may see, as the menu shows them: (title, models)."""
    found = {model["object_name"]: model for app in apps for model in app["models"]}
    groups = [(title, [found.pop(name) for name in names if name in found]) for title, names in GROUPS]
    return [(title, models) for title, models in (*groups, ("More", list(found.values()))) if models]


class _ByRole:
    """Permissions of a page or an inline. `resource` is that of its scopes; empty: superusers only."""

    resource: ClassVar[str] = ""
    writes: ClassVar[bool] = True
    """Whether anything can be edited here by whoever has `<resource>:write`."""

    def _allows(self, request: HttpRequest, verb: str) -> bool:
        if sees_all(request):
            return True
        principal = looking(request)
        return bool(self.resource) and principal is not None and principal.allows(f"{self.resource}:{verb}")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._allows(request, "read")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allows(request, "read")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.writes and self._allows(request, "write")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.writes and self._allows(request, "write")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.writes and self._allows(request, "write")


class Page(_ByRole, AdminBase):
    """A page on which people edit."""

    workspace_path: ClassVar[str] = "workspace"
    """How a row leads to its workspace, as a query says it."""
    console: ClassVar[str] = ""
    """Where the console shows a row: an address that its id is put behind."""
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Rows of the workspace that is looked at; superusers: of all."""
        rows = super().get_queryset(request)
        if sees_all(request):
            return rows
        principal = looking(request)
        if principal is None or not self.resource:
            return rows.none()
        return rows.filter(**{self.workspace_path: principal.workspace.pk})

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.actor = f"user:{request.user.get_username()}"
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not isinstance(form, ServiceForm):
            super().save_model(request, obj, form, change)
            return
        made = form.write(obj, form.changed_values())
        obj.pk, obj._state.adding = made.pk, False

    def view_on_site(self, obj: Model) -> str:
        return f"{self.console}{obj.pk}"

    def get_view_on_site_url(self, obj: Model | None = None) -> str | None:
        """The button "Open in the console": only where there is such a page."""
        return self.view_on_site(obj) if obj is not None and self.console else None

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = super().get_list_display(request)
        return shown if sees_all(request) else [name for name in shown if name != "workspace"]

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Choices of a filter are of the same workspace too."""
        shown = super().get_list_filter(request)
        if sees_all(request):
            return shown
        related = {one.name for one in self.model._meta.get_fields() if one.many_to_one}
        return [(name, _OwnRows) if name in related else name for name in shown if name != "workspace"]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Choices are of the same workspace; the workspace itself is not chosen but by superusers."""
        principal = looking(request)
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is None:
            return field
        model = db_field.remote_field.model
        if sees_all(request):
            if principal is not None and db_field.name == "workspace":
                field.initial = principal.workspace.pk
            return field
        if principal is None:
            field.queryset = field.queryset.none()
        elif db_field.name == "workspace":
            field.queryset = field.queryset.filter(pk=principal.workspace.pk)
            field.initial, field.empty_label = principal.workspace.pk, None
        elif any(one.name == "workspace" for one in model._meta.get_fields()):
            field.queryset = field.queryset.filter(workspace=principal.workspace)
        elif model is User:
            field.queryset = field.queryset.filter(memberships__workspace=principal.workspace)
        return field


class ServiceForm(FormBase):
    """A form whose rows are written by a service: what that refuses is said at the field.

    The service is tried while the form is checked, and all it did is taken back; then it is done. So the
    admin has the checks, events and audit of the API, and none of its own.
    """

    actor: str = ""

    def write(self, row: Any, changed: dict[str, Any]) -> Any:
        """Make (`row` has no row yet) or change it through the service; the written row."""
        raise NotImplementedError

    def changed_values(self) -> dict[str, Any]:
        """Of a new row all that was given, of an old one what differs; rows by their id, as services ask."""
        adding = self.instance._state.adding
        found: dict[str, Any] = {}
        for name, value in self.cleaned_data.items():
            if name == "workspace" or not (adding or name in self.changed_data):
                continue
            if isinstance(value, Model):
                found[f"{name}_id"] = value.pk
            elif value is None and isinstance(self.fields[name], ModelChoiceField):
                found[f"{name}_id"] = None
            else:
                found[name] = value
        return found

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        before = self.instance.__dict__.copy()
        try:
            with transaction.atomic():
                self.write(self.instance, self.changed_values())
                transaction.set_rollback(True)
        except TenexError as exc:
            named = str(exc.loc[-1]) if isinstance(exc, InvalidInput) else ""
            field = named.removesuffix("_id")
            self.add_error(field if field in self.fields else None, f"{exc.detail}.".capitalize())
        finally:
            self.instance.__dict__.clear()
            self.instance.__dict__.update(before)


class _OwnRows(admin.RelatedFieldListFilter):
    """A filter by a related row that offers rows of the workspace that is looked at."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        principal = looking(request)
        return field.get_choices(
            include_blank=False,
            ordering=self.field_admin_ordering(field, request, model_admin),
            limit_choices_to={"workspace": principal.workspace.pk if principal else None},
        )


class Evidence(Page):
    """A page that only shows: what happened is not edited, and a form cannot break a running call."""

    writes = False

    def may_write(self, request: HttpRequest) -> bool:
        """For actions of a page that only shows."""
        return self._allows(request, "write")


class EvidenceInline(_ByRole, InlineBase):
    """Rows of the page's own row, which was found by its workspace: whoever sees that sees these."""

    writes = False
    extra = 0
    show_change_link = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True


class LabeledFormSet(FormSetBase):
    """Rows of a table whose fields are named for whoever does not see the table's head."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        row = "new row" if index is None else f"row {index + 1}"
        for name, field in form.fields.items():
            said = "delete" if name == "DELETE" else field.label or name
            field.widget.attrs.setdefault("aria-label", f"{said}, {row}")


def in_words(value: object) -> SafeString:
    """A JSON value as indented text that wraps."""
    import json

    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return format_html('<pre class="json" tabindex="0">{}</pre>', text)
