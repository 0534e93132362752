"""Figures of calls over a stretch of time (docs/metrics.md). Exact at every instant, in one statement.

Hours that are summed up and have not changed since come from their rows; hours with a due row (the present
one, and those that somebody changed a moment ago) and hours that a bucket's edge cuts in two are counted from
their calls.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from operator import add
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection

from tenex.lib.periods import Period, hour_of, split_hours
from tenex.workspaces.models import Workspace
from voice.models.calls import UNFINALIZED
from voice.selectors.measures import BUCKETS, COLUMNS, FROM_CALLS, MEASURES, OF_CALL, TURNS, sums

_PLAIN = (*MEASURES, *TURNS)


@dataclass(frozen=True, slots=True)
class Which:
    """Which calls: all that are given must hold."""

    agent_id: uuid.UUID | None = None
    number_id: uuid.UUID | None = None
    batch_id: uuid.UUID | None = None
    direction: str | None = None

    def conditions(self) -> dict[str, Any]:
        """Column -> value."""
        names = ("agent_id", "number_id", "batch_id", "direction")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(slots=True)
class Tally:
    """Sums over some calls: `open` is how many are not finalized yet, `sums` is about those that are."""

    open: int = 0
    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_PLAIN, 0))
    histogram: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def add(self, waiting: int, numbers: Sequence[int]) -> None:
        """Open calls, and sums in the order of the columns."""
        self.open += waiting
        for name, number in zip(_PLAIN, numbers, strict=False):
            self.sums[name] += number
        self.histogram = list(map(add, self.histogram, numbers[len(_PLAIN) :]))

    def merge(self, other: "Tally") -> None:
        """Take the calls of another tally in."""
        self.add(other.open, [*other.sums.values(), *other.histogram])


def tallies(workspace: Workspace, periods: Sequence[Period], which: Which) -> list[Tally]:
    """One tally for each of `periods`, which follow on each other without a gap."""
    edges = [period.start for period in periods]
    found = [Tally() for _ in periods]
    whole = Period(edges[0], periods[-1].end)
    bucket = "width_bucket({at}, %(edges)s::timestamptz[])"
    key = _Key(bucket.format(at="m.hour"), bucket.format(at="c.created_at"))
    split = split_hours([*edges, whole.end])
    for place, waiting, numbers in _read(workspace, whole, which, key, {"edges": edges, "split": split}):
        found[place - 1].add(waiting, numbers)
    return found


class Cut(StrEnum):
    """What figures can be told apart by."""

    AGENT = "agent"
    VERSION = "version"
    NUMBER = "number"
    BATCH = "batch"


def tallies_by(workspace: Workspace, period: Period, which: Which, cut: Cut) -> dict[uuid.UUID | None, Tally]:
    """Tallies of one period by the id of agent, version, number or batch; None: the calls without one.

    Versions are not in the hours that are summed up: they are counted from all calls of the period.
    """
    column = "agent_version_id" if cut == Cut.VERSION else f"{cut.value}_id"
    if cut == Cut.VERSION:
        key, split = _Key("NULL::uuid", f"c.{column}", parts=True), _hours(period)
    else:
        key, split = _Key(f"m.{column}", f"c.{column}", parts=True), split_hours([period.start, period.end])
    found: dict[uuid.UUID | None, Tally] = {}
    for row_id, waiting, numbers in _read(workspace, period, which, key, {"split": split}):
        found.setdefault(row_id, Tally()).add(waiting, numbers)
    return found


def tallies_by_slot(
    workspace: Workspace, period: Period, which: Which, zone: ZoneInfo
) -> dict[tuple[int, int], Tally]:
    """Tallies of one period by (ISO weekday, hour of the day) on the clock of `zone`; without empty ones."""
    slots, split = _slots(period, zone)
    slot = f"(%(slots)s::int[])[1 + floor(extract(epoch FROM {{at}} - %(first_hour)s) / {_QUARTER_S})::int]"
    key = _Key(slot.format(at="m.hour"), slot.format(at="c.created_at"))
    split = sorted({*split, *split_hours([period.start, period.end])})
    found: dict[tuple[int, int], Tally] = {}
    for place, waiting, numbers in _read(workspace, period, which, key, {"slots": slots, "split": split}):
        found.setdefault(divmod(place, 24), Tally()).add(waiting, numbers)
    return found


_QUARTER_S: Final = 900
"""Zones differ by quarters of an hour."""


def _hours(period: Period) -> list[datetime]:
    """All hours of UTC that a period touches."""
    first = hour_of(period.start)
    count = -((first - period.end) // timedelta(hours=1))
    return [first + timedelta(hours=n) for n in range(count)]


def _slots(period: Period, zone: ZoneInfo) -> tuple[list[int], list[datetime]]:
    """Weekday * 24 + hour in `zone` of each quarter of an hour, and the hours whose quarters differ."""
    slots: list[int] = []
    split = []
    for hour in _hours(period):
        local = [(hour + timedelta(seconds=_QUARTER_S * n)).astimezone(zone) for n in range(4)]
        four = [at.isoweekday() * 24 + at.hour for at in local]
        slots += four
        if four[0] != four[3]:
            split.append(hour)
    return slots, split


@dataclass(frozen=True, slots=True)
class _Key:
    """The key of a summed up row `m` and of a call `c`; `parts`: rows of all calls do not know it."""

    of_row: str
    of_call: str
    parts: bool = False


def _read(
    workspace: Workspace, period: Period, which: Which, key: _Key, values: dict[str, Any]
) -> list[tuple[Any, int, list[int]]]:
    """(key, open calls, sums in the order of the columns); a key may come more than once."""
    values = {
        "workspace": workspace.pk,
        "start": period.start,
        "end": period.end,
        "first_hour": hour_of(period.start),
        **which.conditions(),
        **values,
    }
    with connection.cursor() as cursor:
        cursor.execute(_statement(which, key), values)
        return [(place, waiting, list(map(int, numbers))) for place, waiting, *numbers in cursor.fetchall()]


_OF_ROWS = ", ".join(
    [
        *(f"sum(m.{name})::bigint" for name in _PLAIN),
        *(f"sum(m.histogram[{n + 1}])::bigint" for n in range(BUCKETS)),
    ]
)
_ZEROS = ", ".join(["0"] * len(COLUMNS))
_OPEN = ", ".join(f"'{status}'" for status in UNFINALIZED)


def _statement(which: Which, key: _Key) -> str:
    """The statement for these conditions and this key; values are parameters. Each part adds up its own."""
    names = list(which.conditions())
    of_rows = "".join(f" AND m.{name} = %({name})s" for name in names)
    of_calls = "".join(f" AND c.{name} = %({name})s" for name in names)
    of_all = set(names) <= {"direction"} and not key.parts
    return f"""
WITH raw_hour AS MATERIALIZED (
  SELECT hour FROM voice_metricsdue
  WHERE workspace_id = %(workspace)s AND hour >= %(first_hour)s AND hour < %(end)s
  UNION SELECT unnest(%(split)s::timestamptz[])
), call AS MATERIALIZED (
  SELECT one.* FROM raw_hour r CROSS JOIN LATERAL (
    SELECT {key.of_call} AS bucket, {OF_CALL}
    FROM {FROM_CALLS}
    WHERE c.workspace_id = %(workspace)s AND c.status = 'finalized' AND NOT c.is_test{of_calls}
      AND c.created_at >= greatest(r.hour, %(start)s)
      AND c.created_at < least(r.hour + interval '1 hour', %(end)s)
    OFFSET 0 -- hour by hour, each a range of the index
  ) AS one
), counted (bucket, {", ".join(COLUMNS)}) AS ({sums("call", "bucket")})
SELECT {key.of_row} AS bucket, 0, {_OF_ROWS}
FROM voice_metricshour m
WHERE m.workspace_id = %(workspace)s AND m.is_total = {of_all}
  AND m.hour >= %(first_hour)s AND m.hour < %(end)s{of_rows}
  AND NOT EXISTS (SELECT FROM raw_hour r WHERE r.hour = m.hour)
GROUP BY bucket
UNION ALL
SELECT bucket, 0, {", ".join(COLUMNS)} FROM counted
UNION ALL
SELECT {key.of_call} AS bucket, count(*), {_ZEROS}
FROM voice_call c
WHERE c.workspace_id = %(workspace)s AND c.status IN ({_OPEN}) AND NOT c.is_test{of_calls}
  AND c.created_at >= %(start)s AND c.created_at < %(end)s
GROUP BY bucket
"""  # noqa: S608 - made of the constants above and names of columns
