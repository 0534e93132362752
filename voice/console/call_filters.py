"""What the list of calls is narrowed by: the API's filters, plain dates, hours and days of the week."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import django_filters as df
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone

from tenex.lib import phone as phones
from tenex.rest import filters as strict
from tenex.rest.pagination import PAGE_PARAMETERS
from tenex.workspaces.models import Workspace
from voice.api.filters import CallFilters
from voice.models import Call, CallStatus, Direction, Outcome
from voice.selectors import agents as read_agents
from voice.selectors import batches as read_batches
from voice.selectors import calls as read

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class PageFilters(CallFilters):
    """In the current zone, which a page has set to the workspace's."""

    hour = df.NumberFilter("created_at__hour", min_value=0, max_value=23, decimal_places=0)
    weekday = df.NumberFilter("created_at__iso_week_day", min_value=1, max_value=7, decimal_places=0)


def asked(sent: QueryDict) -> QueryDict:
    """As the filters take it: no empty fields, several outcomes in one, plain dates as instants.

    A plain `to` includes its day.
    """
    kept = QueryDict(mutable=True)
    for name, values in sent.lists():
        meant = [value.strip() for value in values if value.strip()]
        if meant:
            kept[name] = ",".join(meant) if name == "outcome" else meant[-1]
    for name, days in (("from", 0), ("to", 1)):
        if (day := _day(kept.get(name, ""))) is not None:
            start = datetime.combine(day + timedelta(days=days), time(), timezone.get_current_timezone())
            kept[name] = start.isoformat()
    return kept


def _day(text: str) -> date | None:
    """A plain date of this or the last century's end; anything else is left to the filter."""
    try:
        found = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
    return found if found is not None and 1970 <= found.year < 2200 else None


def rows(workspace: Workspace, query: QueryDict) -> QuerySet[Call] | list[QuerySet[Call]]:
    """What :func:`tenex.rest.pagination.page` reads.

    Raises:
        InvalidInput, QueryInvalid: filters that make no sense.
    """
    found = strict.apply(PageFilters, query, read.shown(workspace))
    q = query.get("q", "").strip()
    return read.matching(found, q) if q else found


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form offers."""

    agents: list[Any]
    batches: list[Any]
    numbers: list[Any]
    outcomes: list[tuple[str, str]]
    directions: list[tuple[str, str]]
    statuses: list[tuple[str, str]]


def choices(workspace: Workspace) -> Choices:
    return Choices(
        agents=list(read_agents.every_agent(workspace).select_related(None).only("name")[:200]),
        batches=list(read_batches.named(workspace)),
        numbers=list(read_agents.numbers(workspace).only("e164", "label")[:200]),
        outcomes=list(Outcome.choices),
        directions=list(Direction.choices),
        statuses=list(CallStatus.choices),
    )


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is on, in words, and the page without it."""

    label: str
    href: str


def chips(sent: QueryDict, offered: Choices) -> list[Chip]:
    """One for each filter in the address, for each outcome one."""
    found: list[Chip] = []
    for name, values in sent.lists():
        if name in PAGE_PARAMETERS:
            continue
        meant = [part for value in values for part in value.split(",") if part.strip()]
        if not meant:
            continue
        if name == "outcome":
            for value in meant:
                rest = [other for other in meant if other != value]
                found.append(Chip(_in_words(name, value, offered), _without(sent, name, rest)))
        else:
            found.append(Chip(_in_words(name, meant[-1], offered), _without(sent, name, [])))
    return found


def _without(sent: QueryDict, name: str, rest: list[str]) -> str:
    kept = sent.copy()
    for page in PAGE_PARAMETERS:
        kept.pop(page, None)
    kept.pop(name, None)
    for empty in [key for key in kept if not str(kept[key]).strip()]:
        kept.pop(empty, None)
    if rest:
        kept.setlist(name, rest)
    return f"?{kept.urlencode()}"


def _in_words(name: str, value: str, offered: Choices) -> str:
    pairs = {"outcome": offered.outcomes, "direction": offered.directions, "status": offered.statuses}
    rows = {"agent_id": offered.agents, "batch_id": offered.batches, "number_id": offered.numbers}
    labels = {"agent_id": "Agent", "batch_id": "Batch", "number_id": "Number", "version": "Version"}
    if name in pairs:
        return dict(pairs[name]).get(value, value)
    if name in rows:
        return f"{labels[name]}: {_name(rows[name], value)}"
    match name:
        case "lead_id":
            return "One lead"
        case "needs_review":
            return "Needs review" if value == "true" else "Needs no review"
        case "from" | "to":
            return f"{name.capitalize()} {_date_in_words(value)}"
        case "hour" if value.isdigit():
            return f"{int(value):02}:00 to {int(value):02}:59"
        case "weekday" if value.isdigit() and 1 <= int(value) <= 7:
            return _DAYS[int(value) - 1]
        case "q":
            return f"“{value}”"
    return f"{labels.get(name, name)} {value}"


def _name(rows: list[Any], value: str) -> str:
    row = next((one for one in rows if str(one.pk) == value), None)
    if row is None:
        return "another one"
    e164 = getattr(row, "e164", "")
    return (row.label or phones.pretty(e164)) if e164 else (row.name or "without a name")


def _date_in_words(value: str) -> str:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    if at.tzinfo is not None:
        at = timezone.localtime(at)
    plain = f"{at:%b} {at.day}, {at.year}"
    return plain if len(value) == 10 else f"{plain}, {at:%H:%M}"
