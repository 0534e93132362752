"""From events to deliveries to receivers. Every step is a row; a killed worker costs one lease."""

import random
import time
from datetime import timedelta
from uuid import UUID

import orjson
import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from tenex.events.models import Event
from tenex.lib import guarded_http
from tenex.lib.wake import wake
from tenex.webhooks import schedule, signing
from tenex.webhooks.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryStatus,
    SubscriptionStatus,
    WebhookSubscription,
)
from tenex.webhooks.services import subscriptions

log = structlog.get_logger(__name__)
RELAY_BATCH = 200
LANE_BATCH = 25
DISABLE_AFTER = timedelta(days=5)
KEPT_BODY_BYTES = 1024


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
            Event.objects.select_for_update(skip_locked=True)
            .filter(relayed_at=None)
            .order_by("occurred_at", "seq")[:RELAY_BATCH]
        )
        if not pending:
            return 0
        now = timezone.now()
        lanes = list(
            WebhookSubscription.objects.filter(
                workspace_id__in={event.workspace_id for event in pending}
            ).exclude(status=SubscriptionStatus.DISABLED)
        )
        made = [
            Delivery(
                workspace_id=event.workspace_id,
                subscription=lane,
                event=event,
                body=wire_body(event),
                next_at=now,
            )
            for event in pending
            for lane in lanes
            if lane.workspace_id == event.workspace_id and (not lane.events or event.type in lane.events)
        ]
        Delivery.objects.bulk_create(made, ignore_conflicts=True)
        Event.objects.filter(pk__in=[event.pk for event in pending]).update(relayed_at=now)
        for lane_id in {delivery.subscription_id for delivery in made}:
            wake("tenex.webhooks.deliver", str(lane_id))
    return len(pending)


def due_lanes() -> list[UUID]:
    """Subscriptions with something to send now."""
    now = timezone.now()
    return list(
        Delivery.objects.filter(_due(now), subscription__status=SubscriptionStatus.ACTIVE)
        .order_by()
        .values_list("subscription_id", flat=True)
        .distinct()
    )


def deliver_lane(subscription_id: UUID) -> int:
    """Send what is due on one lane, oldest first, one at a time; returns how many were tried.

    Each endpoint is a lane of its own: one that hangs keeps only itself waiting.
    """
    tried = 0
    while tried < LANE_BATCH:
        claimed = _claim(subscription_id)
        if claimed is None:
            return tried
        _attempt(claimed)
        tried += 1
    wake("tenex.webhooks.deliver", str(subscription_id))
    return tried


def replay(delivery: Delivery) -> None:
    """Send a delivery again from the start of its schedule."""
    Delivery.objects.filter(pk=delivery.pk).update(
        status=DeliveryStatus.PENDING, next_at=timezone.now(), lease_until=None, delivered_at=None, attempts=0
    )
    wake("tenex.webhooks.deliver", str(delivery.subscription_id))


def _due(now: object) -> Q:
    return Q(status=DeliveryStatus.PENDING, next_at__lte=now) & (Q(lease_until=None) | Q(lease_until__lt=now))


def _claim(subscription_id: UUID) -> Delivery | None:
    """Lease the next due delivery of a lane, unless another worker is on that lane.

    The subscription's row is the lane's lock, so a receiver that hangs holds one worker, never two.
    """
    now = timezone.now()
    with transaction.atomic():
        lane = (
            WebhookSubscription.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
            .select_related("workspace")
            .filter(pk=subscription_id, status=SubscriptionStatus.ACTIVE)
            .first()
        )
        if lane is None or Delivery.objects.filter(subscription=lane, lease_until__gte=now).exists():
            return None
        delivery = (
            Delivery.objects.filter(_due(now), subscription=lane).order_by("next_at", "event__seq").first()
        )
        if delivery is None:
            return None
        # Longer than the exchange can take: a lease that runs out belongs to a dead worker.
        delivery.lease_until = now + timedelta(seconds=lane.timeout_s * 2 + 5)
        delivery.attempts += 1
        delivery.save(update_fields=["lease_until", "attempts"])
    delivery.subscription = lane
    return delivery


def _attempt(delivery: Delivery) -> None:
    subscription = delivery.subscription
    body = bytes(delivery.body)
    secrets_ = [subscription.secret]
    if subscription.previous_secret_until and subscription.previous_secret_until > timezone.now():
        secrets_.append(subscription.previous_secret)
    started = time.monotonic()
    answer: guarded_http.Answer | None = None
    error = ""
    try:
        answer = guarded_http.request(
            "POST",
            subscription.url,
            policy=subscriptions.policy(),
            headers=signing.headers(
                workspace_secret=subscription.workspace.webhook_secret,
                secrets_=secrets_,
                message_id=delivery.event_id,
                timestamp_s=int(time.time()),
                body=body,
            ),
            body=body,
            timeout_s=float(subscription.timeout_s),
            read_bytes=KEPT_BODY_BYTES,
        )
    except (guarded_http.AddressRefused, guarded_http.ExchangeFailed) as exc:
        error = str(exc)
    _settle(delivery, answer, error, int((time.monotonic() - started) * 1000))


def _settle(delivery: Delivery, answer: guarded_http.Answer | None, error: str, duration_ms: int) -> None:
    subscription = delivery.subscription
    ok = answer is not None and 200 <= answer.status < 300
    now = timezone.now()
    with transaction.atomic():
        DeliveryAttempt.objects.create(
            delivery=delivery,
            number=delivery.log.count() + 1,
            status_code=answer.status if answer else None,
            error=error if answer is None else ("" if ok else "not a 2xx answer"),
            duration_ms=duration_ms,
            response_body=answer.body.decode("utf-8", "replace").replace("\x00", "") if answer else "",
        )
        mine = Delivery.objects.filter(
            pk=delivery.pk, attempts=delivery.attempts, status=DeliveryStatus.PENDING
        )
        if ok:
            mine.update(status=DeliveryStatus.SUCCEEDED, next_at=None, lease_until=None, delivered_at=now)
            WebhookSubscription.objects.filter(pk=subscription.pk).exclude(failing_since=None).update(
                failing_since=None
            )
            return
        wait_s = schedule.delay_s(
            delivery.attempts,
            stop_after_five=subscription.stop_after_five,
            retry_after_s=_retry_after_s(answer),
            chance=random.random(),
        )
        if wait_s is None:
            mine.update(status=DeliveryStatus.FAILED, next_at=None, lease_until=None)
        else:
            mine.update(next_at=now + timedelta(seconds=wait_s), lease_until=None)
            if wait_s <= 60:  # the sweep finds the longer waits
                wake("tenex.webhooks.deliver", str(subscription.pk), after_s=wait_s)
        WebhookSubscription.objects.filter(pk=subscription.pk, failing_since=None).update(failing_since=now)
    log.info(
        "webhook not delivered",
        workspace_id=str(delivery.workspace_id),
        delivery_id=str(delivery.pk),
        attempt=delivery.attempts,
        status=answer.status if answer else None,
        error=error,
    )
    _disable_if_hopeless(subscription, answer)


def _disable_if_hopeless(subscription: WebhookSubscription, answer: guarded_http.Answer | None) -> None:
    """410 means "never again"; so do five days without one success."""
    if answer is not None and answer.status == 410:
        subscriptions.disable(subscription, "the receiver answered 410 Gone")
    elif subscription.failing_since and timezone.now() - subscription.failing_since > DISABLE_AFTER:
        subscriptions.disable(subscription, "every delivery failed for five days")


def _retry_after_s(answer: guarded_http.Answer | None) -> float | None:
    raw = answer.headers.get("retry-after", "") if answer else ""
    return float(raw) if raw.isdecimal() else None
