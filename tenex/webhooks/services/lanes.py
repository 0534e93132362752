"""Who may be sent to now. Each subscription is a lane: one that hangs or is drowned in work keeps only itself
waiting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from tenex.webhooks.models import (
    Delivery,
    RetiringSecret,
)
from tenex.webhooks.services import secrets
from tenex.workspaces.services import vault

PARALLEL = 8
"""Requests of one lane on their way at a time, over all processes; a lane that fails gets one."""
LEASE_SLACK_S = 5
"""A lease outlives the exchange by this; one that runs out belongs to a dead worker."""

# The lanes that are well come first, each kind in random order, so none is always the last.
_LOCK = """
SELECT lane.id, lane.timeout_s, lane.failing_since IS NOT NULL
FROM webhooks_webhooksubscription lane
WHERE lane.status = 'active' AND (lane.throttled_until IS NULL OR lane.throttled_until <= %(now)s)
  AND (EXISTS (SELECT FROM webhooks_delivery due
               WHERE due.subscription_id = lane.id AND due.status = 'pending' AND due.replay_id IS NULL
                 AND due.next_at <= %(now)s AND (due.lease_until IS NULL OR due.lease_until < %(now)s))
    OR EXISTS (SELECT FROM webhooks_delivery due
               WHERE due.subscription_id = lane.id AND due.status = 'pending' AND due.replay_id IS NOT NULL
                 AND due.next_at <= %(now)s AND (due.lease_until IS NULL OR due.lease_until < %(now)s)))
ORDER BY lane.failing_since IS NOT NULL, random()
LIMIT %(room)s
FOR NO KEY UPDATE OF lane SKIP LOCKED
"""

# New events go before what a replay sends again. The lanes are locked by now, so no other worker counts
# their requests at the same time; the last condition is for one whose lease ran out.
_PICK = """
WITH picked AS (
  SELECT choice.id, lane.timeout_s
  FROM unnest(%(lanes)s::uuid[], %(caps)s::int[], %(timeouts)s::int[]) AS lane(id, cap, timeout_s)
  CROSS JOIN LATERAL (
    SELECT due.id FROM (
      (SELECT id, 0 AS rank, next_at FROM webhooks_delivery
       WHERE subscription_id = lane.id AND status = 'pending' AND replay_id IS NULL AND next_at <= %(now)s
         AND (lease_until IS NULL OR lease_until < %(now)s)
       ORDER BY next_at, id LIMIT %(parallel)s)
      UNION ALL
      (SELECT id, 1 AS rank, next_at FROM webhooks_delivery
       WHERE subscription_id = lane.id AND status = 'pending' AND replay_id IS NOT NULL AND next_at <= %(now)s
         AND (lease_until IS NULL OR lease_until < %(now)s)
       ORDER BY next_at, id LIMIT %(parallel)s)
    ) due
    ORDER BY due.rank, due.next_at, due.id
    LIMIT greatest(0, lane.cap - (SELECT count(*) FROM webhooks_delivery leased
                                  WHERE leased.subscription_id = lane.id AND leased.lease_until >= %(now)s))
  ) choice
  LIMIT %(room)s
)
UPDATE webhooks_delivery AS taken
SET attempts = attempts + 1, lease_until = %(now)s + make_interval(secs => picked.timeout_s + %(slack)s)
FROM picked
WHERE taken.id = picked.id AND (taken.lease_until IS NULL OR taken.lease_until < %(now)s)
RETURNING taken.id
"""


@dataclass(frozen=True, slots=True)
class _Lane:
    id: UUID
    timeout_s: int
    failing: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is ours to send until its lease ends, with all that the request needs."""

    delivery: Delivery
    secrets: Sequence[str] = ()
    workspace_secrets: Sequence[str] = ()
    """Of both, the current one first; a second one during a rotation."""
    problem: str = ""
    """Why it cannot be signed."""


def claim(room: int, *, failing_room: int | None = None) -> list[Claim]:
    """Lease up to `room` due deliveries, of lanes that fail at most `failing_room`.

    The subscription's row is the lane's lock.
    """
    now = timezone.now()
    with transaction.atomic():
        lanes = _due_lanes(now, room, room if failing_room is None else failing_room)
        if not lanes:
            return []
        with connection.cursor() as cursor:
            cursor.execute(
                _PICK,
                {
                    "lanes": [lane.id for lane in lanes],
                    "caps": [1 if lane.failing else PARALLEL for lane in lanes],
                    "timeouts": [lane.timeout_s for lane in lanes],
                    "parallel": PARALLEL,
                    "slack": LEASE_SLACK_S,
                    "room": room,
                    "now": now,
                },
            )
            taken = [row[0] for row in cursor.fetchall()]
    return _loaded(taken, now) if taken else []


def _due_lanes(now: datetime, room: int, failing_room: int) -> list[_Lane]:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"now": now, "room": room})
        found = [_Lane(*row) for row in cursor.fetchall()]
    failing = [lane for lane in found if lane.failing]
    return [lane for lane in found if not lane.failing] + failing[: max(0, failing_room)]


def _loaded(ids: Sequence[UUID], now: datetime) -> list[Claim]:
    deliveries = (
        Delivery.objects.select_related("subscription__workspace")
        .filter(pk__in=ids)
        .order_by("next_at", "id")
    )
    rows = RetiringSecret.objects.filter(until__gt=now, workspace__deliveries__in=ids)
    retiring = {row.workspace_id: row for row in rows}
    return [_claim_of(delivery, retiring.get(delivery.workspace_id), now) for delivery in deliveries]


def _claim_of(delivery: Delivery, retiring: RetiringSecret | None, now: datetime) -> Claim:
    lane = delivery.subscription
    try:
        own = [secrets.of_subscription(lane)]
        if lane.previous_secret_until and lane.previous_secret_until > now:
            own += filter(None, [secrets.of(lane, "previous_secret", lane.workspace_id)])
        workspace = [secrets.of_workspace(lane.workspace)]
        workspace += [secrets.of(retiring, "secret", lane.workspace_id)] if retiring else []
    except vault.Unreadable as exc:  # the other lanes go on
        return Claim(delivery, problem=exc.detail)
    return Claim(delivery, own, workspace)
