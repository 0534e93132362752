"""Drain flag, live-call count, roles, listeners and health answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tenex.server import drain, views
from tenex.server.listener import AddressTaken, listen_tcp, listen_unix
from tenex.server.roles import Receive, Scope, Send, ServerRole, answers, for_role


def test_live_calls_count_in_and_out_however_a_call_ends() -> None:
    calls = drain.LiveCalls()
    with calls.held():
        assert calls.count == 1
    with pytest.raises(ValueError, match="lost"), calls.held():
        raise ValueError("lost")
    assert calls.count == 0
    with pytest.raises(RuntimeError):
        calls.leave()


async def test_waiting_for_the_last_call() -> None:
    calls = drain.LiveCalls()
    assert await drain.wait_until_idle(calls, 0)
    calls.enter()
    assert not await drain.wait_until_idle(calls, 0.01)
    waiting = asyncio.create_task(drain.wait_until_idle(calls, 30))
    calls.leave()
    assert await waiting


@pytest.mark.parametrize(
    ("role", "kind", "path", "expected"),
    [
        (ServerRole.ALL, "websocket", "/twilio/media", True),
        (ServerRole.ALL, "http", "/admin/", True),
        (ServerRole.WEB, "http", "/twilio/voice", True),
        (ServerRole.WEB, "websocket", "/twilio/media", False),
        (ServerRole.WEB, "websocket", "/sessions/media/x", False),
        (ServerRole.MEDIA, "websocket", "/sessions/media/x", True),
        (ServerRole.WEB, "http", "/admin/", True),
        (ServerRole.MEDIA, "websocket", "/twilio/media", True),
        (ServerRole.MEDIA, "http", "/twilio/resume/x", True),
        (ServerRole.MEDIA, "http", "/healthz/ready", True),
        (ServerRole.MEDIA, "http", "/admin/", False),
        (ServerRole.MEDIA, "http", "/api/v1/leads", False),
    ],
)
def test_what_each_role_answers(role: ServerRole, kind: str, path: str, expected: bool) -> None:
    assert answers(role, kind, path) is expected


async def test_gate_refuses_without_reaching_the_application() -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("reached")

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    sent: list[Mapping[str, Any]] = []

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    web, media = for_role(application, ServerRole.WEB), for_role(application, ServerRole.MEDIA)
    await web({"type": "websocket", "path": "/twilio/media"}, receive, send)
    await media({"type": "http", "path": "/admin/"}, receive, send)
    assert [message["type"] for message in sent] == [
        "websocket.close",
        "http.response.start",
        "http.response.body",
    ]
    assert sent[1]["status"] == 404


def test_listener_says_which_port_is_taken() -> None:
    with listen_tcp("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(AddressTaken, match=f"Port {port}"):
            listen_tcp("127.0.0.1", port)


def test_two_listeners_share_a_port_when_asked() -> None:
    with listen_tcp("127.0.0.1", 0, reuse_port=True) as first:
        listen_tcp("127.0.0.1", first.getsockname()[1], reuse_port=True).close()


def test_unix_listener_replaces_a_dead_socket_only(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with listen_unix(path), pytest.raises(AddressTaken):
        listen_unix(path)
    listen_unix(path).close()
    other = tmp_path / "file"
    other.touch()
    with pytest.raises(AddressTaken):
        listen_unix(other)


def test_port_zero_is_chosen_by_the_system() -> None:
    with listen_tcp("localhost", 0) as listener:
        assert listener.getsockname()[1] > 0
        assert listener.family in (socket.AF_INET, socket.AF_INET6)


@pytest.fixture
def fresh_drain(monkeypatch: pytest.MonkeyPatch) -> drain.Drain:
    state = drain.Drain()
    monkeypatch.setattr(drain, "state", state)
    return state


@pytest.mark.django_db
def test_ready_with_database_and_broker(client: Client, fresh_drain: drain.Drain) -> None:
    answer = client.get("/healthz/ready")
    assert answer.status_code == 200
    assert answer.json()["checks"] == {"database": True, "broker": True}
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_not_ready_while_draining_but_alive(client: Client, fresh_drain: drain.Drain) -> None:
    drain.begin()
    answer = client.get("/healthz/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")
    assert client.get("/healthz/live").status_code == 200


@pytest.mark.django_db
def test_not_ready_without_broker(
    client: Client, fresh_drain: drain.Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.core.cache.backends.redis import RedisCache

    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"redis://127.0.0.1:{closed.getsockname()[1]}/0"
    monkeypatch.setattr(views, "cache", RedisCache(address, {}))
    answer = client.get("/healthz/ready")
    assert (answer.status_code, answer.json()["checks"]) == (503, {"database": True, "broker": False})
