"""Summing up past hours whose calls have changed (docs/metrics.md).

Idempotent and safe with any number of workers: an hour's due rows are removed first and its calls read in a
later statement, so whatever has removed a due row has also seen its change. An hour is summed up by one
worker at a time; whoever comes second leaves it alone.
"""

import uuid
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from tenex.lib import failpoint
from voice.selectors.measures import COLUMNS, FROM_CALLS, HISTOGRAM, MEASURES, OF_CALL, TURNS, sums

_KEYS = "is_total, direction, agent_id, number_id, batch_id"
_PLAIN = (*MEASURES, *TURNS)

_DUE = """
SELECT DISTINCT workspace_id, hour FROM voice_metricsdue WHERE hour + interval '1 hour' <= now()
ORDER BY hour DESC LIMIT %s
"""
"""The newest first: those are looked at."""

_SUM_UP = f"""
WITH call AS MATERIALIZED (
  SELECT kind.is_total, c.direction,
    CASE WHEN NOT kind.is_total THEN c.agent_id END AS agent_id,
    CASE WHEN NOT kind.is_total THEN c.number_id END AS number_id,
    CASE WHEN NOT kind.is_total THEN c.batch_id END AS batch_id,
    {OF_CALL}
  FROM {FROM_CALLS} CROSS JOIN (VALUES (true), (false)) AS kind (is_total)
  WHERE c.workspace_id = %(workspace)s AND c.status = 'finalized' AND NOT c.is_test
    AND c.created_at >= %(hour)s AND c.created_at < %(hour)s + interval '1 hour'
), part ({_KEYS}, {", ".join(COLUMNS)}) AS ({sums("call", _KEYS)})
INSERT INTO voice_metricshour (workspace_id, hour, {_KEYS}, {", ".join(_PLAIN)}, histogram)
SELECT %(workspace)s, %(hour)s, {_KEYS}, {", ".join(f"sum({name})" for name in _PLAIN)},
  ARRAY[{", ".join(f"sum({name})::int" for name in HISTOGRAM)}]
FROM part GROUP BY {_KEYS}
"""  # noqa: S608 - made of the constants above


def sum_up_due(limit: int = 200) -> int:
    """Sum up as many as `limit` past hours of all workspaces; how many it were."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [limit])
        due = cursor.fetchall()
    return sum(sum_up(workspace_id, hour) for workspace_id, hour in due)


def sum_up(workspace_id: uuid.UUID, hour: datetime) -> bool:
    """Write the rows of one hour anew, if it is due; False if it is not, or somebody else is at it."""
    where: dict[str, Any] = {"workspace": workspace_id, "hour": hour}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended('metrics:' || %s || %s, 0))",
            [str(workspace_id), hour.isoformat()],
        )
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(
            "DELETE FROM voice_metricsdue WHERE workspace_id = %(workspace)s AND hour = %(hour)s", where
        )
        if not cursor.rowcount:
            return False
        failpoint.hit("metrics.taken")
        cursor.execute(
            "DELETE FROM voice_metricshour WHERE workspace_id = %(workspace)s AND hour = %(hour)s", where
        )
        cursor.execute(_SUM_UP, where)
        failpoint.hit("metrics.summed")
    return True
