"""Rotation: for a chosen time both secrets sign, of the subscription and of the workspace."""

from datetime import timedelta

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tenex.webhooks import signing
from tenex.webhooks.models import RetiringSecret, WebhookSubscription
from tenex.webhooks.services import subscriptions
from tenex.workspaces.models import AuditEntry, Workspace
from tests.webhooks.drive import ACTOR, record, send, subscribe
from tests.webhooks.receiver import Headers, Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def next_request(workspace: Workspace, receiver: Receiver) -> tuple[Headers, bytes]:
    record(workspace)
    send()
    return receiver.seen[-1]


def accepts(secret: str, request: tuple[Headers, bytes]) -> bool:
    headers, body = request
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def test_both_secrets_of_a_subscription_sign_until_the_overlap_ends(
    workspace: Workspace, receiver: Receiver
) -> None:
    lane = subscribe(workspace, receiver.url)
    new = subscriptions.rotate_secret(lane, ACTOR, overlap_s=60)
    assert new.secret != lane.secret
    request = next_request(workspace, receiver)
    assert accepts(lane.secret, request)
    assert accepts(new.secret, request)
    WebhookSubscription.objects.update(previous_secret_until=timezone.now() - timedelta(seconds=1))
    request = next_request(workspace, receiver)
    assert not accepts(lane.secret, request)
    assert accepts(new.secret, request)
    assert "secret" not in str(AuditEntry.objects.get(action="webhook.secret_rotated").data)


def test_without_overlap_the_old_secret_is_void_at_once(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url)
    new = subscriptions.rotate_secret(lane, ACTOR, overlap_s=0)
    request = next_request(workspace, receiver)
    assert not accepts(lane.secret, request)
    assert accepts(new.secret, request)


def test_the_workspaces_secret_goes_over_from_one_header_to_the_other(
    workspace: Workspace, receiver: Receiver
) -> None:
    subscribe(workspace, receiver.url)
    old = workspace.webhook_secret
    subscriptions.rotate_workspace_secret(workspace, ACTOR, overlap_s=60)
    new = workspace.webhook_secret
    assert new != old
    headers, body = next_request(workspace, receiver)
    assert headers["x-10ex-signature"] == signing.body_signature(old, body)
    assert headers["x-10ex-signature-next"] == signing.body_signature(new, body)
    RetiringSecret.objects.update(until=timezone.now() - timedelta(seconds=1))
    headers, body = next_request(workspace, receiver)
    assert headers["x-10ex-signature"] == signing.body_signature(new, body)
    assert "x-10ex-signature-next" not in headers


def test_a_leaked_workspace_secret_is_void_at_once(workspace: Workspace, receiver: Receiver) -> None:
    subscribe(workspace, receiver.url)
    subscriptions.rotate_workspace_secret(workspace, ACTOR)
    assert subscriptions.rotate_workspace_secret(workspace, ACTOR, overlap_s=0) is None
    headers, body = next_request(workspace, receiver)
    assert headers["x-10ex-signature"] == signing.body_signature(workspace.webhook_secret, body)
    assert "x-10ex-signature-next" not in headers
