"""Bases of what comes in and what goes out. The two are never the same class."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from tenex.lib import limits
from tenex.lib.storable import fits_64_bits

KEPT_NUMBER: Final = {"type": "number", "minimum": -(2**63), "exclusiveMaximum": 2**63}
"""JSON Schema of a number that the database gives back as it was (`tenex.lib.storable.fits_64_bits`)."""
_FORBIDDEN_TEXT = re.compile("[\x00\ud800-\udfff]")


class Input(serializers.Serializer[Any]):
    """A request body: an object with these fields and no others, of just these JSON types.

    Read-only names are unknown names. DRF would take 0 for a text and "true" for a boolean; we do not.

    `together` is JSON Schema about several fields at once, for the OpenAPI document: what is checked here or
    in the service, said so that a generator of requests knows it (see :func:`either`).
    """

    together: ClassVar[dict[str, Any]] = {}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            wrong = {str(name): _UNKNOWN for name in data if name not in self.fields}
            for name, field in self.fields.items():
                if name in data and (expected := _expected_type(field, data[name])):
                    wrong[name] = ErrorDetail(f"must be {expected}", code="wrong_type")
            if wrong:
                raise serializers.ValidationError({name: [one] for name, one in wrong.items()})
        return super().to_internal_value(data)


def either(first: str, *others: str) -> dict[str, Any]:
    """JSON Schema: exactly one of these fields is there."""
    rest = [{"required": [name]} for name in others]
    return {
        "if": {"required": [first]},
        "then": {"not": rest[0] if len(rest) == 1 else {"anyOf": rest}},
        "else": rest[0] if len(rest) == 1 else either(*others),
    }


_UNKNOWN = ErrorDetail("unknown field", code="extra_forbidden")
_TEXTS = (
    serializers.CharField,
    serializers.ChoiceField,
    serializers.UUIDField,
    serializers.DateTimeField,
    serializers.TimeField,
)


def _expected_type(field: Any, value: Any) -> str:
    """What `value` should be but is not; empty if its JSON type is right (null is judged by the field)."""
    match field:
        case _ if value is None:
            return ""
        case serializers.ListField():
            return next(filter(None, (_expected_type(field.child, one) for one in _listed(value))), "")
        case serializers.BooleanField():
            return "" if isinstance(value, bool) else "true or false"
        case serializers.IntegerField() | serializers.FloatField():
            return "" if isinstance(value, int | float) and not isinstance(value, bool) else "a number"
        case _ if isinstance(field, _TEXTS):
            return "" if isinstance(value, str) else "a string"
        case _:
            return ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


class Output(serializers.Serializer[Any]):
    """A representation. Only ever rendered."""


class FreeObject(serializers.JSONField):
    """A JSON object of the caller's own making: no NUL (PostgreSQL refuses it), bounded size and depth."""

    default_error_messages = {
        "not_an_object": "must be an object",
        "text": "holds a character that cannot be stored",
        "too_large": "is too large or too deep",
        "number": "holds a number that cannot be kept exactly",
    }

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("not_an_object")
        try:
            size = _measure(data, depth=0)
        except ValueError:
            self.fail("text")
        except RecursionError:
            self.fail("too_large")
        except OverflowError:
            self.fail("number")
        if size > limits.FREE_OBJECT_BYTES:
            self.fail("too_large")
        return data


def _measure(value: Any, *, depth: int) -> int:
    """Rough size of a JSON value in characters.

    Raises:
        ValueError: a text with NUL or a lone surrogate.
        RecursionError: deeper than limits.JSON_DEPTH.
        OverflowError: a number outside of 64 bits: the database would give it back as another kind of number.
    """
    if depth > limits.JSON_DEPTH:
        raise RecursionError
    match value:
        case str():
            if _FORBIDDEN_TEXT.search(value):
                raise ValueError
            return len(value) + 2
        case dict():
            return sum(
                _measure(name, depth=depth + 1) + _measure(item, depth=depth + 1)
                for name, item in value.items()
            )
        case list():
            return sum(_measure(item, depth=depth + 1) + 1 for item in value)
        case int() | float() if not fits_64_bits(value):
            raise OverflowError
        case _:
            return 8
