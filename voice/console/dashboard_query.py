"""What a reader of the dashboard asks for: a stretch of the calendar, and which calls."""

import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import QueryDict

from tenex.lib import periods
from tenex.lib.periods import Granularity, Period
from voice.models import Direction
from voice.selectors.metrics import Cut, Which

RANGES: Final = (("today", "Today"), ("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"))
DEFAULT_RANGE: Final = "30d"
_DAYS: Final = {"today": 1, "7d": 7, "30d": 30, "90d": 90}
MAX_DAYS: Final = 366
TIME_CUTS: Final = ("hour", "weekday")
CUTS: Final = (*(cut.value for cut in Cut), *TIME_CUTS)


@dataclass(slots=True)
class Asked:
    """A question that makes sense; `errors` is empty then. Wrong fields fall back to the standard."""

    range: str
    period: Period
    zone: ZoneInfo
    first: date
    last: date
    which: Which
    by: str = Cut.AGENT.value
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def granularity(self) -> Granularity:
        days = (self.last - self.first).days + 1
        if days <= 2:
            return Granularity.HOUR
        return Granularity.DAY if days <= 62 else Granularity.WEEK

    def query(self, **changes: object) -> str:
        """The address of this question, with some of it changed; None takes one away."""
        asked: dict[str, object] = {"range": self.range, **self.which.conditions(), "by": self.by}
        if self.range == "custom":
            asked |= {"from": self.first.isoformat(), "to": self.last.isoformat()}
        asked |= changes
        return f"?{urlencode({name: str(value) for name, value in asked.items() if value is not None})}"


def read(query: QueryDict, zone: ZoneInfo, now: datetime) -> Asked:
    """What the query asks for, in the calendar of `zone` at `now`."""
    errors: dict[str, str] = {}
    today = now.astimezone(zone).date()
    first, last = _date(query, "from", errors), _date(query, "to", errors)
    chosen = query.get("range") or ("custom" if first or last else DEFAULT_RANGE)
    if chosen != "custom" and chosen not in _DAYS:
        errors["range"] = "there is no such range"
        chosen = DEFAULT_RANGE
    if chosen == "custom":
        last = last or today
        first = first or last
        if problem := _wrong(first, last, today):
            errors.setdefault("from", problem)
        if errors:
            first, last = today, today
    else:
        first, last = today - timedelta(days=_DAYS[chosen] - 1), today
    end = min(periods.start_of_day(last + timedelta(days=1), zone), now)
    period = periods.utc(periods.start_of_day(first, zone), end)
    direction = query.get("direction") or None
    if direction is not None and direction not in Direction.values:
        errors["direction"] = "there is no such direction"
        direction = None
    which = Which(
        agent_id=_id(query, "agent_id", errors),
        number_id=_id(query, "number_id", errors),
        batch_id=_id(query, "batch_id", errors),
        direction=direction,
    )
    by = query.get("by") or Cut.AGENT.value
    if by not in CUTS:
        errors["by"] = "the calls cannot be told apart by that"
        by = Cut.AGENT.value
    return Asked(chosen, period, zone, first, last, which, by, errors)


def _wrong(first: date, last: date, today: date) -> str:
    if first > last:
        return "the first day must not be after the last"
    if first > today:
        return "the first day is still to come"
    if (last - first).days >= MAX_DAYS:
        return f"at most {MAX_DAYS} days"
    return ""


def _date(query: QueryDict, name: str, errors: dict[str, str]) -> date | None:
    text = query.get(name, "").strip()
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        errors[name] = "not a date"
        return None
    if not 2000 <= found.year < 2100:
        errors[name] = "must lie in this century"
        return None
    return found


def _id(query: QueryDict, name: str, errors: dict[str, str]) -> uuid.UUID | None:
    text = query.get(name, "").strip()
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        errors[name] = "not an id"
        return None
