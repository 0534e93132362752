"""Lanes: what one receiver does is no matter to the others, and not to its own new events."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tenex.webhooks.models import Delivery, WebhookSubscription
from tenex.webhooks.services import lanes, relay, replays
from tenex.workspaces.models import Workspace
from tests.rows import together
from tests.webhooks.drive import ACTOR, make_due, record, send, subscribe
from tests.webhooks.receiver import Answer, Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_lane_has_eight_requests_on_their_way_and_one_while_it_fails(
    workspace: Workspace, receiver: Receiver
) -> None:
    lane = subscribe(workspace, receiver.url)
    for _ in range(20):
        record(workspace)
    relay.relay()
    assert len(lanes.claim(100)) == lanes.PARALLEL
    assert lanes.claim(100) == []
    Delivery.objects.update(lease_until=None)
    WebhookSubscription.objects.filter(pk=lane.pk).update(failing_since=timezone.now(), failures=1)
    assert len(lanes.claim(100)) == 1
    assert lanes.claim(100) == []


def test_what_is_oldest_goes_first(workspace: Workspace, receiver: Receiver) -> None:
    subscribe(workspace, receiver.url)
    made = [record(workspace).id for _ in range(5)]
    relay.relay()
    assert [one.delivery.event_id for one in lanes.claim(3)] == made[:3]


def test_lanes_that_fail_get_no_more_than_their_share(workspace: Workspace, receiver: Receiver) -> None:
    for n in range(6):
        subscribe(workspace, f"{receiver.url}/{n}")
    record(workspace)
    relay.relay()
    broken = WebhookSubscription.objects.order_by("created_at").values_list("pk", flat=True)[:4]
    WebhookSubscription.objects.filter(pk__in=list(broken)).update(failing_since=timezone.now(), failures=1)
    claimed = lanes.claim(100, failing_room=1)
    failing = [one for one in claimed if one.delivery.subscription.failing_since]
    assert (len(claimed), len(failing)) == (3, 1)


def test_workers_that_claim_at_the_same_time_never_take_the_same(
    workspace: Workspace, receiver: Receiver
) -> None:
    for n in range(3):
        subscribe(workspace, f"{receiver.url}/{n}")
    for _ in range(20):
        record(workspace)
    relay.relay()
    for _ in range(5):
        found = together(*[lambda: lanes.claim(5)] * 4)
        ids = [one.delivery.pk for claimed in found for one in claimed]
        assert len(ids) == len(set(ids))
        leased = Delivery.objects.filter(lease_until__gte=timezone.now())
        for lane in WebhookSubscription.objects.all():
            assert leased.filter(subscription=lane).count() <= lanes.PARALLEL
        leased.update(lease_until=None, next_at=timezone.now())
    assert Delivery.objects.filter(attempts__gt=0).exists()


def test_paused_lanes_wait_and_go_on(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url)
    WebhookSubscription.objects.filter(pk=lane.pk).update(status="paused")
    record(workspace)
    assert send() == 0
    assert Delivery.objects.count() == 1
    WebhookSubscription.objects.filter(pk=lane.pk).update(status="active")
    assert send() == 1


@pytest.mark.parametrize("status", [429, 502, 504])
def test_a_receiver_with_too_much_to_do_gets_a_rest_that_grows(
    workspace: Workspace, receiver: Receiver, status: int
) -> None:
    receiver.answers = [status, status]
    lane = subscribe(workspace, receiver.url)
    rests = []
    for _ in range(2):
        record(workspace)
        before = timezone.now()
        send()
        lane.refresh_from_db()
        assert lane.throttled_until is not None
        rests.append((lane.throttled_until - before).total_seconds())
        assert lanes.claim(10) == []
        make_due()
    assert rests == [pytest.approx(1, abs=0.5), pytest.approx(2, abs=0.5)]
    assert send() == 2
    lane.refresh_from_db()
    assert (lane.throttled_until, lane.throttles, lane.failures) == (None, 0, 0)


def test_retry_after_is_a_rest_for_the_whole_lane(workspace: Workspace, receiver: Receiver) -> None:
    receiver.answers = [Answer(503, {"Retry-After": "1800"})]
    lane = subscribe(workspace, receiver.url)
    record(workspace)
    send()
    record(workspace)
    Delivery.objects.update(next_at=timezone.now())
    assert send() == 0
    lane.refresh_from_db()
    assert lane.throttled_until is not None
    assert lane.throttled_until - timezone.now() > timedelta(minutes=29)


def test_new_events_go_before_what_is_sent_again(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url)
    for _ in range(30):
        record(workspace)
    send()
    replays.create(lane, kind="all", since=timezone.now() - timedelta(hours=1), until=None, actor=ACTOR)
    assert replays.prepare() == 1
    fresh = record(workspace)
    relay.relay()
    assert fresh.id in {one.delivery.event_id for one in lanes.claim(1)}


def test_one_that_hangs_keeps_only_itself_waiting(workspace: Workspace, receiver: Receiver) -> None:
    """The pump itself: threads, as in a worker."""
    from tenex.webhooks.pump import Pump

    hanging = Receiver()
    hanging.decide = lambda *_: Answer(after_s=3)
    subscribe(workspace, hanging.url, timeout_s=5)
    subscribe(workspace, receiver.url)
    for _ in range(20):
        record(workspace)
    pump = Pump()
    pump.wake()
    done = threading.Event()
    try:
        for _ in range(100):
            if len(receiver.seen) == 20:
                break
            done.wait(0.1)
        assert len(receiver.seen) == 20
        assert hanging.most_together <= lanes.PARALLEL
        assert not Delivery.objects.filter(subscription__url=hanging.url, status="succeeded").exists(), (
            "its first answers are not there yet"
        )
    finally:
        pump.stop(10)
        hanging.close()
        connection.close()
    assert pump._busy == 0
