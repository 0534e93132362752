"""The form of a lead: what it shows, what is typed, what is wrong with it."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import QueryDict

from crm.models import CustomField, FieldType, Lead, Stage
from crm.services import custom_values
from crm.services.lead_fields import LeadFields, Lookup
from tenex.errors import Conflict, InvalidInput
from tenex.workspaces.models import Workspace

TEXTS: Final = (
    ("first_name", "First name", "given-name", 100),
    ("last_name", "Last name", "family-name", 100),
    ("title", "Title", "organization-title", 120),
    ("company_name", "Company", "organization", 200),
    ("phone", "Phone", "tel", 40),
    ("email", "E-mail", "email", 254),
    ("time_zone", "Time zone", "", 64),
    ("country", "Country", "country-name", 60),
    ("region", "State or province", "address-level1", 60),
    ("source", "Source", "", 80),
)
HELP: Final = {
    "phone": "International, or national of your region.",
    "time_zone": "As the lead said it: Europe/Madrid. Their clock decides when they are called.",
    "country": "ISO code or English name.",
    "source": "Where the lead came from.",
}
_CUSTOM: Final = "custom."


@dataclass(frozen=True, slots=True)
class Input:
    """One field: `kind` is text, area, choice, number, date or yes_no; `choices` has (value, label)."""

    name: str
    label: str
    value: str = ""
    kind: str = "text"
    help: str = ""
    error: str = ""
    most: int = 1000
    autocomplete: str = ""
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class LeadForm:
    """`given` is what was typed, by field; `errors` what is wrong, by field; `twin` a lead that is there."""

    given: dict[str, str]
    inputs: list[Input]
    custom: list[Input]
    errors: dict[str, str] = field(default_factory=dict)
    twin: uuid.UUID | None = None


def of_lead(lead: Lead | None) -> dict[str, str]:
    """What the form of a lead holds at first."""
    if lead is None:
        return {}
    given = {name: str(getattr(lead, name) or "") for name, *_ in TEXTS if name != "company_name"}
    given |= {
        "company_name": lead.company.name if lead.company else "",
        "stage": lead.stage,
        "owner_id": str(lead.owner_id or ""),
        "notes": lead.notes,
    }
    given |= {f"{_CUSTOM}{key}": _as_text(value) for key, value in lead.custom.items()}
    return given


def form(
    workspace: Workspace,
    given: Mapping[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    twin: uuid.UUID | None = None,
) -> LeadForm:
    """The form with values and errors."""
    lookup, wrong = Lookup(workspace), dict(errors or {})
    values = dict(given)

    def one(name: str, label: str, **more: Any) -> Input:
        return Input(name, label, values.get(name, ""), error=wrong.get(name, ""), **more)

    owners = (("", "Nobody"), *((str(pk), email) for email, pk in lookup.members.items()))
    inputs = [
        one(name, label, help=HELP.get(name, ""), autocomplete=auto, most=most)
        for name, label, auto, most in TEXTS
    ]
    inputs += [
        one("stage", "Stage", kind="choice", choices=tuple(Stage.choices)),
        one("owner_id", "Owner", kind="choice", choices=owners),
        one("notes", "Notes", kind="area", most=4096),
    ]
    return LeadForm(
        values, inputs, [_custom_input(key, known, one) for key, known in lookup.customs.items()], wrong, twin
    )


def _custom_input(key: str, known: CustomField, one: Callable[..., Input]) -> Input:
    name, label = f"{_CUSTOM}{key}", known.label or key
    match FieldType(known.type):
        case FieldType.CHOICE:
            choices = (("", "–"), *((each, each) for each in known.choices))
            return one(name, label, kind="choice", choices=choices)
        case FieldType.BOOLEAN:
            return one(name, label, kind="choice", choices=(("", "–"), ("true", "Yes"), ("false", "No")))
        case FieldType.NUMBER:
            return one(name, label, kind="number")
        case FieldType.DATE:
            return one(name, label, kind="date")
        case FieldType.TEXT:
            return one(name, label)


def texts(sent: QueryDict) -> dict[str, str]:
    """What was sent, the last value of each name."""
    return {name: str(value) for name, value in sent.items()}


def fields_of(workspace: Workspace, sent: Mapping[str, str]) -> LeadFields:
    """What was sent, as the service takes it; an empty field takes its value away.

    Raises:
        InvalidInput: a custom field that is not of its type.
    """
    given: dict[str, Any] = {name: sent[name].strip() for name, *_ in TEXTS if name in sent}
    if "notes" in sent:
        given["notes"] = sent["notes"]
    if sent.get("stage"):
        given["stage"] = sent["stage"]
    if "owner_id" in sent:
        given["owner_id"] = _id(sent["owner_id"])
    if "company_name" in given and not given["company_name"]:
        del given["company_name"]
        given["company_id"] = None
    customs = Lookup(workspace).customs
    custom: dict[str, Any] = {}
    for name in sent:
        key = name.removeprefix(_CUSTOM)
        if name.startswith(_CUSTOM) and key in customs:
            text = sent[name].strip()
            loc = ("body", "custom", key)
            custom[key] = custom_values.from_text(customs[key], text, loc) if text else None
    if custom:
        given["custom"] = custom
    fields: LeadFields = given  # type: ignore[assignment]
    return fields


def problem(exc: InvalidInput | Conflict) -> dict[str, str]:
    """What is wrong, by the name of the field in the form."""
    if isinstance(exc, Conflict):
        return {"phone": exc.detail[:1].upper() + exc.detail[1:] + "."}
    parts = [str(part) for part in exc.loc if part != "body"]
    name = ".".join(parts[:2]) if parts and parts[0] == "custom" else parts[0] if parts else "first_name"
    return {{"company_id": "company_name"}.get(name, name): exc.detail}


def twin_of(exc: Conflict) -> uuid.UUID | None:
    """The lead that is there already."""
    found = exc.extra.get("lead_id")
    return uuid.UUID(str(found)) if found else None


def _id(text: str) -> uuid.UUID | None:
    if not text.strip():
        return None
    try:
        return uuid.UUID(text.strip())
    except ValueError as exc:
        raise InvalidInput("no such user in this workspace", loc=("body", "owner_id")) from exc


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
