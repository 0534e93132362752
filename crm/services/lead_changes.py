"""A lead in memory: taking values over, and what its events say. Pure but for the clock."""

from typing import Any

from crm.models import Company, Lead
from crm.selectors import leads as read
from crm.services import custom_values
from tenex.events import services as events
from tenex.lib.ids import uuid7

type Changes = dict[str, tuple[Any, Any]]


def assign(lead: Lead, values: dict[str, Any]) -> Changes:
    """Take cleaned values over; what changed, as (before, after). `company` stands for `company_id`.

    Raises:
        InvalidInput: custom fields that are too large together.
    """
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
