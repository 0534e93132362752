"""The workspace's event stream, over a real socket: commit order, nothing missed, nothing twice."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
import redis
from django.db import connections, transaction

from tenex.events import bus, selectors, services
from tenex.events.models import Event
from tenex.rest import sse
from tenex.workspaces.models import ApiKey, Workspace
from tenex.workspaces.services import keys
from tests.api.live_server import serve
from tests.api.sse_reader import events
from tests.api.world import Tenant

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/v1/voice/stream"


@pytest.fixture
def server() -> Iterator[str]:
    with serve() as url:
        yield url


def happens(tenant: Tenant, *types: str) -> int:
    """Facts, each in a transaction of its own; the number of the last."""
    seq = 0
    for type_ in types:
        with transaction.atomic():
            event = services.record(
                workspace_id=tenant.workspace.id, type=type_, data={"of": tenant.workspace.slug}
            )
            assert event
            seq = event.seq
    return seq


def bearer(tenant: Tenant) -> dict[str, str]:
    return {"Authorization": f"Bearer {tenant.api.token}"}


def listen(server: str, tenant: Tenant, query: str = "", after: int | None = None) -> Any:
    headers = bearer(tenant) | ({} if after is None else {"Last-Event-ID": str(after)})
    return httpx.stream("GET", f"{server}{PATH}{query}", headers=headers, timeout=20)


def test_it_begins_now_and_says_where_that_is(server: str, alice: Tenant, charlie: Tenant) -> None:
    before = happens(alice, "call.ended")
    with listen(server, alice) as response:
        read = events(response)
        opened = next(read)
        assert (opened.type, opened.id, opened.data["sequence"]) == ("stream.opened", before, before)
        happens(charlie, "lead.created")
        happens(alice, "lead.created")
        one = next(read)
    assert (one.type, one.id) == ("lead.created", before + 1)
    assert set(one.data) == {"id", "type", "company_id", "occurred_at", "sequence", "data"}
    assert one.data["company_id"] == str(alice.workspace.id)
    assert one.data["data"] == {"of": "alice"}


def test_who_resumes_misses_and_repeats_nothing_while_others_commit(server: str, alice: Tenant) -> None:
    start = happens(alice, "lead.created")

    def keep_happening() -> None:
        try:
            for _ in range(40):
                happens(alice, "lead.updated")
        finally:
            connections.close_all()

    writers = [threading.Thread(target=keep_happening) for _ in range(3)]
    for writer in writers:
        writer.start()
    seen = [start]
    while len(seen) <= 120:
        with listen(server, alice, after=seen[-1]) as response:
            for count, one in enumerate(events(response)):
                if one.type != "ping":
                    seen.append(one.id)
                if count == 12 or len(seen) > 120:
                    break
    for writer in writers:
        writer.join()
    assert seen == list(range(start, start + 121))


def test_ids_stay_right_when_types_are_left_out(
    server: str, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.3)
    monkeypatch.setattr(selectors, "_WINDOW", 4)
    start = happens(alice, "call.ringing")
    happens(alice, *["lead.updated"] * 10, "call.ended", *["lead.updated"] * 3)
    with listen(server, alice, "?types=call.ended,call.answered", after=start) as response:
        read = events(response)
        assert [(one.type, one.id) for one in (next(read), next(read))] == [
            ("call.ended", start + 11),
            ("stream.position", start + 14),
        ]
        assert next(read).type == "ping", "told once"
        happens(alice, "call.answered")
        while (one := next(read)).type == "ping":
            pass
        assert (one.type, one.id) == ("call.answered", start + 15)
    with listen(server, alice, "?types=call.answered", after=start + 14) as response:
        assert next(events(response)).id == start + 15


def test_who_only_asks_from_time_to_time_gets_an_end(server: str, alice: Tenant) -> None:
    last = happens(alice, *["lead.updated"] * 60)
    with listen(server, alice, "?follow=false", after=last - 55) as response:
        assert [one.id for one in events(response)] == list(range(last - 54, last + 1))


@pytest.mark.parametrize(
    ("query", "loc"),
    [
        ("?types=call.exploded", ["query", "types"]),
        ("?types=", ["query", "types"]),
        ("?types=call.ended&types=call.ringing", ["query", "types"]),
        ("?colour=red", ["query", "colour"]),
        ("?follow=no", ["query", "follow"]),
        ("?last_event_id=x", ["query", "last_event_id"]),
        ("?last_event_id=999999", ["query", "last_event_id"]),
    ],
)
def test_what_makes_no_sense_is_422(server: str, alice: Tenant, query: str, loc: list[str]) -> None:
    answer = httpx.get(f"{server}{PATH}{query}", headers=bearer(alice))
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, loc)


def test_events_that_are_not_kept_any_more_are_410(server: str, alice: Tenant) -> None:
    last = happens(alice, *["lead.updated"] * 5)
    Event.objects.filter(workspace=alice.workspace, seq__lte=last - 2).delete()
    gone = httpx.get(f"{server}{PATH}", headers=bearer(alice) | {"Last-Event-ID": str(last - 3)})
    assert (gone.status_code, gone.json()["code"]) == (410, "events_expired")
    with listen(server, alice, after=last - 2) as response:
        assert next(events(response)).id == last - 1, "nothing is missing behind this one"
    Event.objects.filter(workspace=alice.workspace).delete()
    assert httpx.get(f"{server}{PATH}?last_event_id={last - 1}", headers=bearer(alice)).status_code == 410
    with listen(server, alice, after=last) as response:
        assert response.status_code == 200


def test_reading_needs_the_scopes_of_what_is_read(server: str, alice: Tenant) -> None:
    _, narrow = keys.create(alice.workspace, "narrow", ["calls:read"], "system:test")
    headers = {"Authorization": f"Bearer {narrow}"}
    for query in ("", "?types=lead.created", "?types=call.ended,batch.completed"):
        refused = httpx.get(f"{server}{PATH}{query}", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_scope"), query
    with httpx.stream("GET", f"{server}{PATH}?types=call.ended", headers=headers) as response:
        assert response.status_code == 200


def test_a_browser_opens_it_with_a_token_that_dies_with_its_credential(
    server: str, alice: Tenant, charlie: Tenant
) -> None:
    minted = httpx.post(f"{server}{PATH}-token", headers=bearer(alice)).json()
    url = minted["url"].replace(minted["url"].partition("/api/")[0], server)
    with httpx.stream("GET", url) as response:
        read = events(response)
        next(read)
        happens(charlie, "call.ended")
        happens(alice, "call.ended")
        assert next(read).data["company_id"] == str(alice.workspace.id)
    ApiKey.objects.filter(prefix=alice.key_prefix).update(scopes=["calls:read"])
    assert httpx.get(url).status_code == 401, "it reads no more than its credential may"
    with httpx.stream("GET", f"{url}&types=call.ended") as response:
        assert response.status_code == 200
    ApiKey.objects.filter(prefix=alice.key_prefix).update(revoked_at=alice.call.created_at)
    assert httpx.get(f"{url}&types=call.ended").status_code == 401
    assert httpx.get(f"{server}{PATH}?token=nonsense").status_code == 401


def test_many_facts_of_one_transaction_ring_once(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[str] = []
    monkeypatch.setattr("tenex.events.bus.ring", rung.append)
    before = Workspace.objects.get(pk=alice.workspace.pk).event_seq
    with transaction.atomic():
        for _ in range(20):
            services.record(workspace_id=alice.workspace.id, type="lead.updated", data={})
    assert rung == [f"workspace:{alice.workspace.id}"]
    assert Workspace.objects.get(pk=alice.workspace.pk).event_seq == before + 20


@pytest.mark.parametrize(
    "failure", [ValueError("I/O operation on closed file"), OSError(9, "Bad file descriptor")]
)
def test_a_socket_that_the_doorbells_client_has_closed_costs_a_ring(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def closed(_: Any) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(redis.client.Pipeline, "execute", closed)
        patch.setattr(bus, "_quiet_until", 0.0)
        bus.ring("workspace:one")
        assert bus._quiet_until > 0.0
