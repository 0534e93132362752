"""Rotation: for a chosen time both secrets sign, of the subscription and of the workspace."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tenex.webhooks import signing
from tenex.webhooks.models import DeliveryAttempt, RetiringSecret, WebhookSubscription
from tenex.webhooks.services import lanes, relay, secrets, subscriptions
from tenex.workspaces.models import AuditEntry, Workspace
from tenex.workspaces.services import vault
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
    old = secrets.of_subscription(lane)
    _, new = subscriptions.rotate_secret(lane, ACTOR, overlap_s=60)
    assert new != old
    request = next_request(workspace, receiver)
    assert accepts(old, request)
    assert accepts(new, request)
    WebhookSubscription.objects.update(previous_secret_until=timezone.now() - timedelta(seconds=1))
    request = next_request(workspace, receiver)
    assert not accepts(old, request)
    assert accepts(new, request)
    assert "secret" not in str(AuditEntry.objects.get(action="webhook.secret_rotated").data)


def test_without_overlap_the_old_secret_is_void_at_once(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url)
    old = secrets.of_subscription(lane)
    _, new = subscriptions.rotate_secret(lane, ACTOR, overlap_s=0)
    request = next_request(workspace, receiver)
    assert not accepts(old, request)
    assert accepts(new, request)


def test_the_workspaces_secret_goes_over_from_one_header_to_the_other(
    workspace: Workspace, receiver: Receiver
) -> None:
    subscribe(workspace, receiver.url)
    old = secrets.of_workspace(workspace)
    new, _ = subscriptions.rotate_workspace_secret(workspace, ACTOR, overlap_s=60)
    assert new == secrets.of_workspace(workspace) != old
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
    new, retiring = subscriptions.rotate_workspace_secret(workspace, ACTOR, overlap_s=0)
    assert retiring is None
    headers, body = next_request(workspace, receiver)
    assert headers["x-10ex-signature"] == signing.body_signature(new, body)
    assert "x-10ex-signature-next" not in headers


def test_no_secret_stands_in_the_database(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url)
    _, second = subscriptions.rotate_secret(lane, ACTOR)
    third, _ = subscriptions.rotate_workspace_secret(workspace, ACTOR)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT row_to_json(a)::text || row_to_json(b)::text || row_to_json(c)::text"
            " FROM webhooks_webhooksubscription a, workspaces_workspace b, webhooks_retiringsecret c"
        )
        [[kept]] = cursor.fetchall()
    for secret in (secrets.of_subscription(lane), second, third):
        assert secret not in kept
    assert kept.count('"s1.') == 4


def test_what_an_earlier_release_wrote_goes_on_and_is_sealed_when_that_is_gone(
    workspace: Workspace, receiver: Receiver
) -> None:
    lane = subscribe(workspace, receiver.url)
    plain, other = signing.new_secret(), signing.new_secret()
    WebhookSubscription.objects.update(
        secret=plain, previous_secret=other, previous_secret_until=timezone.now() + timedelta(days=1)
    )
    Workspace.objects.filter(pk=workspace.pk).update(webhook_secret="old")
    MigrationRecorder.Migration.objects.update(applied=timezone.now())
    assert secrets.seal_plain() == 0, "processes of the earlier release may still sign by the plain columns"
    for sealed in (0, 3):
        request = next_request(workspace, receiver)
        assert accepts(plain, request)
        assert accepts(other, request)
        assert request[0]["x-10ex-signature"] == signing.body_signature("old", request[1])
        if not sealed:
            MigrationRecorder.Migration.objects.update(applied=timezone.now() - secrets.EARLIER_RELEASE * 2)
            assert secrets.seal_plain() == 3
    lane.refresh_from_db()
    assert (lane.secret, lane.previous_secret) == ("", "")
    assert secrets.seal_plain(at_once=True) == 0


def test_a_rotation_takes_the_plain_secret_away(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url)
    plain = signing.new_secret()
    WebhookSubscription.objects.update(secret=plain)
    lane.refresh_from_db()
    subscriptions.rotate_secret(lane, ACTOR)
    lane.refresh_from_db()
    assert (lane.secret, lane.previous_secret) == ("", "")
    assert accepts(plain, next_request(workspace, receiver))


def test_a_secret_that_cannot_be_read_fails_its_own_deliveries_only(
    workspace: Workspace, receiver: Receiver
) -> None:
    lane, broken = subscribe(workspace, receiver.url), subscribe(workspace, receiver.url)
    WebhookSubscription.objects.filter(pk=broken.pk).update(secret_sealed=lane.secret_sealed)
    record(workspace)
    send()
    assert len(receiver.seen) == 1
    assert "cannot be read" in DeliveryAttempt.objects.get(delivery__subscription=broken).error


def test_signing_asks_for_the_key_once(workspace: Workspace, receiver: Receiver) -> None:
    for _ in range(3):
        subscribe(workspace, receiver.url)
    next_request(workspace, receiver)
    record(workspace)
    while relay.relay():
        pass
    vault.forget()
    with CaptureQueriesContext(connection) as cold:
        lanes.claim(1)
    with CaptureQueriesContext(connection) as warm:
        lanes.claim(1)
    assert len(cold) - len(warm) == 1
