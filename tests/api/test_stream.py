"""The event stream of a call, over a real socket: nothing missed, nothing twice, an end."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
from django.db import connections
from pytest_django import Settings

from tenex.events import bus
from tenex.rest import signed, sse, streams
from tenex.workspaces.models import ApiKey, Membership, Role
from tenex.workspaces.services import keys
from tests.api.live_server import serve
from tests.api.sse_reader import events
from tests.api.world import Tenant, finalize, live_call, person
from voice.api import stream
from voice.models import Call, Turn
from voice.services import journal

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[str]:
    with serve() as url:
        yield url


@pytest.fixture
def call(alice: Tenant) -> Call:
    return live_call(alice.workspace, alice.agent, alice.number, alice.lead)


class Listener:
    """Opens the stream as `tenant`."""

    def __init__(self, server: str, tenant: Tenant, call: Call) -> None:
        self.url = f"{server}/api/v1/voice/calls/{call.pk}/stream"
        self.headers = {"Authorization": f"Bearer {tenant.api.token}"}

    def get(self, **headers: str) -> httpx.Response:
        return httpx.get(self.url, headers=self.headers | headers)

    def open(self, after: int | None = None) -> Any:
        resume = {} if after is None else {"Last-Event-ID": str(after)}
        return httpx.stream("GET", self.url, headers=self.headers | resume, timeout=20)


def write(call: Call, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        journal.append(call.pk, [journal.Line("turn.updated", {"n": number})])


def test_who_comes_late_gets_the_past_then_what_comes_then_the_end(
    server: str, alice: Tenant, call: Call
) -> None:
    write(call, 3)
    with Listener(server, alice, call).open() as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        read = events(response)
        past = [next(read) for _ in range(3)]
        write(call, 2, start=3)
        now = [next(read) for _ in range(2)]
        finalize(call)
        rest = list(read)
    assert [one.id for one in past + now] == [1, 2, 3, 4, 5]
    assert [one.data["data"]["n"] for one in past + now] == [0, 1, 2, 3, 4]
    assert rest[-1].type == "call.ended"
    assert rest[-1].data["data"]["end_reason"] == "caller-hangup"
    assert all(one.id == one.data["seq"] for one in past + now + rest)


def test_reconnecting_at_any_moment_misses_and_repeats_nothing(
    server: str, alice: Tenant, call: Call
) -> None:
    total = 150

    def keep_writing() -> None:
        try:
            write(call, total)
            finalize(call)
        finally:
            connections.close_all()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    seen: list[int] = []
    ended = False
    while not ended:
        with Listener(server, alice, call).open(after=seen[-1] if seen else None) as response:
            if response.status_code == 204:
                break
            for count, one in enumerate(events(response)):
                if one.type != "ping":
                    seen.append(one.id)
                ended = ended or one.type == "call.ended"
                if count == 11 and not ended:
                    break  # hang up in the middle
    writer.join()
    assert ended
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= total + 1


def test_an_event_is_seen_at_once(server: str, alice: Tenant, call: Call) -> None:
    write(call, 1)
    with Listener(server, alice, call).open() as response:
        read = events(response)
        next(read)
        time.sleep(0.2)
        delays = []
        for _ in range(5):
            start = time.monotonic()
            write(call, 1)
            next(read)
            delays.append(time.monotonic() - start)
    assert min(delays) < 0.5, "far below the poll's second: the doorbell rang"


def test_a_lost_ring_costs_a_second(
    server: str, alice: Tenant, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "ring", lambda channel: None)
    write(call, 1)
    with Listener(server, alice, call).open() as response:
        read = events(response)
        assert next(read).id == 1
        start = time.monotonic()
        write(call, 1)
        assert next(read).id == 2
        assert time.monotonic() - start < 5


def test_silence_is_filled_with_heartbeats(
    server: str, alice: Tenant, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.2)
    with Listener(server, alice, call).open() as response:
        read = events(response)
        assert [next(read).type for _ in range(3)] == ["ping"] * 3


def test_a_reader_that_does_not_read_is_cut(
    server: str, alice: Tenant, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "SLOW_READER_S", 0.5)
    cut = threading.Event()
    original = sse._cut

    def noted(task: Any) -> None:
        cut.set()
        original(task)

    monkeypatch.setattr(sse, "_cut", noted)
    journal.append(call.pk, [journal.Line("turn.updated", {"text": "x" * 100_000}) for _ in range(100)])
    listener = Listener(server, alice, call)
    host, port = server.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        path = listener.url.removeprefix(server)
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {listener.headers['Authorization']}\r\n\r\n"
        peer.sendall(head.encode())
        assert cut.wait(timeout=20)
    assert listener.get(**{"Last-Event-ID": "x"}).status_code == 422, "the server is well"


def test_when_all_is_over_and_read_the_answer_is_204(server: str, alice: Tenant) -> None:
    listener = Listener(server, alice, alice.call)
    with listener.open() as response:
        seen = list(events(response))
    assert seen[-1].type == "call.ended"
    assert listener.get(**{"Last-Event-ID": str(seen[-1].id)}).status_code == 204


@pytest.mark.parametrize("raw", ["x", "-1", "1.5", "99999", "99999999999999999999"])
def test_an_id_that_the_stream_never_had_is_422(server: str, alice: Tenant, raw: str) -> None:
    answer = Listener(server, alice, alice.call).get(**{"Last-Event-ID": raw})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["header", "Last-Event-ID"]


def test_it_wants_a_credential_with_the_scope(server: str, alice: Tenant, charlie: Tenant) -> None:
    url = f"{server}/api/v1/voice/calls/{alice.call.pk}/stream"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"Authorization": "Bearer nonsense"}).status_code == 401
    _, narrow = keys.create(alice.workspace, "narrow", ["leads:read"], "system:test")
    refused = httpx.get(url, headers={"Authorization": f"Bearer {narrow}"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_scope")
    assert Listener(server, charlie, alice.call).get().status_code == 404


def test_a_browser_opens_it_with_a_token_for_this_call_only(server: str, alice: Tenant, call: Call) -> None:
    minted = httpx.post(
        f"{server}/api/v1/voice/calls/{alice.call.pk}/stream-token",
        headers={"Authorization": f"Bearer {alice.api.token}"},
    )
    assert minted.status_code == 201
    token = minted.json()["token"]

    def open_as_browser(which: Call) -> int:
        return httpx.get(f"{server}/api/v1/voice/calls/{which.pk}/stream?token={token}").status_code

    assert open_as_browser(alice.call) == 200
    assert open_as_browser(call) == 401
    ApiKey.objects.filter(prefix=alice.key_prefix).update(revoked_at=alice.call.created_at)
    assert open_as_browser(alice.call) == 401
    late, _ = signed.issue(stream.PURPOSE, alice.call.pk, by=f"user:{alice.owner.pk}", ttl_s=-1)
    late_url = f"{server}/api/v1/voice/calls/{alice.call.pk}/stream?token={late}"
    assert httpx.get(late_url).status_code == 401
    other, _ = signed.issue("recording", alice.call.pk, by=f"user:{alice.owner.pk}", ttl_s=60)
    assert httpx.get(late_url.replace(late, other)).status_code == 401


def speaks(call: Call, seq: int, text: str, status: str) -> None:
    """What the live session writes of a turn, as far as a stream sees it."""
    Turn.objects.update_or_create(
        call=call,
        item_id="item_a",
        defaults={
            "workspace_id": call.workspace_id,
            "position": 0,
            "speaker": "agent",
            "text": text,
            "heard_text": text,
            "start_ms": 0,
            "status": status,
            "revision": seq,
        },
    )


def words(call: Call, item: str, *pieces: str) -> None:
    lines = [{"item_id": item, "speaker": "agent", "text": piece} for piece in pieces]
    journal.append(call.pk, [journal.Line("transcript.delta", line) for line in lines])


def test_a_snapshot_stands_for_all_lines_so_far(server: str, alice: Tenant, call: Call) -> None:
    write(call, 3)
    speaks(call, 1, "Hello.", "completed")
    words(call, "item_a", "Hello.")
    words(call, "item_b", "How are ", "you ")
    listener = Listener(server, alice, call)
    listener.url += "?snapshot=true"
    with listener.open() as response:
        read = events(response)
        first = next(read)
        words(call, "item_b", "today?")
        then = next(read)
    assert (first.type, first.id) == ("call.snapshot", 6)
    state = first.data["data"]
    assert [turn["text"] for turn in state["turns"]] == ["Hello."]
    assert state["words"] == [{"item_id": "item_b", "speaker": "agent", "text": "How are you "}]
    assert (state["status"], first.data["seq"]) == ("in_progress", 6)
    assert (then.id, then.data["data"]["text"]) == (7, "today?")
    with listener.open(after=6) as response:
        assert next(events(response)).id == 7, "who resumes has the state already"


def test_a_stream_ends_when_its_credential_is_revoked(
    server: str, alice: Tenant, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "CHECK_S", 0.3)
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.2)
    write(call, 1)
    with Listener(server, alice, call).open() as response:
        read = events(response)
        assert next(read).id == 1
        assert [next(read).type for _ in range(4)] == ["ping"] * 4, "a good credential is left alone"
        ApiKey.objects.filter(prefix=alice.key_prefix).update(revoked_at=alice.call.created_at)
        assert len(list(read)) < 5


def test_a_token_of_a_person_ends_with_their_membership(server: str, alice: Tenant, call: Call) -> None:
    token, _ = signed.issue(stream.PURPOSE, call.pk, by=f"user:{alice.owner.pk}", ttl_s=60)
    url = f"{server}/api/v1/voice/calls/{call.pk}/stream?token={token}"
    with httpx.stream("GET", url) as response:
        assert response.status_code == 200
    Membership.objects.create(workspace=alice.workspace, user=person("next@alice.example"), role=Role.OWNER)
    Membership.objects.filter(user=alice.owner).delete()
    assert httpx.get(url).status_code == 401


def test_pages_of_other_sites_may_read_only_if_the_settings_name_them(
    server: str, alice: Tenant, settings: Settings
) -> None:
    listener = Listener(server, alice, alice.call)
    origin, other = "https://app.example.com", "https://evil.example.com"
    assert "Access-Control-Allow-Origin" not in listener.get(Origin=origin).headers
    preflight = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    assert httpx.options(listener.url, headers=preflight).status_code == 405
    settings.BROWSER_ORIGINS = [origin]
    answer = listener.get(Origin=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Access-Control-Allow-Origin" not in listener.get(Origin=other).headers
    assert listener.get(Origin=other).headers["Vary"] == "Origin", "no cache may mix them up"
    refused = httpx.get(listener.url, headers={"Origin": origin})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, origin)
    asked = httpx.options(listener.url, headers=preflight)
    assert (asked.status_code, asked.headers["Access-Control-Allow-Headers"]) == (204, "Last-Event-ID")
    assert httpx.options(listener.url, headers=preflight | {"Origin": other}).status_code == 405


@pytest.mark.parametrize("query", ["snapshot=yes", "colour=red", "last_event_id=1&last_event_id=2"])
def test_a_parameter_that_makes_no_sense_is_422(server: str, alice: Tenant, query: str) -> None:
    listener = Listener(server, alice, alice.call)
    listener.url += f"?{query}"
    answer = listener.get()
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", query.partition("=")[0]]


def test_an_off_the_shelf_client_of_httpx_reads_it_and_resumes(
    server: str, alice: Tenant, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx as plain
    from httpx_sse import connect_sse

    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.1)
    write(call, 3)
    listener = Listener(server, alice, call)
    seen: list[tuple[str, str]] = []

    def read_on(until: int) -> None:
        headers = listener.headers | ({"Last-Event-ID": seen[-1][0]} if seen else {})
        with (
            plain.Client(timeout=20) as client,
            connect_sse(client, "GET", listener.url, headers=headers) as source,
        ):
            for event in source.iter_sse():
                seen.append((event.id, event.event))
                if len(seen) == until:
                    return

    def finish() -> None:
        finalize(call)
        connections.close_all()

    read_on(2)
    threading.Timer(0.5, finish).start()  # heartbeats meanwhile
    read_on(99)
    assert [int(number) for number, _ in seen] == list(range(1, len(seen) + 1)), "no event without content"
    assert seen[-1][1] == "call.ended"


def test_an_off_the_shelf_client_of_requests_reads_it(server: str, alice: Tenant) -> None:
    import requests
    from sseclient import SSEClient

    listener = Listener(server, alice, alice.call)
    response = requests.get(listener.url, headers=listener.headers, stream=True, timeout=20)
    seen = [(int(event.id), event.event) for event in SSEClient(response).events()]  # type: ignore[arg-type]
    assert [number for number, _ in seen] == list(range(1, len(seen) + 1))
    assert seen[-1][1] == "call.ended"
