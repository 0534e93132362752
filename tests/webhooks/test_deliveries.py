"""From an event to a receiver: nothing lost, nothing twice, both signatures right."""

import http.server
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from tenex.events import services as events
from tenex.events.models import Event
from tenex.webhooks import schedule, signing
from tenex.webhooks.models import Delivery, DeliveryStatus, SubscriptionStatus, WebhookSubscription
from tenex.webhooks.services import deliveries, subscriptions
from tenex.workspaces.models import Workspace

pytestmark = pytest.mark.django_db(transaction=True)


class Receiver:
    def __init__(self) -> None:
        self.answers: list[int] = []
        self.seen: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.seen.append(({key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def workspace() -> Workspace:
    return Workspace.objects.create(name="Acme", slug="acme", webhook_secret=signing.new_secret())


def record(workspace: Workspace, type_: str = "lead.created", **data: Any) -> Event | None:
    with transaction.atomic():
        return events.record(workspace_id=workspace.pk, type=type_, data=data)


def send_due(lane: WebhookSubscription) -> int:
    Delivery.objects.filter(status="pending").update(next_at=timezone.now())
    return deliveries.deliver_lane(lane.pk)


def test_both_signatures_verify_over_the_exact_bytes(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscriptions.create(workspace, url=receiver.url)
    event = record(workspace, name="Zoë")
    assert event is not None
    assert deliveries.relay() == 1
    assert deliveries.deliver_lane(lane.pk) == 1
    headers, body = receiver.seen[0]
    assert Webhook(lane.secret).verify(body, headers)["id"] == event.id
    assert headers["x-10ex-signature"] == signing.body_signature(workspace.webhook_secret, body)
    sent = json.loads(body)
    assert sent["company_id"] == str(workspace.pk)
    assert sent["data"] == {"name": "Zoë"}
    assert sent["type"] == "lead.created"


def test_a_failed_delivery_is_retried_with_the_same_id(workspace: Workspace, receiver: Receiver) -> None:
    receiver.answers = [500, 302, 200]
    lane = subscriptions.create(workspace, url=receiver.url)
    record(workspace)
    deliveries.relay()
    for _ in range(3):
        send_due(lane)
    assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 1
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.log.count()) == (DeliveryStatus.SUCCEEDED, 3, 3)


def test_relaying_twice_makes_one_delivery(workspace: Workspace, receiver: Receiver) -> None:
    subscriptions.create(workspace, url=receiver.url)
    event = record(workspace)
    assert event is not None
    deliveries.relay()
    Event.objects.update(relayed_at=None)  # as if the worker had died before its commit was known
    deliveries.relay()
    assert Delivery.objects.count() == 1


def test_a_dead_workers_lease_runs_out_and_the_delivery_goes_on(
    workspace: Workspace, receiver: Receiver
) -> None:
    lane = subscriptions.create(workspace, url=receiver.url)
    record(workspace)
    deliveries.relay()
    assert deliveries._claim(lane.pk) is not None
    assert deliveries.deliver_lane(lane.pk) == 0  # the lane is leased
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert deliveries.deliver_lane(lane.pk) == 1
    assert Delivery.objects.get().status == DeliveryStatus.SUCCEEDED


def test_410_disables_the_subscription_and_announces_it(workspace: Workspace, receiver: Receiver) -> None:
    receiver.answers = [410]
    lane = subscriptions.create(workspace, url=receiver.url)
    record(workspace)
    deliveries.relay()
    deliveries.deliver_lane(lane.pk)
    lane.refresh_from_db()
    assert lane.status == SubscriptionStatus.DISABLED
    assert Event.objects.filter(type="webhook.disabled").count() == 1


def test_a_subscription_hears_only_the_types_it_asked_for(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscriptions.create(workspace, url=receiver.url, events=["call.ended"])
    record(workspace, "lead.created")
    record(workspace, "call.ended")
    deliveries.relay()
    deliveries.deliver_lane(lane.pk)
    assert [json.loads(body)["type"] for _, body in receiver.seen] == ["call.ended"]


def test_another_workspaces_events_stay_there(workspace: Workspace, receiver: Receiver) -> None:
    other = Workspace.objects.create(name="Other", slug="other", webhook_secret="x")
    subscriptions.create(workspace, url=receiver.url)
    record(other)
    deliveries.relay()
    assert Delivery.objects.count() == 0


def test_rotation_signs_with_both_secrets(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscriptions.create(workspace, url=receiver.url)
    old = lane.secret
    subscriptions.rotate_secret(lane)
    record(workspace)
    deliveries.relay()
    deliveries.deliver_lane(lane.pk)
    headers, body = receiver.seen[0]
    assert Webhook(old).verify(body, headers)
    assert Webhook(lane.secret).verify(body, headers)


def test_a_fact_that_happens_once_is_recorded_once_and_numbers_have_no_gap(workspace: Workspace) -> None:
    for _ in range(3):
        with transaction.atomic():
            events.record(workspace_id=workspace.pk, type="call.ended", data={}, once="call-1")
        record(workspace)
    assert list(Event.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3, 4]
    assert Event.objects.filter(type="call.ended").count() == 1


def test_the_schedule_starts_like_the_reference_and_lasts_beyond_75_hours() -> None:
    waits = [schedule.delay_s(n, stop_after_five=False, retry_after_s=None, chance=0.5) for n in range(1, 17)]
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[-1] is None
    assert sum(wait for wait in waits if wait) > 75 * 3600
    assert schedule.delay_s(6, stop_after_five=True, retry_after_s=None, chance=0.5) is None


def test_retry_after_neither_hurries_nor_stalls_us() -> None:
    def wait(seconds: float) -> float | None:
        return schedule.delay_s(6, stop_after_five=False, retry_after_s=seconds, chance=0.5)

    assert (wait(1), wait(400), wait(1e9)) == (300, 400, 600)
