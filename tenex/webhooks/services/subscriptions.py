"""Subscriptions of integrators."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tenex.errors import Conflict, InvalidInput
from tenex.events import services as events
from tenex.lib import guarded_http
from tenex.webhooks import signing
from tenex.webhooks.models import SubscriptionStatus, WebhookSubscription
from tenex.workspaces.models import Workspace

ROTATION_OVERLAP = timedelta(hours=24)
MAX_PER_WORKSPACE = 50


def policy() -> guarded_http.Policy:
    return guarded_http.Policy.of(settings.WEBHOOK_ALLOWED_PRIVATE_CIDRS)


def check_url(url: str) -> None:
    """Refuse addresses that we would not connect to; a name that does not resolve yet is let through.

    Raises:
        InvalidInput: the URL is not one that we deliver to.
    """
    try:
        guarded_http.check(url, policy())
    except guarded_http.AddressRefused as exc:
        raise InvalidInput(str(exc), loc=("body", "url"), type_="url_refused") from exc
    except guarded_http.ExchangeFailed:
        return


def create(
    workspace: Workspace,
    *,
    url: str,
    events: list[str] | None = None,
    description: str = "",
    timeout_s: int = 5,
    stop_after_five: bool = False,
) -> WebhookSubscription:
    """Subscribe a URL; the new secret is in the returned row's `secret`.

    Raises:
        InvalidInput: see :func:`check_url`.
        Conflict: the workspace has too many subscriptions.
    """
    check_url(url)
    if WebhookSubscription.objects.filter(workspace=workspace).count() >= MAX_PER_WORKSPACE:
        raise Conflict(
            f"a workspace can have {MAX_PER_WORKSPACE} subscriptions", code="too_many_subscriptions"
        )
    return WebhookSubscription.objects.create(
        workspace=workspace,
        url=url,
        events=sorted(set(events or [])),
        description=description,
        timeout_s=timeout_s,
        stop_after_five=stop_after_five,
        secret=signing.new_secret(),
    )


def update(subscription: WebhookSubscription, changes: dict[str, Any]) -> WebhookSubscription:
    """Change url, events, description, timeout_s, stop_after_five or status (`active` or `paused`)."""
    if "url" in changes:
        check_url(changes["url"])
    if changes.get("status") == SubscriptionStatus.ACTIVE:
        changes = {**changes, "failing_since": None, "disabled_reason": ""}
    for name, value in changes.items():
        setattr(subscription, name, value)
    subscription.save(update_fields=list(changes))
    return subscription


def rotate_secret(subscription: WebhookSubscription) -> WebhookSubscription:
    """Give it a new secret; the old one signs as well for a day."""
    subscription.previous_secret = subscription.secret
    subscription.previous_secret_until = timezone.now() + ROTATION_OVERLAP
    subscription.secret = signing.new_secret()
    subscription.save(update_fields=["secret", "previous_secret", "previous_secret_until"])
    return subscription


def disable(subscription: WebhookSubscription, reason: str) -> None:
    """Stop delivering to it and say so with an event (other subscriptions hear it)."""
    with transaction.atomic():
        changed = (
            WebhookSubscription.objects.filter(pk=subscription.pk)
            .exclude(status=SubscriptionStatus.DISABLED)
            .update(status=SubscriptionStatus.DISABLED, disabled_reason=reason)
        )
        if changed:
            events.record(
                workspace_id=subscription.workspace_id,
                type="webhook.disabled",
                data={"subscription_id": str(subscription.pk), "url": subscription.url, "reason": reason},
            )
