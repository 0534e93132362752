"""When we stop sending to a receiver, and who hears of it. The three cases of Svix and our own."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from tenex.errors import Conflict
from tenex.events.models import Event
from tenex.webhooks.models import SubscriptionStatus, WebhookSubscription
from tenex.webhooks.services import deliveries, notices, replays, subscriptions
from tenex.workspaces.models import AuditEntry, Membership, Role, User, Workspace
from tests.webhooks.drive import ACTOR, record, send, send_again, subscribe
from tests.webhooks.receiver import Answer, Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def fail(workspace: Workspace, receiver: Receiver, times: int) -> None:
    """So many failed tries, of new events."""
    receiver.decide = lambda *_: Answer(500)
    for _ in range(times):
        record(workspace)
        send()
    receiver.decide = None


def days_pass(days: float) -> None:
    since = WebhookSubscription.objects.get().failing_since
    assert since is not None
    WebhookSubscription.objects.update(failing_since=since - timedelta(days=days))


def status() -> str:
    return WebhookSubscription.objects.get().status


def test_failures_over_five_days_disable_it(workspace: Workspace, receiver: Receiver) -> None:
    subscribe(workspace, receiver.url)
    fail(workspace, receiver, 12)
    assert status() == SubscriptionStatus.ACTIVE, "many failures at once are an outage"
    days_pass(4.9)
    fail(workspace, receiver, 1)
    assert status() == SubscriptionStatus.ACTIVE
    days_pass(0.2)
    fail(workspace, receiver, 1)
    assert status() == SubscriptionStatus.DISABLED
    assert send_again() == 0


def test_one_success_begins_the_five_days_anew(workspace: Workspace, receiver: Receiver) -> None:
    subscribe(workspace, receiver.url)
    fail(workspace, receiver, 12)
    days_pass(6)
    record(workspace)
    send()
    fail(workspace, receiver, 1)
    row = WebhookSubscription.objects.get()
    assert row.status == SubscriptionStatus.ACTIVE
    assert row.failing_since is not None
    assert timezone.now() - row.failing_since < timedelta(days=1)


def test_a_failure_now_and_then_does_not_disable_it(workspace: Workspace, receiver: Receiver) -> None:
    """Two failed tries a week apart are no proof of five bad days."""
    subscribe(workspace, receiver.url)
    fail(workspace, receiver, 1)
    days_pass(7)
    fail(workspace, receiver, 1)
    assert status() == SubscriptionStatus.ACTIVE


def test_410_disables_at_once_with_event_audit_row_and_mail(
    workspace: Workspace, receiver: Receiver, settings: Settings
) -> None:
    for role in Role:
        user = User.objects.create(email=f"{role}@acme.example")
        Membership.objects.create(workspace=workspace, user=user, role=role)
    receiver.answers = [410]
    lane = subscribe(workspace, receiver.url)
    record(workspace)
    send()
    lane.refresh_from_db()
    assert lane.status == SubscriptionStatus.DISABLED
    assert lane.disabled_reason == "the receiver answered 410 Gone"
    event = Event.objects.get(type="webhook.disabled")
    assert event.data == {
        "subscription_id": str(lane.pk), "url": receiver.url, "reason": lane.disabled_reason
    }  # fmt: skip
    assert AuditEntry.objects.get(action="webhook.disabled").actor == "system:webhooks"
    assert notices.send_due() == 1
    assert notices.send_due() == 0
    [sent] = mail.outbox
    assert sorted(sent.to) == ["admin@acme.example", "owner@acme.example"]
    assert receiver.url in sent.body
    assert str(lane.pk) in sent.body


def test_a_mail_server_that_is_away_is_asked_again(
    workspace: Workspace, receiver: Receiver, settings: Settings
) -> None:
    user = User.objects.create(email="owner@acme.example")
    Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
    lane = subscribe(workspace, receiver.url)
    subscriptions.disable(lane, "a test")
    well = settings.MAILERS
    settings.MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": 9, "timeout": 1},
        }
    }
    assert notices.send_due() == 0
    settings.MAILERS = well
    assert notices.send_due() == 0, "not before ten minutes have passed"
    WebhookSubscription.objects.update(notice_due_at=timezone.now())
    assert notices.send_due() == 1
    assert len(mail.outbox) == 1


def test_it_is_disabled_once_however_many_workers_find_out(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url)
    for _ in range(3):
        subscriptions.disable(lane, "a test")
    assert Event.objects.filter(type="webhook.disabled").count() == 1


def test_nothing_is_sent_again_to_a_disabled_one_until_it_is_enabled(
    workspace: Workspace, receiver: Receiver
) -> None:
    receiver.answers = [410]
    lane = subscribe(workspace, receiver.url)
    record(workspace)
    send()
    lane.refresh_from_db()
    delivery = lane.deliveries.select_related("subscription").get()
    since = timezone.now() - timedelta(hours=1)
    for refused in (
        lambda: deliveries.replay(delivery, ACTOR),
        lambda: subscriptions.send_test(lane, ACTOR),
        lambda: replays.create(lane, kind="all", since=since, until=None, actor=ACTOR),
    ):
        with pytest.raises(Conflict, match="disabled"):
            refused()
    assert send_again() == 0
    subscriptions.update(lane, {"status": "active"}, ACTOR)
    assert send_again() == 1, "what was still to be tried goes on"
    row = WebhookSubscription.objects.get()
    assert (row.status, row.disabled_at, row.disabled_reason, row.failing_since) == ("active", None, "", None)
