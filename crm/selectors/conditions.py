"""Conditions on leads, as data: what a segment's rules and the filters of the list are made of.

A node is `{"all": [node, …]}`, `{"any": [node, …]}`, `{"not": node}` or `{"field", "op", "value"}`. Whatever
does not fit is refused with the place where it stands; nothing from outside becomes a column name.
"""

import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from crm.models import Consent, ConsentPurpose, CustomField, FieldType, Qualification, Stage
from crm.selectors import custom_values, search
from tenex.errors import InvalidInput

MAX_CONDITIONS = 50
MAX_DEPTH = 5
MAX_VALUES = 500
_MAX_TEXT = 200

type Loc = tuple[str | int, ...]
type Customs = Mapping[str, CustomField]


@dataclass(frozen=True, slots=True)
class Known:
    """A field that conditions may name. `column` is the lookup that it stands for."""

    kind: str
    column: str = ""
    choices: tuple[str, ...] = ()
    blank: str | None = None
    """What the column holds when it is not set; None for NULL."""


FIELDS: Final[dict[str, Known]] = {
    "first_name": Known("text", "first_name", blank=""),
    "last_name": Known("text", "last_name", blank=""),
    "title": Known("text", "title", blank=""),
    "phone": Known("text", "phone"),
    "email": Known("text", "email"),
    "source": Known("text", "source", blank=""),
    "time_zone": Known("text", "time_zone", blank=""),
    "notes": Known("text", "notes", blank=""),
    "organization": Known("text", "company__name"),
    "organization_id": Known("id", "company_id"),
    "owner_id": Known("id", "owner_id"),
    "stage": Known("choice", "stage", tuple(Stage.values), blank=""),
    "qualification": Known("choice", "qualification", tuple(Qualification.values), blank=""),
    "last_outcome": Known("text", "last_outcome", blank=""),
    "opted_out": Known("flag", "opted_out_at"),
    "created_at": Known("instant", "created_at"),
    "updated_at": Known("instant", "updated_at"),
    "last_call_at": Known("instant", "last_call_at"),
    "consent": Known("consent", choices=tuple(ConsentPurpose.values)),
    "q": Known("search"),
}
"""By their names on the wire; `custom.<key>` comes on top."""

_EQUAL = ("eq", "ne", "in", "not_in")
_ORDER = ("lt", "lte", "gt", "gte")
OPS: Final[dict[str, tuple[str, ...]]] = {
    "text": (*_EQUAL, "contains", "starts_with", "is_set"),
    "choice": (*_EQUAL, "is_set"),
    "id": (*_EQUAL, "is_set"),
    "flag": ("eq",),
    "instant": (*_ORDER, "within_days", "not_within_days", "is_set"),
    "consent": ("eq", "ne"),
    "search": ("contains",),
    "custom_text": (*_EQUAL, "contains", "starts_with", "is_set"),
    "custom_choice": (*_EQUAL, "is_set"),
    "custom_number": (*_EQUAL, *_ORDER, "is_set"),
    "custom_date": (*_EQUAL, *_ORDER, "is_set"),
    "custom_boolean": ("eq", "ne", "is_set"),
}
"""What may be asked of each kind of field."""


def compile_rules(rules: object, customs: Customs, *, loc: Loc = ("body", "rules")) -> Q:
    """The rules of a segment as a filter of leads. `customs`: the workspace's definitions by key.

    Raises:
        InvalidInput: with the place inside the rules that makes no sense.
    """
    if not (isinstance(rules, dict) and len(rules) == 1 and next(iter(rules)) in ("all", "any")):
        raise InvalidInput('must be {"all": […]} or {"any": […]}', loc=loc, type_="rules")
    return _Compiler(customs).node(rules, loc, 1)


class _Compiler:
    def __init__(self, customs: Customs) -> None:
        self._customs = customs
        self._left = MAX_CONDITIONS

    def node(self, node: object, loc: Loc, depth: int) -> Q:
        if not isinstance(node, dict):
            raise InvalidInput("must be an object", loc=loc, type_="dict_type")
        if depth > MAX_DEPTH:
            raise InvalidInput(f"nested deeper than {MAX_DEPTH}", loc=loc, type_="too_long")
        match list(node):
            case ["all" | "any" as word]:
                return self._group(word, node[word], (*loc, word), depth)
            case ["not"]:
                return ~self.node(node["not"], (*loc, "not"), depth + 1)
        self._left -= 1
        if self._left < 0:
            raise InvalidInput(f"more than {MAX_CONDITIONS} conditions", loc=loc, type_="too_long")
        for name in node:
            if name not in ("field", "op", "value"):
                raise InvalidInput("unknown member", loc=(*loc, str(name)), type_="extra_forbidden")
        for name in ("field", "op", "value"):
            if name not in node:
                raise InvalidInput("is missing", loc=(*loc, name), type_="missing")
        return condition(node["field"], node["op"], node["value"], self._customs, loc=loc)

    def _group(self, word: str, nodes: object, loc: Loc, depth: int) -> Q:
        if not isinstance(nodes, list):
            raise InvalidInput("must be a list", loc=loc, type_="not_a_list")
        if word == "any" and not nodes:
            raise InvalidInput("needs at least one condition", loc=loc, type_="too_short")
        found = Q()
        for index, inner in enumerate(nodes):
            one = self.node(inner, (*loc, index), depth + 1)
            found = found & one if word == "all" else found | one
        return found


def condition(field: object, op: object, value: object, customs: Customs, *, loc: Loc) -> Q:
    """One condition as a filter of leads; an instant, a UUID or a date may come as text or as itself.

    Raises:
        InvalidInput: `loc` + `field`, `op` or `value`.
    """
    key = field.removeprefix("custom.") if isinstance(field, str) and field.startswith("custom.") else None
    custom = customs.get(key) if key is not None else None
    known = FIELDS.get(field) if isinstance(field, str) else None
    if custom is not None:
        known = Known(f"custom_{custom.type}", custom.key, tuple(custom.choices))
    if known is None:
        what = "no such custom field is defined" if key is not None else "no such field"
        raise InvalidInput(what, loc=(*loc, "field"), type_="extra_forbidden")
    if not isinstance(op, str) or op not in OPS[known.kind]:
        allowed = ", ".join(OPS[known.kind])
        raise InvalidInput(f"must be one of {allowed}", loc=(*loc, "op"), type_="enum")
    return _query(known, op, _value(known, op, value, (*loc, "value")))


def _query(known: Known, op: str, value: Any) -> Q:
    match op:
        case "ne":
            return ~_query(known, "eq", value)
        case "not_in":
            return ~_query(known, "in", value)
        case "not_within_days":
            return ~_query(known, "within_days", value)
        case "in":
            found = Q(pk__in=())
            for one in value:
                found |= _query(known, "eq", one)
            return found
    return _ASKED[known.kind](known, op, value)


def _column(known: Known, op: str, value: Any) -> Q:
    column = known.column
    match op:
        case "is_set":
            unset = Q(**{f"{column}__isnull": True})
            if known.blank is not None:
                unset = Q(**{column: known.blank})
            return ~unset if value else unset
        case "contains":
            return Q(**{f"{column}__icontains": value})
        case "starts_with":
            return Q(**{f"{column}__istartswith": value})
        case "within_days":
            return Q(**{f"{column}__gte": timezone.now() - timedelta(days=value)})
        case "eq" if known.kind == "text" and column == "email":
            return Q(email=value.lower())  # kept in small letters, and indexed so
        case "eq" if known.kind == "text" and column != "phone":
            return Q(**{f"{column}__iexact": value})
        case "eq":
            return Q(**{column: value})
    return Q(**{f"{column}__{op}": value})


def _flag(known: Known, op: str, value: bool) -> Q:
    return Q(**{f"{known.column}__isnull": not value})


def _consent(known: Known, op: str, value: str) -> Q:
    now = timezone.now()
    held = Consent.objects.filter(lead=OuterRef("pk"), purpose=value, given_at__lte=now, revoked_at=None)
    return Q(Exists(held.filter(Q(expires_at=None) | Q(expires_at__gt=now))))


def _custom(known: Known, op: str, value: Any) -> Q:
    return custom_values.query(known.column, op, value)


_ASKED: Final[dict[str, Callable[[Known, str, Any], Q]]] = {
    "text": _column,
    "choice": _column,
    "id": _column,
    "instant": _column,
    "flag": _flag,
    "consent": _consent,
    "search": lambda known, op, value: search.words(value),
    **dict.fromkeys((f"custom_{type_}" for type_ in FieldType.values), _custom),
}


def _value(known: Known, op: str, value: Any, loc: Loc) -> Any:
    if op in ("in", "not_in"):
        if not isinstance(value, list):
            raise InvalidInput("must be a list", loc=loc, type_="not_a_list")
        if not 0 < len(value) <= MAX_VALUES:
            raise InvalidInput(f"must have 1 to {MAX_VALUES} values", loc=loc, type_="too_long")
        return [_one(known, inner, (*loc, index)) for index, inner in enumerate(value)]
    if op == "is_set":
        return _boolean(value, loc)
    if op in ("within_days", "not_within_days"):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 36_500:
            raise InvalidInput("must be a whole number of days", loc=loc, type_="wrong_type")
        return value
    return _one(known, value, loc)


def _one(known: Known, value: Any, loc: Loc) -> Any:
    match known.kind:
        case "choice" | "consent" | "custom_choice":
            if value not in known.choices:
                raise InvalidInput(f"must be one of {', '.join(known.choices)}", loc=loc, type_="enum")
            return value
        case "id":
            return _id(value, loc)
        case "instant":
            return _instant(value, loc)
        case "flag" | "custom_boolean":
            return _boolean(value, loc)
        case "custom_number":
            if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
                raise InvalidInput("must be a number", loc=loc, type_="wrong_type")
            return value
        case "custom_date":
            return _date(value, loc)
    if not isinstance(value, str) or "\x00" in value:
        raise InvalidInput("must be a text", loc=loc, type_="string_type")
    if not 0 < len(value.strip()) <= _MAX_TEXT:
        raise InvalidInput(f"must have 1 to {_MAX_TEXT} characters", loc=loc, type_="string_too_long")
    return value.strip()


def _boolean(value: Any, loc: Loc) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput("must be true or false", loc=loc, type_="wrong_type")
    return value


def _id(value: Any, loc: Loc) -> uuid.UUID:
    try:
        return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))
    except ValueError as exc:
        raise InvalidInput("must be an id", loc=loc, type_="uuid_parsing") from exc


def _instant(value: Any, loc: Loc) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidInput("must be an instant with its offset (ISO 8601)", loc=loc, type_="datetime")
    try:
        return found.astimezone(UTC)  # PostgreSQL does not take every offset
    except OverflowError as exc:
        raise InvalidInput("lies outside of the years 1 to 9999", loc=loc, type_="datetime") from exc


def _date(value: Any, loc: Loc) -> str:
    try:
        found = value if isinstance(value, date) else parse_date(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        raise InvalidInput("must be a date (YYYY-MM-DD)", loc=loc, type_="date")
    return found.isoformat()


def ids_named(rules: Any) -> dict[str, set[uuid.UUID]]:
    """`owner_id` and `organization_id` -> the ids that valid rules compare them with."""
    found: dict[str, set[uuid.UUID]] = {"owner_id": set(), "organization_id": set()}
    stack = [rules]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(inner for inner in node if isinstance(inner, dict))
        elif node.get("field") in found and node["op"] != "is_set":
            values = node["value"] if isinstance(node["value"], list) else [node["value"]]
            found[node["field"]] |= {uuid.UUID(str(value)) for value in values}
        else:
            stack.extend(inner for inner in node.values() if isinstance(inner, dict | list))
    return found
