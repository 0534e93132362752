"""What a finalized call adds to each figure, as SQL: the one definition, for hours that are summed up and for
calls that are counted where they lie (docs/metrics.md has it in words).

`c` is the row of voice_call, `v` its voice_verdict, if any.
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
    "input_text_tokens": _tokens("input_token_details.text_tokens"),
    "cached_text_tokens": _tokens("input_token_details.cached_tokens_details.text_tokens"),
    "cached_audio_tokens": _tokens("input_token_details.cached_tokens_details.audio_tokens"),
    "output_text_tokens": _tokens("output_token_details.text_tokens"),
    "carrier_minutes": "coalesce(ceil(c.duration_ms / 60000.0), 0)::bigint",
}
"""Column of MetricsHour -> what one call adds to it."""

TURNS: Final = ("turns", "turns_ms")
"""How many answers of the agent were measured, and the sum of their delays."""

HISTOGRAM: Final[tuple[str, ...]] = tuple(f"h{bucket}" for bucket in range(BUCKETS))
"""Names of the histogram's buckets as columns."""

COLUMNS: Final = (*MEASURES, *TURNS, *HISTOGRAM)
"""All sums, in the order in which :func:`sums` has them."""

FROM_CALLS: Final = """voice_call c LEFT JOIN LATERAL (
  SELECT meeting FROM voice_verdict WHERE call_id = c.id OFFSET 0 -- looked up, call by call
) v ON true"""
"""What the measures are taken from; the caller says which calls."""

OF_CALL: Final = ", ".join([*(f"{sql} AS {column}" for column, sql in MEASURES.items()), "c.latency"])
"""All columns of one call, as :func:`sums` wants them."""

_BOUNDS = f"'{{{','.join(map(str, BOUNDS_MS))}}}'::numeric[]"
_DELAYS = """jsonb_path_query(latency, '$.turn_ms.each[*] ? (@.type() == "number")') AS delay"""


def sums(calls: str, keys: str) -> str:
    """A query of `calls`, which has the columns OF_CALL and `keys`: the sums of each combination of keys.

    There are two rows of each, one with the sums of the calls and one with those of their answers: the reader
    adds them up. Delays are counted before they are spread over the columns: there are many more of them.
    """
    of_calls = ", ".join(f"sum({column})::bigint" for column in MEASURES)
    no_turns = ", ".join(["0::bigint"] * (len(TURNS) + BUCKETS))
    no_calls = ", ".join(["0::bigint"] * len(MEASURES))
    spread = ", ".join(f"coalesce(sum(turns) FILTER (WHERE place = {n}), 0)::bigint" for n in range(BUCKETS))
    return f"""
SELECT {keys}, {of_calls}, {no_turns} FROM {calls} GROUP BY {keys}
UNION ALL
SELECT {keys}, {no_calls}, sum(turns)::bigint, sum(ms)::bigint, {spread}
FROM (
  SELECT {keys}, width_bucket(delay::numeric, {_BOUNDS}) AS place,
    count(*) AS turns, sum(delay::numeric) AS ms
  FROM {calls} CROSS JOIN LATERAL {_DELAYS} GROUP BY {keys}, place
) AS counted GROUP BY {keys}
"""  # noqa: S608 - made of the constants above


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
