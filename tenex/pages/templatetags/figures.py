"""Addresses of the same figures, asked a little differently."""

from typing import Any, Protocol

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


class _Question(Protocol):
    def query(self, **changes: object) -> str: ...


@register.simple_tag
def ask(asked: _Question, **changes: Any) -> str:
    """The question with some of it changed, as a query."""
    return asked.query(**changes)


@register.simple_tag
def ask_csv(asked: _Question, key: str) -> str:
    """The address of one figure as a file."""
    return f"{reverse('dashboard_csv', args=[key])}{asked.query()}"


@register.simple_tag
def invalid(form: Any, name: str) -> SafeString:
    """The attributes of a field that is wrong; nothing of one that is not."""
    if name not in form.errors:
        return SafeString("")
    return format_html(' aria-invalid="true" aria-describedby="e-{}"', name)


@register.simple_tag
def error(form: Any, name: str) -> SafeString:
    """What is wrong with a field, below it."""
    if name not in form.errors:
        return SafeString("")
    return format_html('<span class="error" id="e-{}">{}</span>', name, form.errors[name])
