"""Sending a span of time again: what was given up, what was never made out, or everything."""

from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone
from psycopg.errors import UniqueViolation

from tenex.errors import Conflict, InvalidInput
from tenex.events.models import Event
from tenex.lib.wake import wake
from tenex.webhooks.catalogue import TEST_TYPE
from tenex.webhooks.models import Delivery, DeliveryStatus, Replay, ReplayKind, WebhookSubscription
from tenex.webhooks.services import subscriptions
from tenex.webhooks.services.relay import wire_body
from tenex.workspaces.services import audit

log = structlog.get_logger(__name__)
MOST = 10_000
"""Deliveries of one replay."""
REACHES_BACK = timedelta(days=30)
_CHUNK = 500


def create(
    subscription: WebhookSubscription, *, kind: str, since: datetime, until: datetime | None, actor: str
) -> Replay:
    """Ask for a replay of [since, until); without `until` up to now. A worker puts it into the queue.

    Raises:
        InvalidInput: the span makes no sense or reaches back too far.
        Conflict: the subscription is disabled, the span holds too much, or another replay is being prepared.
    """
    now = timezone.now()
    until = min(until or now, now)
    if since >= until:
        raise InvalidInput("must lie before `until` and before now", loc=("body", "since"))
    if since < now - REACHES_BACK:
        raise InvalidInput(
            f"reaches back more than {REACHES_BACK.days} days", loc=("body", "since"), type_="too_far"
        )
    subscriptions.refuse_disabled(subscription)
    replay = Replay(
        workspace_id=subscription.workspace_id,
        subscription=subscription,
        kind=kind,
        since=since,
        until=until,
        actor=actor,
    )
    replay.total = _given_up(replay).count() if kind == ReplayKind.FAILED else _events(replay).count()
    if replay.total > MOST:
        raise Conflict(f"more than {MOST} deliveries: choose a shorter span", code="replay_too_large")
    try:
        with transaction.atomic():
            replay.save()
            audit.record(
                subscription.workspace_id,
                actor,
                "webhook.replayed",
                object_type="webhook",
                object_id=subscription.pk,
                data={"kind": kind, "since": since.isoformat(), "until": until.isoformat()},
            )
            wake("tenex.webhooks.replays")
    except IntegrityError as exc:
        if not isinstance(exc.__cause__, UniqueViolation):
            raise
        raise Conflict("another replay is being prepared", code="replay_running") from exc
    return replay


def prepare() -> int:
    """Put the deliveries of replays that wait into the queue, each replay in one piece; how many replays."""
    done = 0
    for replay_id in (
        Replay.objects.filter(prepared_at=None).order_by("created_at").values_list("pk", flat=True)
    ):
        with transaction.atomic():
            replay = (
                Replay.objects.select_for_update(skip_locked=True, of=("self",))
                .select_related("subscription")
                .filter(pk=replay_id, prepared_at=None)
                .first()
            )
            if replay is None:
                continue
            replay.total = _queue(replay)
            replay.prepared_at = timezone.now()
            replay.save(update_fields=["total", "prepared_at"])
            wake("tenex.webhooks.relay")
        done += 1
        log.info("webhook replay queued", workspace_id=str(replay.workspace_id), deliveries=replay.total)
    return done


def _queue(replay: Replay) -> int:
    if replay.kind == ReplayKind.FAILED:
        return _again(_given_up(replay), replay)
    made = 0
    if replay.kind == ReplayKind.ALL:
        known = Delivery.objects.filter(subscription=replay.subscription, event__in=_events(replay))
        made = _again(known.exclude(status=DeliveryStatus.PENDING), replay)
    missing = _events(replay).filter(~Exists(_of_event(replay))).order_by("seq")
    chunk: list[Delivery] = []
    now = timezone.now()
    for place, event in enumerate(missing.iterator(chunk_size=_CHUNK)):
        chunk.append(
            Delivery(
                workspace_id=replay.workspace_id,
                subscription=replay.subscription,
                event=event,
                body=wire_body(event),
                next_at=now + timedelta(microseconds=place),  # in their order
                replay=replay,
            )
        )
        if len(chunk) == _CHUNK:
            made += len(Delivery.objects.bulk_create(chunk, ignore_conflicts=True))
            chunk = []
    return made + len(Delivery.objects.bulk_create(chunk, ignore_conflicts=True))


def _given_up(replay: Replay) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        subscription=replay.subscription,
        status=DeliveryStatus.FAILED,
        created_at__gte=replay.since,
        created_at__lt=replay.until,
    )


def _events(replay: Replay) -> QuerySet[Event]:
    """What it asks for among the events of its span; without those that the relay has yet to make out."""
    found = Event.objects.filter(
        workspace_id=replay.workspace_id, occurred_at__gte=replay.since, occurred_at__lt=replay.until
    ).exclude(relayed_at=None)
    if replay.subscription.events:
        found = found.filter(type__in=replay.subscription.events)
    found = found.exclude(type=TEST_TYPE)
    return found.filter(~Exists(_of_event(replay))) if replay.kind == ReplayKind.MISSING else found


def _of_event(replay: Replay) -> QuerySet[Delivery]:
    return Delivery.objects.filter(subscription=replay.subscription, event=OuterRef("pk"))


def _again(rows: QuerySet[Delivery], replay: Replay) -> int:
    return rows.update(
        status=DeliveryStatus.PENDING,
        next_at=timezone.now(),
        lease_until=None,
        delivered_at=None,
        attempts_before=F("attempts"),
        replay=replay,
    )
