"""From an event to a receiver: nothing lost, nothing twice, both signatures right."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from tenex.events import services as events
from tenex.events.models import Event
from tenex.webhooks import schedule
from tenex.webhooks.models import Delivery, DeliveryStatus
from tenex.webhooks.services import deliveries, lanes, relay, secrets
from tenex.workspaces.models import Workspace
from tests.webhooks.drive import ACTOR, record, send, send_again, subscribe
from tests.webhooks.receiver import Answer, Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def test_both_signatures_verify_over_the_exact_bytes(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url)
    event = record(workspace, name="Zoë")
    assert send() == 1
    headers, body = receiver.seen[0]
    assert Webhook(secrets.of_subscription(lane)).verify(body, headers)["id"] == event.id
    recipe = hmac.new(secrets.of_workspace(workspace).encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-10ex-signature"] == f"sha256={recipe}"
    sent = json.loads(body)
    assert sent["company_id"] == str(workspace.pk)
    assert sent["data"] == {"name": "Zoë"}
    assert sent["type"] == "lead.created"
    assert bytes(Delivery.objects.get().body) == body


def test_a_failure_is_tried_again_with_the_same_id(workspace: Workspace, receiver: Receiver) -> None:
    receiver.answers = [500, 503, 200]
    subscribe(workspace, receiver.url)
    record(workspace)
    assert send() == 1
    assert send() == 0, "it waits"
    assert send_again() == 1
    assert send_again() == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 1
    assert len({body for _, body in receiver.seen}) == 1
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.SUCCEEDED, 3)
    assert list(delivery.log.values_list("number", "status_code")) == [(1, 500), (2, 503), (3, 200)]


def test_relaying_twice_makes_one_delivery(workspace: Workspace, receiver: Receiver) -> None:
    subscribe(workspace, receiver.url)
    record(workspace)
    relay.relay()
    Event.objects.update(relayed_at=None)  # as if the worker had died before its commit was known
    relay.relay()
    assert Delivery.objects.count() == 1


def test_a_dead_workers_lease_runs_out_and_the_delivery_goes_on(
    workspace: Workspace, receiver: Receiver
) -> None:
    subscribe(workspace, receiver.url)
    record(workspace)
    relay.relay()
    assert len(lanes.claim(10)) == 1
    assert send() == 0, "it is leased"
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert send() == 1
    assert Delivery.objects.get().status == DeliveryStatus.SUCCEEDED


def test_a_worker_that_was_overtaken_changes_no_plan_but_its_success_counts(
    workspace: Workspace, receiver: Receiver
) -> None:
    subscribe(workspace, receiver.url)
    record(workspace)
    relay.relay()
    [slow] = lanes.claim(10)
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    [_second] = lanes.claim(10)
    receiver.answers = [500]
    deliveries.attempt(slow)
    row = Delivery.objects.get()
    assert (row.status, row.attempts, row.lease_until is None) == ("pending", 2, False)
    deliveries.attempt(slow)
    assert Delivery.objects.get().status == DeliveryStatus.SUCCEEDED


def test_an_answer_for_what_was_unsubscribed_meanwhile_is_dropped(
    workspace: Workspace, receiver: Receiver
) -> None:
    lane = subscribe(workspace, receiver.url)
    record(workspace)
    relay.relay()
    [claimed] = lanes.claim(10)
    lane.delete()
    assert deliveries.attempt(claimed) is None


def test_the_log_keeps_the_first_kib_of_an_answer_and_words_for_none(
    workspace: Workspace, receiver: Receiver
) -> None:
    receiver.answers = [Answer(500, body=b"\x00\xff" + b"x" * 5000), Answer(302, {"location": "/else"})]
    subscribe(workspace, receiver.url, timeout_s=1)
    record(workspace)
    send()
    send_again()
    receiver.decide = lambda *_: Answer(after_s=1.5)
    send_again()
    log = list(Delivery.objects.get().log.all())
    assert [(one.status_code, one.error) for one in log] == [
        (500, "not a 2xx answer"),
        (302, "not a 2xx answer"),
        (None, "timed out"),
    ]
    assert log[0].response_body == "\ufffd" + "x" * 1022
    assert log[2].duration_ms >= 1000


def test_a_subscription_hears_only_the_types_it_asked_for(workspace: Workspace, receiver: Receiver) -> None:
    subscribe(workspace, receiver.url, events=["call.ended"])
    record(workspace, "lead.created")
    record(workspace, "call.ended")
    send()
    assert [json.loads(body)["type"] for _, body in receiver.seen] == ["call.ended"]


def test_it_hears_nothing_of_what_was_before_it(workspace: Workspace, receiver: Receiver) -> None:
    record(workspace)
    subscribe(workspace, receiver.url)
    assert send() == 0


def test_another_workspaces_events_stay_there(workspace: Workspace, receiver: Receiver) -> None:
    other = Workspace.objects.create(name="Other", slug="other", webhook_secret="x")
    subscribe(workspace, receiver.url)
    record(other)
    relay.relay()
    assert Delivery.objects.count() == 0


def test_after_the_whole_schedule_it_is_given_up_and_a_replay_begins_anew(
    workspace: Workspace, receiver: Receiver
) -> None:
    receiver.answers = [500] * 12
    subscribe(workspace, receiver.url, stop_after_five=True)
    record(workspace)
    send()
    for _ in range(9):
        send_again()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.next_at) == (DeliveryStatus.FAILED, 6, None)
    deliveries.replay(delivery, ACTOR)
    for _ in range(9):
        send_again()
    assert Delivery.objects.get().attempts == 12
    deliveries.replay(delivery, ACTOR)
    assert send() == 1
    assert Delivery.objects.get().status == DeliveryStatus.SUCCEEDED
    assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 1


def test_a_fact_that_happens_once_is_recorded_once_and_numbers_have_no_gap(workspace: Workspace) -> None:
    for _ in range(3):
        with transaction.atomic():
            events.record(workspace_id=workspace.pk, type="call.ended", data={}, once="call-1")
        record(workspace)
    assert list(Event.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3, 4]
    assert Event.objects.filter(type="call.ended").count() == 1


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999999])
def test_the_schedule_starts_like_the_reference_and_lasts_75_hours_whatever_the_jitter(chance: float) -> None:
    waits = [
        schedule.delay_s(n, stop_after_five=False, retry_after_s=None, chance=chance) for n in range(1, 17)
    ]
    factor = 0.9 + 0.2 * chance
    assert waits[:5] == pytest.approx([one * factor for one in (1, 2, 4, 8, 16)])
    assert waits[-1] is None
    assert sum(wait for wait in waits if wait) >= 75 * 3600
    assert schedule.delay_s(6, stop_after_five=True, retry_after_s=None, chance=chance) is None


def test_retry_after_neither_hurries_nor_stalls_a_delivery() -> None:
    def wait(seconds: float) -> float | None:
        return schedule.delay_s(6, stop_after_five=False, retry_after_s=seconds, chance=0.5)

    assert (wait(1), wait(400), wait(1e9)) == (300, 400, 600)


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    now = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
    for raw, seconds in (
        ("120", 120), (" 0 ", 0), ("Fri, 01 May 2026 12:02:00 GMT", 120),
        ("Fri, 01 May 2026 11:00:00 GMT", 0),
        ("9" * 50, 999999999), ("", None), ("soon", None), ("-5", None), ("٣", None),
    ):  # fmt: skip
        assert schedule.retry_after_s(raw, now) == seconds, raw
