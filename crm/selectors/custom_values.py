"""Asking `Lead.custom`: comparisons that hold only for values of the right type.

jsonb has an order over all types, in which `true` is above every number; a JSON path compares like with like.
"""

from typing import Any, Final

from django.db.models import BooleanField, F, Func, Q, Value
from django.db.models.fields.json import JSONField

_SIGNS: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


class _PathExists(Func):
    function = "jsonb_path_exists"
    template = "%(function)s(%(expressions)s)"
    output_field = BooleanField()


class _AsPath(Func):
    template = "%(expressions)s::jsonpath"


def query(key: str, op: str, value: Any) -> Q:
    """Leads whose value under `key` (letters, digits, underscores) compares so with `value`."""
    match op:
        case "eq":
            return Q(custom__contains={key: value})
        case "is_set":
            return Q(custom__has_key=key) if value else ~Q(custom__has_key=key)
        case "contains" | "starts_with":
            lookup = "icontains" if op == "contains" else "istartswith"
            return Q(**{f"custom__{key}__{lookup}": value})
    path = f'$."{key}" ? (@ {_SIGNS[op]} $value)'
    return Q(_PathExists(F("custom"), _AsPath(Value(path)), Value({"value": value}, JSONField())))
