"""E-mail to those who answer for a workspace when one of its subscriptions was disabled."""

from datetime import timedelta
from smtplib import SMTPException

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone

from tenex.webhooks.models import SubscriptionStatus, WebhookSubscription
from tenex.workspaces.models import Role, User

log = structlog.get_logger(__name__)
TRY_AGAIN = timedelta(minutes=10)
"""After a mail server that did not take it, or a worker that died over it: then it may come twice."""

_TEXT = """\
The webhook subscription {url} of the workspace {workspace} was disabled: {reason}.

Nothing is sent to it any more. When the receiver is well again, enable the subscription in the admin or with

    PATCH {base}/api/v1/voice/webhooks/{id}    {{"status": "active"}}

and ask for what it missed with

    POST {base}/api/v1/voice/webhooks/{id}/replay    {{"since": "{since}", "kind": "missing"}}
"""


def send_due() -> int:
    """Send the notices that are due; returns how many were sent."""
    now = timezone.now()
    sent = 0
    due = WebhookSubscription.objects.filter(status=SubscriptionStatus.DISABLED, notice_due_at__lte=now)
    for row in due.select_related("workspace"):
        ours = WebhookSubscription.objects.filter(pk=row.pk, notice_due_at=row.notice_due_at)
        if not ours.update(notice_due_at=now + TRY_AGAIN):
            continue
        try:
            _send(row)
        except (OSError, SMTPException) as exc:
            log.warning("webhook notice not sent", webhook_id=str(row.pk), error=type(exc).__name__)
            continue
        WebhookSubscription.objects.filter(pk=row.pk).update(notice_due_at=None)
        sent += 1
    return sent


def _send(subscription: WebhookSubscription) -> None:
    workspace = subscription.workspace
    to = list(
        User.objects.filter(
            is_active=True, memberships__workspace=workspace, memberships__role__in=(Role.OWNER, Role.ADMIN)
        ).values_list("email", flat=True)
    )
    if not to:
        return
    EmailMessage(
        f"Webhook disabled: {subscription.url[:100]}",
        _TEXT.format(
            url=subscription.url,
            workspace=workspace.name,
            reason=subscription.disabled_reason,
            base=settings.PUBLIC_BASE_URL,
            id=subscription.pk,
            since=f"{subscription.disabled_at:%Y-%m-%dT%H:%M:%SZ}",
        ),
        to=to,
    ).send()
