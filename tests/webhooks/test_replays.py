"""Sending again: what was given up since, what was missed, everything; bounded, and with its progress."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from tenex.errors import Conflict, InvalidInput
from tenex.webhooks import selectors
from tenex.webhooks.models import Delivery, Replay, WebhookSubscription
from tenex.webhooks.services import relay, replays
from tenex.workspaces.models import AuditEntry, Workspace
from tests.webhooks.drive import ACTOR, record, send, subscribe
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def ask(lane: WebhookSubscription, kind: str = "failed", since: datetime | None = None) -> Replay:
    since = since or timezone.now() - timedelta(hours=1)
    made = replays.create(lane, kind=kind, since=since, until=None, actor=ACTOR)
    assert replays.prepare() == 1
    made.refresh_from_db()
    return made


def progress(replay: Replay) -> tuple[int, int, int]:
    row = selectors.replay(replay.workspace, replay.subscription_id, replay.pk)
    return row.pending, row.succeeded, row.failed  # type: ignore[attr-defined]


def ids(receiver: Receiver) -> list[str]:
    return [headers["webhook-id"] for headers, _ in receiver.seen]


def test_failed_only_sends_just_those_again(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url)
    events = [record(workspace).id for _ in range(10)]
    send()
    Delivery.objects.filter(event_id__in=events[:4]).update(status="failed", next_at=None)
    receiver.seen.clear()
    made = ask(lane)
    assert (made.total, progress(made)) == (4, (4, 0, 0))
    send()
    assert sorted(ids(receiver)) == sorted(events[:4])
    assert progress(made) == (0, 4, 0)
    assert AuditEntry.objects.get(action="webhook.replayed").data["kind"] == "failed"


def test_since_bounds_it(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url)
    for _ in range(4):
        record(workspace)
    relay.relay()
    old, *rest = Delivery.objects.order_by("id")
    Delivery.objects.update(status="failed", next_at=None)
    Delivery.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(hours=2))
    assert ask(lane).total == len(rest)


def test_missing_makes_out_what_it_never_got(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url, events=["lead.created"])
    record(workspace)
    send()
    WebhookSubscription.objects.update(status="disabled", disabled_at=timezone.now())
    missed = [record(workspace).id for _ in range(3)]
    record(workspace, "call.ended")
    send()
    WebhookSubscription.objects.update(status="active", disabled_at=None)
    receiver.seen.clear()
    lane.refresh_from_db()
    assert ask(lane, "missing").total == 3
    send()
    assert ids(receiver) == missed


def test_everything_is_what_it_got_and_what_it_did_not(workspace: Workspace, receiver: Receiver) -> None:
    before = record(workspace).id
    relay.relay()
    lane = subscribe(workspace, receiver.url)
    after = record(workspace).id
    send()
    made = ask(lane, "all")
    assert made.total == 2
    send()
    assert sorted(ids(receiver)) == sorted([after, after, before])
    assert progress(made) == (0, 2, 0)


def test_preparing_it_twice_changes_nothing(workspace: Workspace, receiver: Receiver) -> None:
    lane = subscribe(workspace, receiver.url)
    record(workspace)
    send()
    made = ask(lane, "all")
    assert replays.prepare() == 0
    Replay.objects.filter(pk=made.pk).update(prepared_at=None)  # as if the worker had died before its commit
    assert replays.prepare() == 1
    assert send() == 1


def test_what_makes_no_sense_is_refused(
    workspace: Workspace, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = subscribe(workspace, receiver.url)
    for _ in range(3):
        record(workspace)
    send()
    now = timezone.now()
    for since in (now + timedelta(hours=1), now - timedelta(days=31)):
        with pytest.raises(InvalidInput):
            replays.create(lane, kind="all", since=since, until=None, actor=ACTOR)
    monkeypatch.setattr(replays, "MOST", 2)
    with pytest.raises(Conflict) as too_many:
        replays.create(lane, kind="all", since=now - timedelta(hours=1), until=None, actor=ACTOR)
    assert too_many.value.code == "replay_too_large"
    monkeypatch.setattr(replays, "MOST", 3)
    replays.create(lane, kind="all", since=now - timedelta(hours=1), until=None, actor=ACTOR)
    with pytest.raises(Conflict) as second:
        replays.create(lane, kind="all", since=now - timedelta(hours=1), until=None, actor=ACTOR)
    assert second.value.code == "replay_running"
