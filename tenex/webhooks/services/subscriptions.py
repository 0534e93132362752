"""Subscriptions of integrators, their secrets and their end."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from tenex.errors import Conflict, InvalidInput
from tenex.events import services as events
from tenex.lib import guarded_http
from tenex.lib.wake import wake
from tenex.webhooks import signing
from tenex.webhooks.models import (
    Delivery,
    DeliveryStatus,
    RetiringSecret,
    SubscriptionStatus,
    WebhookSubscription,
)
from tenex.webhooks.services import secrets
from tenex.webhooks.services.relay import wire_body
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit

_DELETE_TRIES = 5
OVERLAP_S = 24 * 3600
LONGEST_OVERLAP_S = 7 * 24 * 3600
MAX_PER_WORKSPACE = 50
_HEALTHY: dict[str, Any] = {
    "failing_since": None,
    "failures": 0,
    "throttled_until": None,
    "throttles": 0,
    "disabled_at": None,
    "disabled_reason": "",
    "notice_due_at": None,
}


def policy() -> guarded_http.Policy:
    return guarded_http.Policy.of(settings.WEBHOOK_ALLOWED_PRIVATE_CIDRS)


def check_url(url: str) -> None:
    """Refuse addresses that we would not connect to; a name that does not resolve yet is let through.

    Raises:
        InvalidInput: the URL is not one that we deliver to.
    """
    try:
        guarded_http.check(url, policy(), timeout_s=3.0)
    except guarded_http.AddressRefused as exc:
        raise InvalidInput(str(exc), loc=("body", "url"), type_="url_refused") from exc
    except guarded_http.ExchangeFailed:
        return


def refuse_disabled(subscription: WebhookSubscription) -> None:
    """Raises:
    Conflict: it is disabled; what is sent again would go nowhere.
    """
    if subscription.status == SubscriptionStatus.DISABLED:
        raise Conflict("the subscription is disabled: enable it first", code="webhook_disabled")


def create(
    workspace: Workspace,
    *,
    url: str,
    actor: str,
    events: list[str] | None = None,
    description: str = "",
    timeout_s: int = 5,
    stop_after_five: bool = False,
) -> tuple[WebhookSubscription, str]:
    """Subscribe a URL; the second value is its secret, which is shown nowhere afterwards.

    Raises:
        InvalidInput: see :func:`check_url`.
        Conflict: the workspace has too many subscriptions.
    """
    check_url(url)
    with transaction.atomic(), connection.cursor() as cursor:
        # Two at the same time must not both be the fiftieth.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"webhooks:{workspace.pk}"])
        if WebhookSubscription.objects.filter(workspace=workspace).count() >= MAX_PER_WORKSPACE:
            raise Conflict(
                f"a workspace can have {MAX_PER_WORKSPACE} subscriptions", code="too_many_subscriptions"
            )
        made = WebhookSubscription(
            workspace=workspace,
            url=url,
            events=sorted(set(events or [])),
            description=description,
            timeout_s=timeout_s,
            stop_after_five=stop_after_five,
        )
        secret = signing.new_secret()
        secrets.put(made, "secret", workspace.pk, secret)
        made.save(force_insert=True)
        _audit(made, actor, "webhook.created", url=url)
    return made, secret


def update(subscription: WebhookSubscription, changes: dict[str, Any], actor: str) -> WebhookSubscription:
    """Change url, events, description, timeout_s, stop_after_five or status (`active` or `paused`).

    Raises:
        InvalidInput: see :func:`check_url`.
    """
    fields = dict(changes)
    if "url" in fields:
        check_url(fields["url"])
    if "events" in fields:
        fields["events"] = sorted(set(fields["events"]))
    if "status" in fields:
        fields |= _HEALTHY
    for name, value in fields.items():
        setattr(subscription, name, value)
    with transaction.atomic():
        subscription.save(update_fields=list(fields))
        _audit(subscription, actor, "webhook.updated", fields=sorted(changes))
        wake("tenex.webhooks.relay")  # what waited while it was paused
    return subscription


def delete(subscription: WebhookSubscription, actor: str) -> None:
    """Unsubscribe; the delivery log goes too, also while deliveries are under way."""
    for left in reversed(range(_DELETE_TRIES)):
        try:
            with transaction.atomic():
                # In the order of whoever writes a result: the delivery, then its lane. Once the subscription
                # is ours no new delivery can refer to it.
                list(
                    subscription.deliveries.select_for_update()
                    .filter(status=DeliveryStatus.PENDING)
                    .order_by("pk")
                    .values_list("pk", flat=True)
                )
                row = WebhookSubscription.objects.select_for_update().filter(pk=subscription.pk).first()
                if row is not None:
                    _audit(row, actor, "webhook.deleted", url=row.url)
                    row.delete()
            return
        except (OperationalError, IntegrityError):  # a deadlock with a delivery made in between
            if not left:
                raise


def rotate_secret(
    subscription: WebhookSubscription, actor: str, *, overlap_s: int = OVERLAP_S
) -> tuple[WebhookSubscription, str]:
    """Give it a new secret, the second value; the old one signs as well for `overlap_s` seconds.

    Raises:
        vault.Unreadable: the old one cannot be opened; without an overlap it need not be.
    """
    with transaction.atomic():
        row = WebhookSubscription.objects.select_for_update(no_key=True).get(pk=subscription.pk)
        old, secret = secrets.of_subscription(row) if overlap_s else "", signing.new_secret()
        row.previous_secret_until = timezone.now() + timedelta(seconds=overlap_s) if overlap_s else None
        changed = secrets.put(row, "previous_secret", row.workspace_id, old)
        changed += secrets.put(row, "secret", row.workspace_id, secret)
        row.save(update_fields=[*changed, "previous_secret_until"])
        _audit(row, actor, "webhook.secret_rotated", overlap_s=overlap_s)
    return row, secret


def rotate_workspace_secret(
    workspace: Workspace, actor: str, *, overlap_s: int = OVERLAP_S
) -> tuple[str, RetiringSecret | None]:
    """Give the workspace a new secret; returns it, and the old one while it signs.

    Raises:
        vault.Unreadable: as :func:`rotate_secret`.
    """
    with transaction.atomic():
        # The row is locked only to read and write the secret of this moment.
        row = Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        retiring = None
        RetiringSecret.objects.filter(workspace=row).delete()
        if overlap_s:
            retiring = RetiringSecret(workspace=row, until=timezone.now() + timedelta(seconds=overlap_s))
            secrets.put(retiring, "secret", row.pk, secrets.of_workspace(row))
            retiring.save(force_insert=True)
        secret = signing.new_secret()
        row.save(update_fields=secrets.put(row, "webhook_secret", row.pk, secret))
        audit.record(
            row.pk,
            actor,
            "workspace.webhook_secret_rotated",
            object_type="workspace",
            object_id=row.pk,
            data={"overlap_s": overlap_s},
        )
    workspace.webhook_secret, workspace.webhook_secret_sealed = "", row.webhook_secret_sealed
    return secret, retiring


def send_test(subscription: WebhookSubscription, actor: str) -> Delivery:
    """Send a `webhook.test` to this subscription alone, through the same queue as everything else.

    Raises:
        Conflict: it is disabled or paused.
    """
    refuse_disabled(subscription)
    if subscription.status != SubscriptionStatus.ACTIVE:
        raise Conflict("the subscription is paused: nothing is sent", code="webhook_paused")
    with transaction.atomic():
        _audit(subscription, actor, "webhook.tested")
        event = events.record(
            workspace_id=subscription.workspace_id,
            type="webhook.test",
            data={"subscription_id": str(subscription.pk), "url": subscription.url, "actor": actor},
        )
        if event is None:
            raise RuntimeError("a fact without `once` is always recorded")
        event.relayed_at = timezone.now()  # for nobody else
        event.save(update_fields=["relayed_at"])
        made = Delivery.objects.create(
            workspace_id=subscription.workspace_id,
            subscription=subscription,
            event=event,
            body=wire_body(event),
            next_at=timezone.now(),
        )
        wake("tenex.webhooks.relay")
    return made


def disable(subscription: WebhookSubscription, reason: str) -> None:
    """Stop delivering to it and say so: an event (other subscriptions hear it), an audit row, an e-mail."""
    with transaction.atomic():
        now = timezone.now()
        changed = (
            WebhookSubscription.objects.filter(pk=subscription.pk)
            .exclude(status=SubscriptionStatus.DISABLED)
            .update(
                status=SubscriptionStatus.DISABLED,
                disabled_at=now,
                disabled_reason=reason,
                notice_due_at=now,
            )
        )
        if not changed:
            return
        _audit(subscription, "system:webhooks", "webhook.disabled", reason=reason, url=subscription.url)
        events.record(
            workspace_id=subscription.workspace_id,
            type="webhook.disabled",
            data={"subscription_id": str(subscription.pk), "url": subscription.url, "reason": reason},
        )
        wake("tenex.webhooks.notices")


def _audit(subscription: WebhookSubscription, actor: str, action: str, **data: Any) -> None:
    audit.record(
        subscription.workspace_id,
        actor,
        action,
        object_type="webhook",
        object_id=subscription.pk,
        data=data,
    )
