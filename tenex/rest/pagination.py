"""Keyset pages over (created_at desc, id desc): rows that arrive during a walk shift nothing.

The cursor is opaque: the last row's position, signed, and bound to the filters that it was issued for.
"""

import base64
import binascii
import hashlib
import hmac
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import orjson
from django.conf import settings
from django.db.models import Model, Q, QuerySet
from django.http import QueryDict
from rest_framework.serializers import Serializer

from tenex.errors import InvalidInput
from tenex.lib import limits

PAGE_PARAMETERS = frozenset({"limit", "cursor"})
_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class Page[T: Model]:
    items: list[T]
    next_cursor: str | None

    def as_json(self, item: type[Serializer[Any]]) -> dict[str, Any]:
        """What :func:`tenex.rest.schema.page_of` describes: the rows as `item` shows them."""
        return {"items": item(self.items, many=True).data, "next_cursor": self.next_cursor}


def limit_of(query: Mapping[str, str]) -> int:
    """`?limit=`; above the cap it is clamped.

    Raises:
        InvalidInput: not a whole number above zero.
    """
    raw = query.get("limit")
    if raw is None:
        return limits.PAGE_ITEMS
    if not (raw.isascii() and raw.isdigit()) or not raw.strip("0"):
        raise InvalidInput(
            "must be a whole number from 1 to 200", loc=("query", "limit"), type_="int_parsing"
        )
    most = limits.PAGE_ITEMS_MOST
    return most if len(raw.lstrip("0")) > 3 else min(int(raw), most)


def page[T: Model](rows: QuerySet[T] | Sequence[QuerySet[T]], query: QueryDict, *, bound_to: str) -> Page[T]:
    """One page of `rows`, the newest first; they must have `created_at` and `id` columns.

    Several querysets are read as their union, a page of each: so each may use an index of its own.

    `bound_to` names list and workspace: a cursor of one list or tenant is garbage in another.

    Raises:
        InvalidInput: a limit or cursor that makes no sense here.
    """
    limit, binding = limit_of(query), _binding(query, bound_to)
    after = Q()
    if (position := _position(query, binding)) is not None:
        at, last_id = datetime.fromisoformat(position[0]), uuid.UUID(position[1])
        after = Q(created_at__lte=at) & (Q(created_at__lt=at) | Q(id__lt=last_id))
    found: dict[Any, Any] = {}
    for part in [rows] if isinstance(rows, QuerySet) else rows:
        found |= {row.pk: row for row in part.filter(after).order_by("-created_at", "-id")[: limit + 1]}
    newest = sorted(found.values(), key=lambda row: (row.created_at, row.pk), reverse=True)
    return _cut(newest[: limit + 1], limit, binding, _place)


def cursor_after(row: Any, query: QueryDict, *, bound_to: str) -> str:
    """The cursor of the page that begins after `row`, for a list that :func:`page` reads."""
    return _encode(_place(row), _binding(query, bound_to))


def page_in_order[T: Model](rows: QuerySet[T], query: QueryDict, *, by: str, bound_to: str) -> Page[T]:
    """As :func:`page`, in ascending order of the unique whole-number column `by`."""
    limit, binding = limit_of(query), _binding(query, bound_to)
    if (position := _position(query, binding)) is not None:
        rows = rows.filter(**{f"{by}__gt": position[0]})
    found = list(rows.order_by(by)[: limit + 1])
    return _cut(found, limit, binding, lambda last: [getattr(last, by)])


def page_walked[Item](
    walk: Callable[[int], Iterator[tuple[int, Item]]], query: QueryDict, *, bound_to: str
) -> tuple[list[Item], str | None]:
    """One page of what is found by looking at rows in order, and the next cursor.

    `walk(after)` yields (place, item), places growing above `after`; it is left off when the page is full.
    """
    limit, binding = limit_of(query), _binding(query, bound_to)
    position = _position(query, binding)
    found = list(islice(walk(position[0] if position is not None else -1), limit + 1))
    cursor = _encode([found[limit - 1][0]], binding) if len(found) > limit else None
    return [item for _, item in found[:limit]], cursor


def _place(row: Any) -> list[Any]:
    return [row.created_at.isoformat(), str(row.pk)]


def _cut[T: Model](
    found: list[T], limit: int, binding: bytes, position: Callable[[Any], list[Any]]
) -> Page[T]:
    """The page without the row that was read to see whether there is a next one."""
    if len(found) <= limit:
        return Page(found, None)
    return Page(found[:limit], _encode(position(found[limit - 1]), binding))


def _position(query: QueryDict, binding: bytes) -> list[Any] | None:
    raw = query.get("cursor")
    return None if raw is None else _decode(raw, binding)


def _binding(query: QueryDict, bound_to: str) -> bytes:
    """What a cursor is good for: this list with these filters (not this page size)."""
    filters = sorted((name, query.getlist(name)) for name in query if name not in PAGE_PARAMETERS)
    return hashlib.sha256(orjson.dumps([bound_to, filters])).digest()


def _encode(position: list[Any], binding: bytes) -> str:
    raw = orjson.dumps(position)
    return base64.urlsafe_b64encode(_mac(raw, binding) + raw).rstrip(b"=").decode()


def _decode(cursor: str, binding: bytes) -> list[Any]:
    try:
        raw = base64.b64decode(
            cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        raw = b""
    mac, position = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(position, binding)):
        raise InvalidInput(
            "not a cursor of this list with these filters", loc=("query", "cursor"), type_="cursor"
        )
    decoded: list[Any] = orjson.loads(position)
    return decoded


def _mac(position: bytes, binding: bytes) -> bytes:
    return hmac.new(settings.CURSOR_KEY, binding + position, hashlib.sha256).digest()[:_MAC_BYTES]
