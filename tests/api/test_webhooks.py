"""Webhook subscriptions over HTTP, as an integrator uses them."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from tenex.events import services as events
from tenex.webhooks.models import Delivery, WebhookSubscription
from tenex.webhooks.services import deliveries, lanes, relay, replays, secrets, subscriptions
from tenex.workspaces.models import AuditEntry
from tests.api.world import Tenant

W = "/api/v1/voice/webhooks"
URL = "http://127.0.0.1:9/hook"


def send_all() -> None:
    """Nobody listens there: every try fails."""
    while relay.relay():
        pass
    for one in lanes.claim(50):
        deliveries.attempt(one)


def record(tenant: Tenant, type_: str = "lead.updated") -> str:
    with transaction.atomic():
        event = events.record(workspace_id=tenant.workspace.pk, type=type_, data={})
    assert event is not None
    return event.id


def test_a_subscription_lives(alice: Tenant) -> None:
    made = alice.api.post(W, {"url": URL, "events": ["call.ended", "call.ended"], "timeout_s": 30}).json()
    assert (made["events"], made["timeout_s"], made["status"]) == (["call.ended"], 30, "active")
    path = f"{W}/{made['id']}"
    changed = alice.api.patch(
        path, {"url": URL + "2", "events": [], "description": "CRM", "timeout_s": 1, "stop_after_five": True}
    ).json()
    assert (changed["url"], changed["events"], changed["timeout_s"]) == (URL + "2", [], 1)
    assert changed["stop_after_five"] is True
    assert [one["id"] for one in alice.api.get(f"{W}?limit=1").json()["items"]] == [made["id"]]
    assert alice.api.delete(path).status_code == 204
    assert alice.api.get(path).status_code == 404
    actions = AuditEntry.objects.filter(object_id=made["id"]).order_by("created_at")
    assert list(actions.values_list("action", flat=True)) == [
        "webhook.created",
        "webhook.updated",
        "webhook.deleted",
    ]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"url": "https://10.0.0.1/"}, ["body", "url"]),
        ({"url": "https://[::ffff:169.254.169.254]/"}, ["body", "url"]),
        ({"url": "https://u:p@example.com/"}, ["body", "url"]),
        ({"url": "ftp://example.com/"}, ["body", "url"]),
        ({"url": URL, "events": ["call.exploded"]}, ["body", "events", 0]),
        ({"url": URL, "events": ["webhook.test"]}, ["body", "events", 0]),
        ({"url": URL, "timeout_s": 31}, ["body", "timeout_s"]),
        ({"url": URL, "timeout_s": 0}, ["body", "timeout_s"]),
        ({"url": URL, "status": "active"}, ["body", "status"]),
    ],
)
def test_what_is_wrong_is_named(alice: Tenant, body: dict[str, object], loc: list[object]) -> None:
    answer = alice.api.post(W, body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][: len(loc)] == loc


def test_a_changed_address_is_checked_too(alice: Tenant) -> None:
    refused = alice.api.patch(f"{W}/{alice.webhook_id}", {"url": "https://192.168.0.1/"})
    assert refused.json()["detail"][0]["type"] == "url_refused"
    assert WebhookSubscription.objects.get(pk=alice.webhook_id).url == URL


def test_what_is_deleted_while_it_is_changed_is_not_there(
    alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = alice.api.post(W, {"url": URL}).json()
    gone = WebhookSubscription.objects.filter(pk=made["id"])
    monkeypatch.setattr(subscriptions, "check_url", lambda _url: gone.delete())
    answer = alice.api.patch(f"{W}/{made['id']}", {"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_fifty_are_enough(alice: Tenant, charlie: Tenant) -> None:
    WebhookSubscription.objects.bulk_create(
        WebhookSubscription(workspace=alice.workspace, url=URL) for _ in range(49)
    )
    refused = alice.api.post(W, {"url": URL})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_subscriptions")
    assert charlie.api.post(W, {"url": URL}).status_code == 201


def test_a_subscription_is_made_once_for_one_idempotency_key(alice: Tenant) -> None:
    first, again = (alice.api.post(W, {"url": URL}, Idempotency_Key="one").json() for _ in range(2))
    assert first == again
    assert first["secret"].startswith("whsec_")


def test_rotation_shows_the_new_secret_once(alice: Tenant) -> None:
    path = f"{W}/{alice.webhook_id}"
    old = secrets.of_subscription(WebhookSubscription.objects.get(pk=alice.webhook_id))
    rotated = alice.api.post(f"{path}/rotate-secret", {"overlap_s": 60}).json()
    assert rotated["secret"] != old
    assert rotated["previous_secret_until"] is not None
    assert "secret" not in alice.api.get(path).json()
    assert alice.api.post(f"{path}/rotate-secret").status_code == 200
    assert alice.api.post(f"{path}/rotate-secret", {"overlap_s": 604801}).status_code == 422
    void = alice.api.post(f"{path}/rotate-secret", {"overlap_s": 0}).json()
    assert void["previous_secret_until"] is None


def test_rotation_of_the_workspaces_secret(alice: Tenant) -> None:
    old = secrets.of_workspace(alice.workspace)
    rotated = alice.api.post(f"{W}/workspace-secret/rotate", {"overlap_s": 60}).json()
    alice.workspace.refresh_from_db()
    assert rotated["workspace_secret"] == secrets.of_workspace(alice.workspace) != old
    assert rotated["company_id"] == str(alice.workspace.pk)


def test_a_test_is_a_delivery_that_can_be_watched(alice: Tenant) -> None:
    path = f"{W}/{alice.webhook_id}"
    other = alice.api.post(W, {"url": URL + "/other"}).json()["id"]
    alice.api.patch(path, {"events": ["call.ended"]})
    made = alice.api.post(f"{path}/test")
    assert made.status_code == 202
    assert (made.json()["event_type"], made.json()["status"]) == ("webhook.test", "pending")
    send_all()
    seen = alice.api.get(f"{path}/deliveries/{made.json()['id']}").json()
    assert seen["log"][0]["error"] == "connection refused"
    assert seen["body"].startswith('{"id":"' + seen["event_id"])
    assert not Delivery.objects.filter(subscription_id=other, event__type="webhook.test").exists()
    alice.api.patch(path, {"status": "paused"})
    refused = alice.api.post(f"{path}/test")
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_paused")


def test_the_log_is_filtered(alice: Tenant) -> None:
    path = f"{W}/{alice.webhook_id}/deliveries"
    for kind in ("call.ended", "lead.updated", "lead.updated"):
        record(alice, kind)
    relay.relay()
    first = Delivery.objects.filter(event__type="call.ended").get()
    Delivery.objects.filter(pk=first.pk).update(
        status="failed", next_at=None, created_at=timezone.now() - timedelta(days=2)
    )

    def ids(query: str) -> int:
        return len(alice.api.get(f"{path}?{query}").json()["items"])

    day = (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert ids("status=failed") == 1
    assert ids("event_type=lead.updated") == Delivery.objects.filter(event__type="lead.updated").count() > 1
    assert ids(f"to={day}") == 1
    assert ids(f"from={day}&event_type=call.ended") == 0
    for wrong in ("status=lost", "event_type=x", "from=yesterday", "color=red"):
        assert alice.api.get(f"{path}?{wrong}").status_code == 422
    page = alice.api.get(f"{path}?limit=1&event_type=lead.updated").json()
    rest = alice.api.get(f"{path}?limit=1&event_type=lead.updated&cursor={page['next_cursor']}").json()
    assert page["items"][0]["id"] != rest["items"][0]["id"]


def test_one_delivery_is_sent_again(alice: Tenant) -> None:
    path = f"{W}/{alice.webhook_id}/deliveries/{alice.delivery_id}"
    Delivery.objects.filter(pk=alice.delivery_id).update(status="succeeded", next_at=None)
    again = alice.api.post(f"{path}/replay")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    WebhookSubscription.objects.update(status="disabled", disabled_at=timezone.now())
    refused = alice.api.post(f"{path}/replay")
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_disabled")


def test_a_span_is_sent_again_and_shows_its_progress(alice: Tenant) -> None:
    path = f"{W}/{alice.webhook_id}"
    for _ in range(3):
        record(alice)
    relay.relay()
    failed = Delivery.objects.filter(event__type="lead.updated").update(status="failed", next_at=None)
    assert failed >= 3
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    made = alice.api.post(f"{path}/replay", {"since": since}).json()
    assert (made["kind"], made["state"], made["total"]) == ("failed", "preparing", failed)
    replays.prepare()
    seen = alice.api.get(f"{path}/replays/{made['id']}").json()
    assert (seen["state"], seen["pending"]) == ("sending", failed)
    Delivery.objects.filter(replay=made["id"]).update(status="succeeded", next_at=None)
    assert alice.api.get(f"{path}/replays").json()["items"][0]["state"] == "done"
    for wrong in (
        {},
        {"since": "2020-01-01T00:00:00Z"},
        {"since": "2099-01-01T00:00:00Z"},
        {"since": since, "until": "2020-01-01T00:00:00Z"},
        {"since": since, "kind": "some"},
    ):
        assert alice.api.post(f"{path}/replay", wrong).status_code == 422, wrong


def test_enabling_it_again_makes_it_well(alice: Tenant) -> None:
    WebhookSubscription.objects.filter(pk=alice.webhook_id).update(
        status="disabled",
        disabled_at=timezone.now(),
        disabled_reason="x",
        failures=99,
        failing_since=timezone.now(),
    )
    changed = alice.api.patch(f"{W}/{alice.webhook_id}", {"status": "active"}).json()
    assert (changed["status"], changed["failures"], changed["disabled_at"]) == ("active", 0, None)
    assert changed["disabled_reason"] == ""
