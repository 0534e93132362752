"""Addresses of the same figures, asked a little differently."""

from typing import Any, Protocol

from django import template
from django.urls import reverse

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
