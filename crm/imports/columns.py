"""Which column of a file is which field of a lead, and a row as the lead's fields. Pure."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from crm.models import ConsentPurpose, CustomField, Stage
from crm.services.custom_values import KEY, from_text
from crm.services.lead_fields import LeadFields
from tenex.errors import InvalidInput
from tenex.lib import storable

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "first_name": ("firstname", "givenname", "forename", "vorname", "prenom", "nombre"),
    "last_name": ("lastname", "surname", "familyname", "nachname", "apellido", "apellidos"),
    "full_name": ("fullname", "name", "contact", "contactname", "leadname"),
    "title": ("title", "jobtitle", "position", "role"),
    "phone": (
        "phone", "phonenumber", "telephone", "telephonenumber", "tel", "mobile", "mobilephone",
        "mobilenumber", "cell", "cellphone", "number", "telefon", "telefono", "handy",
    ),
    "email": ("email", "emailaddress", "mail", "correo"),
    "organization": (
        "organization", "organisation", "company", "companyname", "account", "accountname", "firm", "firma",
        "business", "empresa",
    ),
    "time_zone": ("timezone", "tz", "zone"),
    "country": ("country", "countrycode", "land", "pays", "pais"),
    "region": ("region", "state", "province", "stateprovince", "statecode", "provincecode", "bundesland"),
    "source": ("source", "leadsource", "origin"),
    "notes": ("notes", "note", "comment", "comments", "description"),
    "stage": ("stage", "leadstage", "leadstatus"),
    "owner": ("owner", "owneremail", "leadowner", "assignedto"),
}  # fmt: skip
"""Target -> headers that mean it, in small letters, without anything but letters and digits."""

CONSENT: Final[dict[str, tuple[str, ...]]] = {
    "consent.given_at": ("consentgivenat", "consentdate", "consentat", "consentedat", "optindate"),
    "consent.source": ("consentsource", "optinsource"),
    "consent.proof": ("consentproof", "consenttext", "consenturl", "optinproof"),
    "consent.purpose": ("consentpurpose",),
}
"""Targets that make a consent of the row's lead, as FIELDS; a row with one of them has `consent.given_at`."""
_KNOWN: Final = {header: field for field, headers in (FIELDS | CONSENT).items() for header in headers}
_STAGES: Final = {name.lower(): value for value, label in Stage.choices for name in (value, label)}
VARIABLES: Final = "variables."
"""Target of a column whose cells go with the row, not to the lead: `variables.<name>`."""
MAX_VARIABLES: Final = 50
MAX_VARIABLE_CHARS: Final = 2000
_VARIABLE: Final = re.compile(r"[A-Za-z_]\w{0,60}", re.ASCII)
_FORMULA: Final = re.compile(r"'(?=[=+\-@\t\r\n])")

type Columns = Sequence[tuple[str, str | None]]
"""(header, target) in the order of the file; None: not read."""


def plan(
    headers: Sequence[str],
    explicit: Mapping[str, str | None],
    customs: Mapping[str, CustomField],
    *,
    variables: bool = False,
) -> list[tuple[str, str | None]]:
    """What each column means: what the client says, else what its header says.

    `variables`: what is no field of a lead is a variable of the row, by the name that its header makes.

    Raises:
        InvalidInput: `loc` = ("mapping", header) or ("header",).
    """
    names = [" ".join(header.split()) for header in headers]
    for header, target in explicit.items():
        if header not in names:
            raise InvalidInput("the file has no such column", loc=("mapping", header), type_="missing")
        if target is not None and not _is_target(target, variables=variables):
            raise InvalidInput("no such field", loc=("mapping", header), type_="extra_forbidden")
    taken = {target for target in explicit.values() if target}
    if len(taken) < len([target for target in explicit.values() if target]):
        raise InvalidInput("two columns for one field", loc=("mapping",), type_="duplicate")
    columns: list[tuple[str, str | None]] = []
    for name in names:
        if name in explicit:
            target = explicit[name]
        else:
            target = _guess(name, customs) or (_variable(name) if variables else None)
            target = None if target in taken else target  # the first of two columns counts
        if target:
            taken.add(target)
        columns.append((name, target))
    if sum(bool(target) and str(target).startswith(VARIABLES) for _, target in columns) > MAX_VARIABLES:
        raise InvalidInput(
            f"more than {MAX_VARIABLES} columns are variables; map some to null",
            loc=("header",),
            type_="too_long",
        )
    if not any(target and not target.startswith((VARIABLES, "consent.")) for _, target in columns):
        raise InvalidInput(
            "no column is known; name them in `mapping`, or check the delimiter",
            loc=("header",),
            type_="missing",
        )
    return columns


def _is_target(target: str, *, variables: bool) -> bool:
    if variables and target.startswith(VARIABLES):
        return _VARIABLE.fullmatch(target.removeprefix(VARIABLES)) is not None
    return (
        target in FIELDS
        or target in CONSENT
        or (target.startswith("custom.") and KEY.fullmatch(target.removeprefix("custom.")) is not None)
    )


def _variable(header: str) -> str | None:
    """`Plan tier (2026)` is `variables.plan_tier_2026`; nothing for a header without a letter or digit."""
    name = re.sub(r"[^a-z0-9]+", "_", header.lower().removeprefix(VARIABLES)).strip("_")[:60]
    if not name:
        return None
    return f"{VARIABLES}{name}" if name[0].isalpha() else f"{VARIABLES}_{name}"


def _guess(header: str, customs: Mapping[str, CustomField]) -> str | None:
    lowered = header.lower()
    if not lowered:
        return None
    if lowered.startswith("custom.") and KEY.fullmatch(lowered.removeprefix("custom.")):
        return lowered
    plain = re.sub(r"[^a-z0-9]", "", lowered)
    if plain in _KNOWN:
        return _KNOWN[plain]
    for key, field in customs.items():
        if lowered in (key, field.label.lower()):
            return f"custom.{key}"
    return None


def row(
    columns: Columns,
    cells: Sequence[str],
    customs: Mapping[str, CustomField],
    members: Mapping[str, uuid.UUID],
) -> LeadFields | None:
    """The fields that the cells give; an empty cell gives nothing. None: every cell is empty.

    Raises:
        InvalidInput: `loc` ends with the target that is wrong, see :func:`header_of`.
    """
    if not any(cell.strip() for cell in cells):
        return None
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise InvalidInput(
            f"{len(cells)} cells, but the header has {len(columns)}", loc=("row",), type_="too_many_cells"
        )
    given: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    for (_, target), cell in zip(columns, cells, strict=False):
        text = _text(cell)
        if not target or not text or target.startswith((VARIABLES, "consent.")):
            continue
        if target.startswith("custom."):
            key = target.removeprefix("custom.")
            custom[key] = from_text(customs.get(key), text, ("body", "custom", key))
        else:
            given[target] = text
    if custom:
        given["custom"] = custom
    if not given:
        raise InvalidInput("nothing in any column that is read", loc=("row",), type_="missing")
    return _fields(given, members)


def variables(columns: Columns, cells: Sequence[str]) -> dict[str, str]:
    """The variables that the cells give, by name; an empty cell gives none.

    Raises:
        InvalidInput: one is too long.
    """
    found = {}
    for (_, target), cell in zip(columns, cells, strict=False):
        if target and target.startswith(VARIABLES) and (text := _text(cell)):
            if len(text) > MAX_VARIABLE_CHARS:
                raise InvalidInput(
                    f"longer than {MAX_VARIABLE_CHARS} characters", loc=("body", target), type_="max_length"
                )
            found[target.removeprefix(VARIABLES)] = storable.text(text)
    return found


@dataclass(frozen=True, slots=True)
class Agreed:
    """The consent that a row tells of."""

    given_at: datetime
    purpose: str = ConsentPurpose.MARKETING
    source: str = "import"
    proof: str = ""


def consent(columns: Columns, cells: Sequence[str], zone: tzinfo) -> Agreed | None:
    """What the cells say of a consent; None: nothing. A day alone is its beginning in `zone`.

    Raises:
        InvalidInput: no instant, one that is still to come, a purpose that there is not.
    """
    said = {
        target: text
        for (_, target), cell in zip(columns, cells, strict=False)
        if target in CONSENT and (text := _text(cell))
    }
    if not said:
        return None
    place = ("body", "consent.given_at")
    raw = said.get("consent.given_at", "")
    try:
        at = datetime.fromisoformat(raw)
    except ValueError as exc:
        wrong = "when was it given?" if not raw else "not an ISO 8601 date or time"
        raise InvalidInput(wrong, loc=place, type_="datetime_parsing" if raw else "missing") from exc
    at = at if at.tzinfo else at.replace(tzinfo=zone)
    if at > datetime.now(UTC):
        raise InvalidInput("must not be in the future", loc=place, type_="in_the_future")
    purpose = said.get("consent.purpose", ConsentPurpose.MARKETING.value).lower()
    if purpose not in ConsentPurpose.values:
        allowed = ", ".join(ConsentPurpose.values)
        raise InvalidInput(f"must be one of {allowed}", loc=("body", "consent.purpose"), type_="enum")
    source = storable.text(said.get("consent.source", "import"))[:120]
    return Agreed(at, purpose, source, storable.text(said.get("consent.proof", ""))[:4096])


def _text(cell: str) -> str:
    """Without the blanks around it, and without the apostrophe that keeps a formula from running."""
    text = cell.strip()
    return _FORMULA.sub("", text, count=1) if text.startswith("'") else text


def _fields(given: dict[str, Any], members: Mapping[str, uuid.UUID]) -> LeadFields:
    """Targets that stand for something else, made into fields."""
    if name := given.pop("full_name", None):
        first, last = _split(name)
        given.setdefault("first_name", first)
        given.setdefault("last_name", last)
    if organization := given.pop("organization", None):
        given["company_name"] = organization
    if stage := given.get("stage"):
        given["stage"] = _STAGES.get(stage.lower(), stage)
    if owner := given.pop("owner", None):
        owner_id = members.get(owner.lower())
        if owner_id is None:
            raise InvalidInput(
                "no member of this workspace has this e-mail", loc=("body", "owner"), type_="missing"
            )
        given["owner_id"] = owner_id
    fields: LeadFields = given  # type: ignore[assignment]
    return fields


def _split(name: str) -> tuple[str, str]:
    """First and last name: `Maria del Mar Lopez`, `Lopez, Maria`."""
    if "," in name:
        last, _, first = name.partition(",")
        return first.strip(), last.strip()
    first, _, last = name.rpartition(" ")
    return (first.strip(), last) if first else (last, "")


_TARGETS: Final = {"company_name": "organization", "owner_id": "owner"}


def header_of(columns: Columns, loc: Sequence[str | int]) -> str:
    """The header of the column that an error is about; empty if it is about the whole row."""
    parts = [str(part) for part in loc if part != "body"]
    target = (
        _TARGETS.get(parts[0], ".".join(parts[:2]) if parts[0] == "custom" else parts[0]) if parts else ""
    )
    found = next((header for header, one in columns if one == target), "")
    if not found and target in ("first_name", "last_name"):
        return next((header for header, one in columns if one == "full_name"), "")
    return found
