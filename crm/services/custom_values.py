"""Values of custom fields: what a definition takes, from JSON and from the cells of a file. Pure."""

import math
import re
from datetime import date
from typing import Any, Final

from crm.models import CustomField, FieldType
from tenex.errors import InvalidInput
from tenex.lib import storable

MAX_TEXT = 1000
MAX_BYTES = 8192
KEY = re.compile(r"[a-z][a-z0-9_]{0,49}")

_YES: Final = frozenset({"true", "yes", "y", "1"})
_NO: Final = frozenset({"false", "no", "n", "0"})

type Loc = tuple[str | int, ...]


def checked(field: CustomField, value: Any, loc: Loc) -> Any:
    """`value` as it is kept.

    Raises:
        InvalidInput: not of the field's type.
    """
    match FieldType(field.type):
        case FieldType.TEXT if isinstance(value, str):
            if len(value) > MAX_TEXT:
                raise InvalidInput(f"at most {MAX_TEXT} characters", loc=loc, type_="string_too_long")
            return storable.text(value)
        case FieldType.NUMBER if (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        ):
            return value
        case FieldType.BOOLEAN if isinstance(value, bool):
            return value
        case FieldType.DATE if isinstance(value, str) and (day := _date(value)):
            return day.isoformat()
        case FieldType.CHOICE if value in field.choices:
            return value
        case FieldType.CHOICE:
            raise InvalidInput(f"must be one of {', '.join(field.choices)}", loc=loc, type_="enum")
        case FieldType.DATE:
            raise InvalidInput("must be a date (YYYY-MM-DD)", loc=loc, type_="date")
    raise InvalidInput(f"must be a {field.type}", loc=loc, type_="wrong_type")


def from_text(field: CustomField | None, cell: str, loc: Loc) -> Any:
    """The JSON value that a cell of a file stands for; without a definition it is a text.

    Raises:
        InvalidInput: not of the field's type.
    """
    if field is None:
        return cell
    match FieldType(field.type):
        case FieldType.NUMBER:
            return checked(field, _number(cell), loc)
        case FieldType.BOOLEAN:
            word = cell.strip().lower()
            return checked(field, True if word in _YES else False if word in _NO else None, loc)
        case FieldType.CHOICE:
            return checked(field, _choice(field, cell.strip()), loc)
        case FieldType.DATE:
            return checked(field, cell.strip(), loc)
    return checked(field, cell, loc)


def merged(before: dict[str, Any], changes: dict[str, Any], loc: Loc) -> dict[str, Any]:
    """`before` with `changes`, in which None takes a key away.

    Raises:
        InvalidInput: more than MAX_BYTES in all.
    """
    after = {key: value for key, value in {**before, **changes}.items() if value is not None}
    if len(str(after).encode(errors="replace")) > MAX_BYTES:
        raise InvalidInput(f"at most {MAX_BYTES} bytes", loc=loc, type_="too_long")
    return after


def _number(cell: str) -> int | float | None:
    """Digits with a decimal point: a comma could mean either."""
    text = cell.strip()
    if not re.fullmatch(r"[+-]?\d{1,18}(\.\d{1,18})?", text, re.ASCII):
        return None
    return float(text) if "." in text else int(text)


def _choice(field: CustomField, text: str) -> str:
    return next((one for one in field.choices if one.lower() == text.lower()), text)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else None
    except ValueError:
        return None
