"""django-filter, strict: an unknown or malformed filter is an error, not a silent no-op."""

from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.db.models import Model, QuerySet
from django.http import QueryDict

from tenex.errors import InvalidInput
from tenex.rest.errors import QueryInvalid
from tenex.rest.pagination import PAGE_PARAMETERS


class _TrueOrFalse(forms.Field):
    """Django's own field takes anything that it does not know for "not given"."""

    def clean(self, value: Any) -> bool | None:
        if value in (None, ""):
            return None
        if value not in ("true", "false"):
            raise forms.ValidationError("must be true or false")
        return bool(value == "true")


class Flag(django_filters.BooleanFilter):  # type: ignore[misc]
    """`true` or `false`, and nothing else."""

    field_class = _TrueOrFalse


class Several(django_filters.BaseInFilter, django_filters.ChoiceFilter):  # type: ignore[misc]
    """One of the choices, or several with commas between them."""


def apply[T: Model](
    filters: type[django_filters.FilterSet], query: QueryDict, rows: QuerySet[T]
) -> QuerySet[T]:
    """`rows` narrowed by the filters in `query`.

    Raises:
        InvalidInput: a parameter that the list does not have, or has twice.
        QueryInvalid: values that make no sense.
    """
    narrowed: Any = _bound(filters, query, rows, also=PAGE_PARAMETERS).qs
    return narrowed  # type: ignore[no-any-return]


def values(filters: type[django_filters.FilterSet], query: QueryDict) -> dict[str, Any]:
    """The values of the filters in `query`, for what is no list; those that are absent are None or empty.

    The class names its model itself.

    Raises:
        InvalidInput, QueryInvalid: as :func:`apply`.
    """
    found: dict[str, Any] = _bound(filters, query, None).form.cleaned_data
    return found


def _bound(
    filters: type[django_filters.FilterSet],
    query: QueryDict,
    rows: QuerySet[Any] | None,
    also: frozenset[str] = frozenset(),
) -> django_filters.FilterSet:
    for name in query:
        if name not in filters.base_filters and name not in also:
            raise InvalidInput("unknown filter", loc=("query", name), type_="extra_forbidden")
        if len(query.getlist(name)) > 1:
            raise InvalidInput("given more than once", loc=("query", name), type_="duplicate")
        if name not in also and not query[name]:
            raise InvalidInput("is empty", loc=("query", name), type_="too_short")
    bound = filters(data=query, queryset=rows)
    if not bound.form.is_valid():
        raise QueryInvalid({name: [str(text) for text in texts] for name, texts in bound.form.errors.items()})
    _in_utc(bound.form.cleaned_data)
    return bound


def _in_utc(values: dict[str, Any]) -> None:
    """PostgreSQL takes offsets below sixteen hours only; ISO 8601 and Python take up to a day.

    Raises:
        QueryInvalid: an instant before the year 1 or after 9999 in UTC.
    """
    for name, value in values.items():
        if isinstance(value, datetime) and value.tzinfo is not None:
            try:
                values[name] = value.astimezone(UTC)
            except OverflowError as exc:
                raise QueryInvalid({name: ["lies outside of the years 1 to 9999"]}) from exc
