"""Figures of calls over a stretch of time (docs/metrics.md). Exact at every instant, in one statement.

Hours that are summed up and have not changed since come from their rows; hours with a due row (the present
one, and those that somebody changed a moment ago) are counted from their calls. Of an hour that an edge cuts
in pieces the longest has the row, and the calls of the others are counted and taken off it.
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

from tenex.lib.periods import Period, hour_of, pieces_of_hours
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

    def is_of_calls(self) -> bool:
        """Whether there are any."""
        return bool(self.open or self.sums["calls"])

    def merge(self, other: "Tally") -> None:
        """Take the calls of another tally in."""
        self.add(other.open, [*other.sums.values(), *other.histogram])


def tallies(workspace: Workspace, periods: Sequence[Period], which: Which) -> list[Tally]:
    """One tally for each of `periods`, which follow on each other without a gap."""
    edges = [period.start for period in periods]
    found = [Tally() for _ in periods]
    whole = Period(edges[0], periods[-1].end)
    bucket = "width_bucket({at}, %(edges)s::timestamptz[])"
    split = _split(whole, [*edges, whole.end])
    for place, waiting, numbers in _read(workspace, whole, which, _Key(bucket), split, {"edges": edges}):
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
    if cut == Cut.VERSION:
        key, split = _Key("NULL::uuid", "c.agent_version_id"), _no_rows(period)
    else:
        column = f"{cut.value}_id"
        key, split = _Key(f"m.{column}", f"c.{column}"), _split(period, [period.start, period.end])
    found: dict[uuid.UUID | None, Tally] = {}
    for row_id, waiting, numbers in _read(workspace, period, which, key, split, {}):
        found.setdefault(row_id, Tally()).add(waiting, numbers)
    return {row_id: tally for row_id, tally in found.items() if tally.is_of_calls()}


def tallies_by_slot(
    workspace: Workspace, period: Period, which: Which, zone: ZoneInfo
) -> dict[tuple[int, int], Tally]:
    """Tallies of one period by (ISO weekday, hour of the day) on the clock of `zone`; without empty ones."""
    slots, edges = _slots(period, zone)
    slot = f"(%(slots)s::int[])[1 + floor(extract(epoch FROM {{at}} - %(first_hour)s) / {_QUARTER_S})::int]"
    split = _split(period, [*edges, period.start, period.end])
    found: dict[tuple[int, int], Tally] = {}
    for place, waiting, numbers in _read(workspace, period, which, _Key(slot), split, {"slots": slots}):
        found.setdefault(divmod(place, 24), Tally()).add(waiting, numbers)
    return {place: tally for place, tally in found.items() if tally.is_of_calls()}


_QUARTER_S: Final = 900
"""Zones differ by quarters of an hour."""


def _slots(period: Period, zone: ZoneInfo) -> tuple[list[int], list[datetime]]:
    """Weekday * 24 + hour in `zone` of each quarter of an hour from the first hour on; where it changes."""
    first = hour_of(period.start)
    count = -((first - period.end) // timedelta(seconds=_QUARTER_S))
    quarters = [first + timedelta(seconds=_QUARTER_S * n) for n in range(count + 4)]
    local = [at.astimezone(zone) for at in quarters]
    slots = [at.isoweekday() * 24 + at.hour for at in local]
    return slots, [at for at, old, new in zip(quarters[1:], slots, slots[1:], strict=False) if old != new]


def _split(period: Period, edges: list[datetime]) -> dict[str, list[Any]]:
    """The hours that an edge cuts in pieces, as the statement takes them.

    The row of such an hour counts for its longest piece; where that is not of the period, for none.
    """
    found: dict[str, list[Any]] = {name: [] for name in ("split", "kept", *_PIECE)}
    for hour, pieces in pieces_of_hours(edges):
        longest = max(pieces, key=lambda piece: piece.end - piece.start)
        inside = [period.start <= piece.start < period.end for piece in pieces]
        found["split"].append(hour)
        found["kept"].append(longest.start if inside[pieces.index(longest)] else None)
        for piece, is_inside in zip(pieces, inside, strict=True):
            for name, value in zip(_PIECE, (hour, piece.start, piece.end, is_inside), strict=True):
                found[name].append(value)
    return found


def _no_rows(period: Period) -> dict[str, list[Any]]:
    """As :func:`_split`: every hour of the period is counted from its calls."""
    first = hour_of(period.start)
    count = -((first - period.end) // timedelta(hours=1))
    hours = [first + timedelta(hours=n) for n in range(count)]
    return {
        "split": hours,
        "kept": [None] * count,
        "piece_hour": hours,
        "piece_start": [max(hour, period.start) for hour in hours],
        "piece_end": [min(hour + timedelta(hours=1), period.end) for hour in hours],
        "piece_inside": [True] * count,
    }


_PIECE: Final = ("piece_hour", "piece_start", "piece_end", "piece_inside")


@dataclass(frozen=True, slots=True)
class _Key:
    """The key of a summed up row `m` and, if it is another, of a call `c`; `{at}` is an instant.

    A key without an instant is a column that rows of all calls do not know.
    """

    of_row: str
    of_call: str = ""

    def of_rows_at(self, instant: str) -> str:
        return self.of_row.format(at=instant)

    def of_part(self, instant: str) -> str:
        return "part" if self.of_call else self.of_row.format(at=instant)


def _read(
    workspace: Workspace,
    period: Period,
    which: Which,
    key: _Key,
    split: dict[str, list[Any]],
    values: dict[str, Any],
) -> list[tuple[Any, int, list[int]]]:
    """(key, open calls, sums in the order of the columns); a key may come more than once."""
    values = {
        "workspace": workspace.pk,
        "start": period.start,
        "end": period.end,
        "first_hour": hour_of(period.start),
        **which.conditions(),
        **split,
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
    of_all = set(names) <= {"direction"} and not key.of_call
    adds = ", ".join(f"sum({name})::bigint" for name in COLUMNS)
    takes_off = ", ".join(f"-sum({name})::bigint" for name in COLUMNS)
    return f"""
WITH due AS MATERIALIZED (
  SELECT DISTINCT hour FROM voice_metricsdue
  WHERE workspace_id = %(workspace)s AND hour >= %(first_hour)s AND hour < %(end)s
), split (hour, kept) AS MATERIALIZED (
  SELECT * FROM unnest(%(split)s::timestamptz[], %(kept)s::timestamptz[])
), piece (starts, ends, adds_to, comes_off) AS MATERIALIZED ( -- comes_off: the piece that has their row
  SELECT p.starts, p.ends, CASE WHEN p.inside THEN p.starts END, CASE WHEN d.hour IS NULL THEN s.kept END
  FROM unnest(
    %(piece_hour)s::timestamptz[], %(piece_start)s::timestamptz[], %(piece_end)s::timestamptz[],
    %(piece_inside)s::boolean[]
  ) AS p (hour, starts, ends, inside) JOIN split s USING (hour) LEFT JOIN due d USING (hour)
  WHERE CASE WHEN d.hour IS NULL THEN p.starts IS DISTINCT FROM s.kept AND (p.inside OR s.kept IS NOT NULL)
    ELSE p.inside END
  UNION ALL
  SELECT hour, hour + interval '1 hour', hour, NULL FROM due WHERE hour NOT IN (SELECT hour FROM split)
), counted AS MATERIALIZED (
  SELECT p.adds_to, p.comes_off, one.* FROM piece p CROSS JOIN LATERAL ( -- each a range of the index
    WITH call AS MATERIALIZED (
      SELECT {key.of_call or "true"} AS part, {OF_CALL}
      FROM {FROM_CALLS}
      WHERE c.workspace_id = %(workspace)s AND c.status = 'finalized' AND NOT c.is_test{of_calls}
        AND c.created_at >= p.starts AND c.created_at < p.ends
    )
{sums("call", "part")}
  ) AS one (part, {", ".join(COLUMNS)})
)
SELECT {key.of_rows_at("coalesce(s.kept, m.hour)")} AS bucket, 0, {_OF_ROWS}
FROM voice_metricshour m LEFT JOIN split s USING (hour)
WHERE m.workspace_id = %(workspace)s AND m.is_total = {of_all}
  AND m.hour >= %(first_hour)s AND m.hour < %(end)s{of_rows}
  AND (s.hour IS NULL OR s.kept IS NOT NULL)
  AND NOT EXISTS (SELECT FROM due d WHERE d.hour = m.hour)
GROUP BY bucket
UNION ALL
SELECT {key.of_part("adds_to")} AS bucket, 0, {adds} FROM counted WHERE adds_to IS NOT NULL GROUP BY bucket
UNION ALL
SELECT {key.of_part("comes_off")} AS bucket, 0, {takes_off} FROM counted WHERE comes_off IS NOT NULL
GROUP BY bucket
UNION ALL
SELECT {key.of_call or key.of_rows_at("c.created_at")} AS bucket, count(*), {_ZEROS}
FROM voice_call c
WHERE c.workspace_id = %(workspace)s AND c.status IN ({_OPEN}) AND NOT c.is_test{of_calls}
  AND c.created_at >= %(start)s AND c.created_at < %(end)s
GROUP BY bucket
"""  # noqa: S608 - made of the constants above and names of columns
