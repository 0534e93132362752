"""What a lead's fields may hold: cleaning and checking, before any write."""

import uuid
from typing import Any, TypedDict

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from crm.models import Company, Lead, Stage
from tenex.errors import InvalidInput
from tenex.lib import phone as phones
from tenex.lib import storable, zones
from tenex.workspaces.models import Membership, Workspace

_CUSTOM_BYTES = 8192


class LeadFields(TypedDict, total=False):
    """What may be written to a lead. Absent means: leave it."""

    first_name: str
    last_name: str
    title: str
    phone: str | None
    email: str | None
    time_zone: str
    source: str
    notes: str
    custom: dict[str, Any]
    stage: str
    owner_id: uuid.UUID | None
    company_id: uuid.UUID | None
    company_name: str


EDITABLE = tuple(LeadFields.__annotations__)
_TEXTS = ("first_name", "last_name", "title", "source", "notes")


def clean(workspace: Workspace, fields: LeadFields) -> dict[str, Any]:
    """Columns and values to write; `company_name` stays as it is (the caller finds or makes the company).

    Raises:
        InvalidInput: with `loc` naming the field.
    """
    cleaned: dict[str, Any] = {}
    for name, value in fields.items():
        cleaned[name] = _clean_one(workspace, name, value)
    return cleaned


def _clean_one(workspace: Workspace, name: str, value: Any) -> Any:
    loc = ("body", name)
    if name in _TEXTS or name == "company_name":
        return _text(value, loc, 200 if name == "company_name" else _max_length(name))
    match name:
        case "phone":
            return phones.normalize(str(value), region=workspace.default_region, loc=loc) if value else None
        case "email":
            return _email(value, loc)
        case "time_zone":
            return _zone(value, loc)
        case "custom":
            return _custom(value, loc)
        case "stage":
            if value not in Stage.values:
                raise InvalidInput(f"must be one of {', '.join(Stage.values)}", loc=loc, type_="enum")
            return value
        case "owner_id":
            if value and not Membership.objects.filter(workspace=workspace, user_id=value).exists():
                raise InvalidInput("no such user in this workspace", loc=loc, type_="missing")
            return value
        case "company_id":
            if value and not Company.objects.filter(workspace=workspace, pk=value).exists():
                raise InvalidInput("no such company", loc=loc, type_="missing")
            return value
    raise InvalidInput("no such field", loc=loc, type_="extra_forbidden")


def _max_length(name: str) -> int:
    length: int | None = getattr(Lead._meta.get_field(name), "max_length", None)
    return length or 4096


def _text(value: Any, loc: tuple[str, ...], limit: int) -> str:
    if not isinstance(value, str):
        raise InvalidInput("must be a text", loc=loc, type_="string_type")
    cleaned = storable.text(value).strip()
    if len(cleaned) > limit:
        raise InvalidInput(f"at most {limit} characters", loc=loc, type_="string_too_long")
    return cleaned


def _email(value: Any, loc: tuple[str, ...]) -> str | None:
    if not value:
        return None
    address = _text(value, loc, 254).lower()
    try:
        validate_email(address)
    except ValidationError as exc:
        raise InvalidInput("not an e-mail address", loc=loc, type_="email") from exc
    return address


def _zone(value: Any, loc: tuple[str, ...]) -> str:
    name = _text(value or "", loc, 64)
    if name and zones.zone(name) is None:
        raise InvalidInput("not an IANA time zone name", loc=loc, type_="time_zone")
    return name


def _custom(value: Any, loc: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput("must be an object", loc=loc, type_="dict_type")
    cleaned: dict[str, Any] = storable.json_value(value)
    if len(str(cleaned).encode()) > _CUSTOM_BYTES:
        raise InvalidInput(f"at most {_CUSTOM_BYTES} bytes", loc=loc, type_="too_long")
    return cleaned
