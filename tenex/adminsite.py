"""What the admin pages of all apps have in common."""

from typing import TYPE_CHECKING, Any

from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

__all__ = ["Evidence", "EvidenceInline", "FormBase", "FormSetBase", "InlineBase", "Page", "in_words"]

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


class Page(AdminBase):
    """A page on which people edit."""

    list_per_page = 50
    show_full_result_count = False


class _ReadOnly:
    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class Evidence(_ReadOnly, Page):
    """A page that only shows: what happened is not edited, and a form cannot break a running call."""


class EvidenceInline(_ReadOnly, InlineBase):
    extra = 0
    show_change_link = False


def in_words(value: object) -> SafeString:
    """A JSON value as indented text that wraps."""
    import json

    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return format_html('<pre class="json">{}</pre>', text)
