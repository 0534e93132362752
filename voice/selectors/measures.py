"""What a finalized call adds to each figure, as SQL: the one definition, for hours that are summed up and for
calls that are counted where they lie (docs/metrics.md has it in words).

`c` is the row of voice_call, `v` its voice_verdict, if any, `t` the answers of the agent in it.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from voice.models.calls import Outcome

BOUNDS_MS: Final[tuple[int, ...]] = tuple(round(100 * 1.1**n) for n in range(49))
"""Delays are counted in buckets that grow by a tenth, from 0.1 s to 9.7 s: below the first bound, from each
to the next, above the last. So a percentile out of them is right to 5 %, and of any hours together too."""
BUCKETS: Final = len(BOUNDS_MS) + 1

_PERSON = (
    "c.answered_at IS NOT NULL AND c.end_reason NOT IN ('machine', 'fax')"
    " AND c.answered_by <> 'fax' AND NOT starts_with(c.answered_by, 'machine')"
)
_DIALED = "c.direction = 'outbound' AND c.placed_at IS NOT NULL"


def _tokens(path: str) -> str:
    """A number of the usage that the model reported; whatever else stands there counts as none."""
    found = f"""jsonb_path_query_first(c.usage, '$.{path} ? (@.type() == "number")')"""
    return f"coalesce({found}::numeric, 0)::bigint"


OUTCOMES: Final[dict[Outcome, str]] = {outcome: outcome.value.replace("-", "_") for outcome in Outcome}
"""Outcome -> its column."""

MEASURES: Final[dict[str, str]] = {
    "calls": "1",
    "dialed": f"({_DIALED})::int",
    "answered": "(c.answered_at IS NOT NULL)::int",
    "connected": f"({_PERSON})::int",
    "connected_dialed": f"({_DIALED} AND {_PERSON})::int",
    "handed_over": "(c.transfer_state = 'bridged' OR c.end_reason = 'transferred')::int",
    "meetings_booked": "(coalesce(v.meeting, 'null') <> 'null')::int",
    "duration_ms": f"CASE WHEN {_PERSON} THEN coalesce(c.duration_ms, 0)::bigint ELSE 0 END",
    **{column: f"(c.outcome = '{outcome}')::int" for outcome, column in OUTCOMES.items()},
    "with_usage": "(c.usage <> '{}')::int",
    "input_tokens": _tokens("input_tokens"),
    "cached_tokens": _tokens("input_token_details.cached_tokens"),
    "input_audio_tokens": _tokens("input_token_details.audio_tokens"),
    "output_tokens": _tokens("output_tokens"),
    "output_audio_tokens": _tokens("output_token_details.audio_tokens"),
    "turns": "t.turns",
    "turns_ms": "t.turns_ms",
}
"""Column of MetricsHour -> what one call adds to it."""

HISTOGRAM: Final[tuple[str, ...]] = tuple(f"h{bucket}" for bucket in range(BUCKETS))
"""Names of the histogram's buckets as columns."""

_BUCKET = f"width_bucket(ms, '{{{','.join(map(str, BOUNDS_MS))}}}'::numeric[])"
_COUNTS = ", ".join(f"count(*) FILTER (WHERE bucket = {n}) AS h{n}" for n in range(BUCKETS))

FROM_CALLS: Final = f"""
  voice_call c LEFT JOIN voice_verdict v ON v.call_id = c.id
  CROSS JOIN LATERAL (
    SELECT count(*) AS turns, coalesce(sum(ms), 0)::bigint AS turns_ms, {_COUNTS}
    FROM (
      SELECT ms, {_BUCKET} AS bucket FROM (
        SELECT jsonb_path_query(c.latency, '$.turn_ms.each[*] ? (@.type() == "number")')::numeric AS ms
      ) AS each
    ) AS turn
  ) AS t
"""  # noqa: S608 - made of the constants above
"""What the measures are taken from; the caller says which calls."""

OF_CALL: Final = ", ".join(
    [*(f"{sql} AS {column}" for column, sql in MEASURES.items()), *(f"t.{name}" for name in HISTOGRAM)]
)
"""All columns of one call."""


def percentile_ms(histogram: Sequence[int], share: float) -> int | None:
    """The delay that `share` (0 to 1) of the turns do not exceed, by nearest rank; None without turns.

    A bucket stands for the geometric middle of its bounds, the two open ones for their bound.
    """
    turns = sum(histogram)
    if not turns:
        return None
    rank = max(1, -(-round(share * turns * 1_000_000) // 1_000_000))
    bucket = bisect_right(list(accumulate(histogram)), rank - 1)
    if bucket == 0 or bucket == BUCKETS - 1:
        return BOUNDS_MS[0 if bucket == 0 else -1]
    return round(math.sqrt(BOUNDS_MS[bucket - 1] * BOUNDS_MS[bucket]))
