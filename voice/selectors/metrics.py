"""Figures of calls over a stretch of time (docs/metrics.md). Exact at every instant, in one statement.

Hours that are summed up and have not changed since come from their rows; hours with a due row (the present
one, and those that somebody changed a moment ago) and hours that a bucket's edge cuts in two are counted from
their calls.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import add
from typing import Any

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


def tallies(workspace: Workspace, periods: Sequence[Period], which: Which) -> list[Tally]:
    """One tally for each of `periods`, which follow on each other without a gap."""
    edges = [period.start for period in periods]
    start, end = edges[0], periods[-1].end
    values = {
        "workspace": workspace.pk,
        "edges": edges,
        "start": start,
        "end": end,
        "first_hour": hour_of(start),
        "split": split_hours([*edges, end]),
        **which.conditions(),
    }
    found = [Tally() for _ in periods]
    with connection.cursor() as cursor:
        cursor.execute(_statement(which), values)
        for bucket, waiting, *numbers in cursor.fetchall():
            found[bucket - 1].add(waiting, list(map(int, numbers)))
    return found


_OF_ROWS = ", ".join(
    [
        *(f"sum(m.{name})::bigint" for name in _PLAIN),
        *(f"sum(m.histogram[{n + 1}])::bigint" for n in range(BUCKETS)),
    ]
)
_ZEROS = ", ".join(["0"] * len(COLUMNS))
_OPEN = ", ".join(f"'{status}'" for status in UNFINALIZED)


def _statement(which: Which) -> str:
    """The statement for these conditions; their values are parameters. Each part adds up its own."""
    names = list(which.conditions())
    of_rows = "".join(f" AND m.{name} = %({name})s" for name in names)
    of_calls = "".join(f" AND c.{name} = %({name})s" for name in names)
    of_all = set(names) <= {"direction"}
    return f"""
WITH raw_hour AS MATERIALIZED (
  SELECT hour FROM voice_metricsdue
  WHERE workspace_id = %(workspace)s AND hour >= %(first_hour)s AND hour < %(end)s
  UNION SELECT unnest(%(split)s::timestamptz[])
), call AS MATERIALIZED (
  SELECT one.* FROM raw_hour r CROSS JOIN LATERAL (
    SELECT width_bucket(c.created_at, %(edges)s::timestamptz[]) AS bucket, {OF_CALL}
    FROM {FROM_CALLS}
    WHERE c.workspace_id = %(workspace)s AND c.status = 'finalized' AND NOT c.is_test{of_calls}
      AND c.created_at >= greatest(r.hour, %(start)s)
      AND c.created_at < least(r.hour + interval '1 hour', %(end)s)
    OFFSET 0 -- hour by hour, each a range of the index
  ) AS one
), counted (bucket, {", ".join(COLUMNS)}) AS ({sums("call", "bucket")})
SELECT width_bucket(m.hour, %(edges)s::timestamptz[]) AS bucket, 0, {_OF_ROWS}
FROM voice_metricshour m
WHERE m.workspace_id = %(workspace)s AND m.is_total = {of_all}
  AND m.hour >= %(first_hour)s AND m.hour < %(end)s{of_rows}
  AND NOT EXISTS (SELECT FROM raw_hour r WHERE r.hour = m.hour)
GROUP BY bucket
UNION ALL
SELECT bucket, 0, {", ".join(COLUMNS)} FROM counted
UNION ALL
SELECT width_bucket(c.created_at, %(edges)s::timestamptz[]) AS bucket, count(*), {_ZEROS}
FROM voice_call c
WHERE c.workspace_id = %(workspace)s AND c.status IN ({_OPEN}) AND NOT c.is_test{of_calls}
  AND c.created_at >= %(start)s AND c.created_at < %(end)s
GROUP BY bucket
"""  # noqa: S608 - made of the constants above and names of columns
