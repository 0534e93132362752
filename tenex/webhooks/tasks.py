"""Celery doors of the webhook relay."""

from typing import Any
from uuid import UUID

from celery import shared_task

from tenex.lib.wake import wake
from tenex.webhooks.services import deliveries

SCHEDULE: dict[str, dict[str, Any]] = {
    "webhooks-sweep": {"task": "tenex.webhooks.sweep", "schedule": 5.0, "options": {"expires": 10}},
}


@shared_task(name="tenex.webhooks.relay")
def relay() -> None:
    """Woken after commit of an event."""
    while deliveries.relay():
        pass


@shared_task(name="tenex.webhooks.deliver")
def deliver(subscription_id: str) -> None:
    deliveries.deliver_lane(UUID(subscription_id))


@shared_task(name="tenex.webhooks.sweep")
def sweep() -> None:
    """Finds what a lost wake-up left behind."""
    relay()
    for lane_id in deliveries.due_lanes():
        wake("tenex.webhooks.deliver", str(lane_id))
