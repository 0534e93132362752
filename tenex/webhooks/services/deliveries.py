"""One try to deliver, and what comes of it. Every step is a row; a killed worker costs one lease."""

import random
import time
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from tenex.lib import guarded_http, storable
from tenex.lib.failpoint import hit
from tenex.lib.wake import wake
from tenex.monitoring import counts
from tenex.webhooks import schedule, signing
from tenex.webhooks.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryStatus,
    WebhookSubscription,
)
from tenex.webhooks.services import subscriptions
from tenex.webhooks.services.lanes import Claim
from tenex.workspaces.services import audit

log = structlog.get_logger(__name__)
KEPT_BODY_BYTES = 1024
DISABLE_AFTER = timedelta(days=5)
DISABLE_AFTER_FAILURES = 12
"""Two events given up by a subscription that stops after five: one old failure and one now are no proof."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came of one request: an answer, or in words why there is none."""

    answer: guarded_http.Answer | None
    error: str
    duration_ms: int

    @property
    def succeeded(self) -> bool:
        return self.answer is not None and 200 <= self.answer.status < 300


def attempt(claim: Claim) -> float | None:
    """Send one claimed delivery and settle it; seconds until its lane has work again, if that is known."""
    exchange = _exchange(claim)
    _count(claim, exchange)
    hit("webhook.answered")
    return _settle(claim.delivery, exchange)


_RESULTS = {
    result: counts.WEBHOOK_ATTEMPTS.labels(result)
    for result in ("delivered", "refused", "unanswered", "unsigned")
}


def _count(claim: Claim, exchange: Exchange) -> None:
    """For monitoring."""
    if claim.problem:
        _RESULTS["unsigned"].inc()
        return
    counts.WEBHOOK_SECONDS.observe(exchange.duration_ms / 1000)
    if exchange.succeeded:
        _RESULTS["delivered"].inc()
    else:
        _RESULTS["unanswered" if exchange.answer is None else "refused"].inc()


def replay(delivery: Delivery, actor: str) -> Delivery:
    """Send a delivery again, from the start of its schedule.

    Raises:
        Conflict: its subscription is disabled.
    """
    subscriptions.refuse_disabled(delivery.subscription)
    with transaction.atomic():
        again(delivery)
        audit.record(
            delivery.workspace_id,
            actor,
            "webhook.delivery_replayed",
            object_type="webhook_delivery",
            object_id=delivery.pk,
        )
    delivery.refresh_from_db()
    return delivery


def again(delivery: Delivery) -> None:
    """Put it back into the queue; one that is on its way right now stays there."""
    Delivery.objects.filter(pk=delivery.pk, lease_until=None).update(
        status=DeliveryStatus.PENDING,
        next_at=timezone.now(),
        delivered_at=None,
        attempts_before=F("attempts"),
        replay=None,
    )
    wake("tenex.webhooks.relay")


def _exchange(claim: Claim) -> Exchange:
    subscription, body = claim.delivery.subscription, bytes(claim.delivery.body)
    if claim.problem:
        return Exchange(None, claim.problem[:200], 0)
    started = time.monotonic()
    answer: guarded_http.Answer | None = None
    error = ""
    try:
        answer = guarded_http.request(
            "POST",
            subscription.url,
            policy=subscriptions.policy(),
            headers=signing.headers(
                workspace_secrets=claim.workspace_secrets,
                secrets_=claim.secrets,
                message_id=claim.delivery.event_id,
                timestamp_s=int(time.time()),
                body=body,
            ),
            body=body,
            timeout_s=float(subscription.timeout_s),
            read_bytes=KEPT_BODY_BYTES,
        )
    except (guarded_http.AddressRefused, guarded_http.ExchangeFailed) as exc:
        error = str(exc)
    return Exchange(answer, error, int((time.monotonic() - started) * 1000))


def _settle(delivery: Delivery, exchange: Exchange) -> float | None:
    answer = exchange.answer
    with transaction.atomic():
        # `attempts` is the fence: somebody else may have taken over a lease that ran out.
        row = Delivery.objects.select_for_update(no_key=True).filter(pk=delivery.pk).first()
        if row is None:  # unsubscribed meanwhile
            return None
        _note(delivery, exchange)
        if exchange.succeeded:
            _succeed(row)
            return 0.0
        wait_s = _fail(row, answer) if row.attempts == delivery.attempts else None
    log.info(
        "webhook not delivered",
        workspace_id=str(delivery.workspace_id),
        delivery_id=str(delivery.pk),
        attempt=delivery.attempts,
        status=answer.status if answer else None,
        error=exchange.error,
    )
    return wait_s


def _note(delivery: Delivery, exchange: Exchange) -> None:
    """A line of the log; the number is there already if a worker that was overtaken comes back twice."""
    answer = exchange.answer
    line = DeliveryAttempt(
        delivery=delivery,
        number=delivery.attempts,
        status_code=answer.status if answer else None,
        error=exchange.error if answer is None else ("" if exchange.succeeded else "not a 2xx answer"),
        duration_ms=exchange.duration_ms,
        response_body=storable.text(answer.body.decode("utf-8", "replace")) if answer else "",
    )
    DeliveryAttempt.objects.bulk_create([line], ignore_conflicts=True)


def _succeed(delivery: Delivery) -> None:
    """A 2xx is a fact, even if the lease had run out."""
    Delivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.PENDING).update(
        status=DeliveryStatus.SUCCEEDED, next_at=None, lease_until=None, delivered_at=timezone.now()
    )
    WebhookSubscription.objects.filter(pk=delivery.subscription_id, failures__gt=0).update(
        failing_since=None, failures=0, throttled_until=None, throttles=0
    )


def _fail(delivery: Delivery, answer: guarded_http.Answer | None) -> float | None:
    """Plan the next try, or give up; let the lane rest if the receiver wants that. Seconds until either."""
    now = timezone.now()
    asked_s = schedule.retry_after_s(answer.headers.get("retry-after", ""), now) if answer else None
    lane = WebhookSubscription.objects.select_for_update(no_key=True).get(pk=delivery.subscription_id)
    wait_s = schedule.delay_s(
        delivery.attempts - delivery.attempts_before,
        stop_after_five=lane.stop_after_five,
        retry_after_s=asked_s,
        chance=random.random(),
    )
    delivery.lease_until = None
    if wait_s is None:
        delivery.status, delivery.next_at = DeliveryStatus.FAILED, None
    else:
        wait_s /= settings.TIME_SCALE
        delivery.next_at = now + timedelta(seconds=wait_s)
    delivery.save(update_fields=["status", "next_at", "lease_until"])
    rest_s = (
        schedule.rest_s(answer.status if answer else None, times=lane.throttles, retry_after_s=asked_s)
        / settings.TIME_SCALE
    )
    if rest_s:
        lane.throttles += 1
        lane.throttled_until = now + timedelta(seconds=rest_s)
    lane.failures += 1
    lane.failing_since = lane.failing_since or now
    lane.save(update_fields=["throttles", "throttled_until", "failures", "failing_since"])
    if reason := _hopeless(lane, answer):
        subscriptions.disable(lane, reason)
    return rest_s or wait_s


def _hopeless(lane: WebhookSubscription, answer: guarded_http.Answer | None) -> str:
    """410 means "never again"; so do five days without one success."""
    if answer is not None and answer.status == 410:
        return "the receiver answered 410 Gone"
    failing = timezone.now() - lane.failing_since if lane.failing_since else timedelta(0)
    if lane.failures >= DISABLE_AFTER_FAILURES and failing * settings.TIME_SCALE > DISABLE_AFTER:
        return "every delivery failed for five days"
    return ""
