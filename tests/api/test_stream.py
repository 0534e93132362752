"""The event stream of a call, over a real socket: nothing missed, nothing twice, an end."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
import pytest
from django.db import connections

from tenex.events import bus
from tenex.rest import signed, sse
from tenex.workspaces.models import ApiKey
from tenex.workspaces.services import keys
from tests.api.live_server import serve
from tests.api.world import Tenant, finalize, live_call
from voice.api import stream
from voice.models import Call
from voice.services import journal

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[str]:
    with serve() as url:
        yield url


@pytest.fixture
def call(alice: Tenant) -> Call:
    return live_call(alice.workspace, alice.agent, alice.number, alice.lead)


@dataclass(slots=True)
class Event:
    id: int = 0
    type: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def events(response: httpx.Response) -> Iterator[Event]:
    """A small reader of server-sent events; comments come out as type `ping`."""
    one = Event()
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        match name:
            case "id":
                one.id = int(value)
            case "event":
                one.type = value
            case "data":
                one.data = json.loads(value)
            case "" if line:
                yield Event(type="ping")
            case "" if one.type:
                yield one
                one = Event()


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
