"""A lead in memory: taking values over, and what its events say. Pure but for the clock."""

from typing import Any

from crm.models import Company, Lead
from crm.selectors import leads as read
from crm.services import custom_values
from tenex.errors import InvalidInput
from tenex.events import services as events
from tenex.lib import places
from tenex.lib.ids import uuid7

type Changes = dict[str, tuple[Any, Any]]


def assign(lead: Lead, values: dict[str, Any]) -> Changes:
    """Take cleaned values over; what changed, as (before, after). `company` stands for `company_id`.

    Raises:
        InvalidInput: custom fields that are too large together, a region that the country does not have.
    """
    values = _placed(lead, values)
    if "custom" in values:  # first: what is refused must not leave half of the rest behind
        values = {**values, "custom": custom_values.merged(lead.custom, values["custom"], ("body", "custom"))}
    changes: Changes = {}
    for name, after in values.items():
        before = getattr(lead, name)
        if before != after:
            setattr(lead, name, after)
            if isinstance(before, Company) or isinstance(after, Company):
                name, before, after = "company_id", before and before.pk, after and after.pk  # noqa: PLW2901
            changes[name] = (before, after)
    return changes


def _placed(lead: Lead, values: dict[str, Any]) -> dict[str, Any]:
    """With the region as a code of the country that the lead then has; another country's is taken away."""
    values = dict(values)
    default_country = values.pop("default_country", "")
    if "country" not in values and "region" not in values:
        return values
    country = values.get("country", lead.country) or default_country
    region = places.region_code(country, values.get("region", lead.region))
    if region is None and values.get("region"):
        what = f"not a region of {country}" if country else "name the country too"
        raise InvalidInput(what, loc=("body", "region"), type_="region")
    return {**values, "country": country, "region": region or ""}


def created(lead: Lead, actor: str) -> events.Fact:
    """`lead.created`, which can happen once a lead."""
    data = {"lead_id": str(lead.id), "lead": read.facts(lead), "actor": actor}
    return events.Fact("lead.created", data, once=str(lead.id))


def updated(lead: Lead, changes: Changes, actor: str) -> events.Fact:
    """`lead.updated` with before and after."""
    return events.Fact("lead.updated", updated_data(lead, changes, actor), once=str(uuid7()))


def updated_data(lead: Lead, changes: Changes, actor: str) -> dict[str, Any]:
    return {
        "lead_id": str(lead.id),
        "lead": read.facts(lead),
        "changes": {
            name: {"from": read.plain(before), "to": read.plain(after)}
            for name, (before, after) in changes.items()
        },
        "actor": actor,
    }
