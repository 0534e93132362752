"""Reads of subscriptions, their log and their replays; the workspace comes first."""

import uuid

from django.db.models import Count, Q, QuerySet

from tenex.errors import existing
from tenex.webhooks.models import Delivery, DeliveryStatus, Replay, WebhookSubscription
from tenex.workspaces.models import Workspace


def subscriptions(workspace: Workspace) -> QuerySet[WebhookSubscription]:
    return WebhookSubscription.objects.filter(workspace=workspace)


def subscription(workspace: Workspace, webhook_id: uuid.UUID) -> WebhookSubscription:
    """Raises:
    NotFound: no such subscription in this workspace.
    """
    return existing(subscriptions(workspace).filter(pk=webhook_id).first())


def deliveries(subscription: WebhookSubscription) -> QuerySet[Delivery]:
    """The log without the bodies."""
    rows = Delivery.objects.filter(subscription=subscription).select_related("event").prefetch_related("log")
    return rows.defer("body", "event__data")


def delivery(workspace: Workspace, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    """One delivery with its subscription, event and body.

    Raises:
        NotFound: no such delivery of this subscription in this workspace.
    """
    rows = Delivery.objects.filter(workspace=workspace, subscription_id=webhook_id, pk=delivery_id)
    return existing(rows.select_related("subscription", "event").first())


def replays(subscription: WebhookSubscription) -> QuerySet[Replay]:
    """Replays with how many of their deliveries are `pending`, `succeeded` and `failed`."""
    return Replay.objects.filter(subscription=subscription).annotate(
        **{
            status: Count("deliveries", filter=Q(deliveries__status=status))
            for status in DeliveryStatus.values
        }
    )


def replay(workspace: Workspace, webhook_id: uuid.UUID, replay_id: uuid.UUID) -> Replay:
    """Raises:
    NotFound: no such replay of this subscription in this workspace.
    """
    return existing(replays(subscription(workspace, webhook_id)).filter(pk=replay_id).first())
