"""What a lead's fields may hold: cleaning and checking, before any write."""

import uuid
from collections.abc import Iterable
from functools import cached_property
from typing import Any, TypedDict

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from crm.models import Company, CustomField, Lead, Stage
from crm.selectors import fields
from crm.services import custom_values
from tenex.errors import InvalidInput
from tenex.lib import phone as phones
from tenex.lib import places, storable, zones
from tenex.workspaces.models import Membership, Workspace


class LeadFields(TypedDict, total=False):
    """What may be written to a lead. Absent means: leave it."""

    first_name: str
    last_name: str
    title: str
    phone: str | None
    email: str | None
    time_zone: str
    country: str
    region: str
    source: str
    notes: str
    custom: dict[str, Any]
    stage: str
    owner_id: uuid.UUID | None
    company_id: uuid.UUID | None
    company_name: str


EDITABLE = tuple(LeadFields.__annotations__)
_TEXTS = ("first_name", "last_name", "title", "source", "notes")
_LONGEST = {"company_name": 200, "region": 60}


class Lookup:
    """What the checks need to know of a workspace; each thing is asked for once."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._companies: dict[uuid.UUID, bool] = {}

    @cached_property
    def customs(self) -> dict[str, CustomField]:
        """Definitions of the custom fields, by key."""
        return fields.by_key(self.workspace.id)

    @cached_property
    def members(self) -> dict[str, uuid.UUID]:
        """E-mail address -> id of the people who may own a lead."""
        found = Membership.objects.filter(workspace=self.workspace, user__is_active=True)
        return {email.lower(): pk for email, pk in found.values_list("user__email", "user_id")}

    def has_company(self, company_id: uuid.UUID) -> bool:
        if company_id not in self._companies:
            self.expect_companies([company_id])
        return self._companies[company_id]

    def expect_companies(self, ids: Iterable[uuid.UUID]) -> None:
        """Ask for many at once."""
        wanted = set(ids) - self._companies.keys()
        if wanted:
            there = set(
                Company.objects.filter(workspace=self.workspace, pk__in=wanted).values_list("pk", flat=True)
            )
            self._companies |= {one: one in there for one in wanted}


def clean(workspace: Workspace, given: LeadFields, lookup: Lookup | None = None) -> dict[str, Any]:
    """Columns and values to write; `company_name` stays as it is (the caller finds or makes the company).

    `custom` holds changes: None under a key takes it away. `default_country` is there if a region comes
    without a country: the one that it is of unless the lead has one.

    Raises:
        InvalidInput: with `loc` naming the field.
    """
    known = lookup or Lookup(workspace)
    values = {name: _clean_one(known, name, value) for name, value in given.items()}
    if values.get("region") and "country" not in values:
        values["default_country"] = workspace.default_region
    return values


def _clean_one(known: Lookup, name: str, value: Any) -> Any:
    loc = ("body", name)
    if name in _TEXTS or name in _LONGEST:
        # Which region a text means depends on the country: lead_changes.assign.
        return _text(value, loc, _LONGEST.get(name) or _max_length(name))
    match name:
        case "phone":
            region = known.workspace.default_region
            return phones.normalize(str(value), region=region, loc=loc) if value else None
        case "email":
            return _email(value, loc)
        case "time_zone":
            return _zone(value, loc)
        case "country":
            return _country(value, loc)
        case "custom":
            return _custom(known, value, loc)
        case "stage":
            if value not in Stage.values:
                raise InvalidInput(f"must be one of {', '.join(Stage.values)}", loc=loc, type_="enum")
            return value
        case "owner_id":
            if value and value not in known.members.values():
                raise InvalidInput("no such user in this workspace", loc=loc, type_="missing")
            return value
        case "company_id":
            if value and not known.has_company(value):
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


def _country(value: Any, loc: tuple[str, ...]) -> str:
    code = places.country_code(_text(value or "", loc, 60))
    if code is None:
        raise InvalidInput("not a country: its ISO code, or its English name", loc=loc, type_="country")
    return code


def _custom(known: Lookup, value: Any, loc: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput("must be an object", loc=loc, type_="dict_type")
    cleaned: dict[str, Any] = storable.json_value(value)
    custom_values.merged({}, cleaned, loc)  # the size alone
    for key, inner in cleaned.items() if cleaned and known.customs else ():
        if inner is not None and key in known.customs:
            cleaned[key] = custom_values.checked(known.customs[key], inner, (*loc, key))
    return cleaned
