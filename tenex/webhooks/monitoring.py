"""What operators' monitoring is told of events and their deliveries (docs/monitoring.md)."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import Metric

from tenex.monitoring.families import MOST, gauge, gauge_by, row, rows

PART: Final = "webhooks"
_STATES: Final = ("active", "failing", "paused", "disabled")

# What waits in a lane that is well waits for us alone: a receiver that fails keeps its own lane waiting.
_LATE = """
SELECT now() - min(due.next_at) FROM webhooks_webhooksubscription lane
CROSS JOIN LATERAL (
  SELECT next_at FROM webhooks_delivery
  WHERE subscription_id = lane.id AND status = 'pending' AND replay_id IS NULL AND next_at <= now()
    AND (lease_until IS NULL OR lease_until < now())
  ORDER BY next_at LIMIT 1
) due
WHERE lane.status = 'active' AND lane.failing_since IS NULL
  AND (lane.throttled_until IS NULL OR lane.throttled_until <= now())
"""
_WAITING = """
SELECT
 (SELECT count(*) FROM (SELECT FROM webhooks_delivery WHERE status = 'pending' AND replay_id IS NULL
                        LIMIT %(most)s) new),
 (SELECT count(*) FROM (SELECT FROM webhooks_delivery WHERE status = 'pending' AND replay_id IS NOT NULL
                        LIMIT %(most)s) again)
"""


def families() -> Iterator[Metric]:
    events, oldest = row(
        "SELECT count(*), now() - min(occurred_at) FROM (SELECT occurred_at FROM events_event"
        " WHERE relayed_at IS NULL ORDER BY occurred_at LIMIT %(most)s) waiting",
        most=MOST,
    )
    yield gauge(
        "tenex_outbox_events_waiting",
        "Events whose deliveries are not made out yet (at most 100,000).",
        events,
    )
    yield gauge("tenex_outbox_oldest_seconds", "How long the oldest of them waits.", oldest)
    new, again = row(_WAITING, most=MOST)
    yield gauge_by(
        "kind",
        "tenex_webhook_deliveries_waiting",
        "Deliveries to be tried, now or later: `new` ones and those of a `replay` (at most 100,000).",
        {"new": new, "replay": again},
    )
    (late,) = row(_LATE)
    yield gauge(
        "tenex_webhook_due_oldest_seconds",
        "How long the oldest delivery that is due to a receiver that is well has waited for us.",
        late,
    )
    found = rows(
        "SELECT CASE WHEN status = 'active' AND failing_since IS NOT NULL THEN 'failing' ELSE status END"
        " AS state, count(*) FROM webhooks_webhooksubscription GROUP BY state"
    )
    yield gauge_by(
        "state",
        "tenex_webhook_subscriptions",
        "Subscriptions; `failing` are active ones whose last try failed.",
        dict(found),
        _STATES,
    )
