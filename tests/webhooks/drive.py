"""What the workers do, one step at a time in the test's own thread."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from tenex.events import services as events
from tenex.events.models import Event
from tenex.webhooks.models import Delivery, WebhookSubscription
from tenex.webhooks.services import deliveries, lanes, relay, subscriptions
from tenex.workspaces.models import Workspace

ACTOR = "system:test"


def subscribe(workspace: Workspace, url: str, **fields: Any) -> WebhookSubscription:
    return subscriptions.create(workspace, url=url, actor=ACTOR, **fields)[0]


def record(workspace: Workspace, type_: str = "lead.created", **data: Any) -> Event:
    with transaction.atomic():
        event = events.record(workspace_id=workspace.pk, type=type_, data=data)
    assert event is not None
    return event


def send(room: int = 100) -> int:
    """Relay, claim what is due and send it, until nothing is; how many requests that took."""
    while relay.relay():
        pass
    sent = 0
    while claimed := lanes.claim(room):
        for one in claimed:
            deliveries.attempt(one)
        sent += len(claimed)
    return sent


def make_due() -> None:
    """As if the wait for the next try were over, and the rest of throttled lanes."""
    now = timezone.now()
    Delivery.objects.filter(status="pending").update(next_at=now - timedelta(seconds=1))
    WebhookSubscription.objects.update(throttled_until=None)


def send_again() -> int:
    make_due()
    return send()
