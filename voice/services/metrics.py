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
from voice.selectors.measures import FROM_CALLS, HISTOGRAM, MEASURES, OF_CALL

_DIMENSIONS = "direction, agent_id, number_id, batch_id"
_SUMS = ", ".join(f"sum({column})" for column in MEASURES)
_HISTOGRAM = ", ".join(f"sum({name})::int" for name in HISTOGRAM)

_DUE = """
SELECT DISTINCT workspace_id, hour FROM voice_metricsdue WHERE hour + interval '1 hour' <= now()
ORDER BY hour DESC LIMIT %s
"""
"""The newest first: those are looked at."""

_SUM_UP = f"""
WITH call AS (
  SELECT c.direction, c.agent_id, c.number_id, c.batch_id, {OF_CALL}
  FROM {FROM_CALLS}
  WHERE c.workspace_id = %(workspace)s AND c.status = 'finalized'
    AND c.created_at >= %(hour)s AND c.created_at < %(hour)s + interval '1 hour'
)
INSERT INTO voice_metricshour (workspace_id, hour, is_total, {_DIMENSIONS}, {", ".join(MEASURES)}, histogram)
SELECT %(workspace)s, %(hour)s, grouping(agent_id) = 1, {_DIMENSIONS}, {_SUMS}, ARRAY[{_HISTOGRAM}]
FROM call GROUP BY GROUPING SETS ((direction), ({_DIMENSIONS}))
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
