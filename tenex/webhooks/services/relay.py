"""From events to deliveries. An event without `relayed_at` is the promise; whoever finds it keeps it."""

import orjson
from django.db import transaction
from django.utils import timezone

from tenex.events.models import Event
from tenex.webhooks.models import Delivery, SubscriptionStatus, WebhookSubscription

BATCH = 200


def wire_body(event: Event) -> bytes:
    """The exact bytes of an event (contract.md 4)."""
    return orjson.dumps(
        {
            "id": event.id,
            "type": event.type,
            "company_id": str(event.workspace_id),
            "occurred_at": event.occurred_at.isoformat().replace("+00:00", "Z"),
            "sequence": event.seq,
            "data": event.data,
        }
    )


def relay() -> int:
    """Make out the deliveries of events that have none yet; returns how many events were handled."""
    with transaction.atomic():
        pending = list(
            Event.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(relayed_at=None)
            .order_by("occurred_at", "seq")[:BATCH]
        )
        if not pending:
            return 0
        now = timezone.now()
        lanes = list(
            WebhookSubscription.objects.filter(
                workspace_id__in={event.workspace_id for event in pending}
            ).exclude(status=SubscriptionStatus.DISABLED)
        )
        Delivery.objects.bulk_create(
            [
                Delivery(
                    workspace_id=event.workspace_id,
                    subscription=lane,
                    event=event,
                    body=wire_body(event),
                    next_at=min(now, event.occurred_at),  # the oldest goes first
                )
                for event in pending
                for lane in lanes
                if _hears(lane, event)
            ],
            ignore_conflicts=True,
        )
        Event.objects.filter(pk__in=[event.pk for event in pending]).update(relayed_at=now)
    return len(pending)


def _hears(lane: WebhookSubscription, event: Event) -> bool:
    """Whether the subscription wants it; what happened before it was made is not its news."""
    return (
        lane.workspace_id == event.workspace_id
        and (not lane.events or event.type in lane.events)
        and lane.created_at <= event.occurred_at
    )
