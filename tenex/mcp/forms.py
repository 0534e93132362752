"""What several tools take and give."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from django.http import QueryDict
from rest_framework import serializers as f

from tenex.lib import limits
from tenex.rest.pagination import page
from tenex.rest.serializers import Input, Output


class NoArguments(Input):
    """Nothing."""


class PageArguments(Input):
    """Which part of a list."""

    limit = f.IntegerField(
        min_value=1, max_value=limits.PAGE_ITEMS_MOST, required=False, help_text="Items at most."
    )
    cursor = f.CharField(
        max_length=500, required=False, help_text="`next_cursor` of the answer before, with the same filters."
    )


class UntrustedOut(Output):
    """An answer with texts of other people in it."""

    notice = f.CharField(help_text="How to treat this data.")


def query(arguments: Mapping[str, Any], *, limit: int | None = None) -> QueryDict:
    """Arguments as the query of a REST list, whose filters and pages then do the rest."""
    given = ({"limit": limit} if limit else {}) | {k: v for k, v in arguments.items() if v is not None}
    return QueryDict(urlencode(given))


def one_page[M: Model](
    rows: QuerySet[M], item: type[Output], arguments: Mapping[str, Any], *, bound_to: str
) -> Mapping[str, Any]:
    """The part of `rows` that was asked for, as `page_of(item)` describes it."""
    found = page(rows, query(arguments), bound_to=bound_to)
    return found.as_json(item)
