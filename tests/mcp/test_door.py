"""What stands before the protocol: credential, origin, host, method, size, limits; and who leaves early."""

import socket
import threading
import time
from collections.abc import Iterator

import httpx2
import pytest
from pytest_django import Settings

from tenex.mcp import door, registry
from tenex.workspaces.models import ApiKey, Membership, Role
from tenex.workspaces.services import tokens
from tests.api.live_server import serve
from tests.api.world import Tenant
from tests.mcp import slow_tool
from tests.mcp.servers import call, post, request

pytestmark = pytest.mark.django_db(transaction=True)
CALLS = "/api/v1/voice/calls"


def rest(base: str, token: str) -> httpx2.Response:
    return httpx2.get(base + CALLS, headers={"Authorization": f"Bearer {token}"} if token else {})


@pytest.mark.parametrize("token", ["", "x", "tnx_aaaaaaaa_bbb", "a.b.c"])
def test_without_a_good_credential_the_answer_is_that_of_rest(uvicorn: str, token: str) -> None:
    answer, same = post(uvicorn, token, call("whoami")), rest(uvicorn, token)
    assert answer.status_code == same.status_code == 401
    assert answer.content == same.content
    for name in ("www-authenticate", "content-type", "cache-control"):
        assert answer.headers[name] == same.headers[name]


def test_a_revoked_key_is_refused_on_the_very_next_request(alice: Tenant, uvicorn: str) -> None:
    assert post(uvicorn, alice.api.token, call("whoami")).status_code == 200
    ApiKey.objects.filter(prefix=alice.key_prefix).update(revoked_at="2026-01-01T00:00:00Z")
    assert post(uvicorn, alice.api.token, call("whoami")).status_code == 401


def test_a_persons_token_works_as_in_rest(alice: Tenant, charlie: Tenant, uvicorn: str) -> None:
    Membership.objects.create(workspace=charlie.workspace, user=alice.owner, role=Role.VIEWER)
    token = tokens.issue(alice.owner)
    unnamed = post(uvicorn, token, call("whoami"))
    assert unnamed.status_code == 422
    assert unnamed.content == rest(uvicorn, token).content
    named = post(uvicorn, token, call("whoami"), X_Workspace=charlie.workspace.slug).json()
    assert named["result"]["structuredContent"]["company_id"] == str(charlie.workspace.id)
    refused = post(uvicorn, token, call("mint_api_key", name="n"), X_Workspace=charlie.workspace.slug).json()
    assert refused["result"]["isError"]
    assert '"forbidden_scope"' in refused["result"]["content"][0]["text"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8000", 200),
        ("https://evil.example", 403),
        ("http://127.0.0.1:8000.evil.example", 403),
        ("http://localhost:8000", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_only_our_own_pages_may_ask(
    alice: Tenant, uvicorn: str, settings: Settings, origin: str, status: int
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["http://127.0.0.1:8000"]
    answer = post(uvicorn, alice.api.token, call("whoami"), Origin=origin)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "forbidden_origin"
        assert "access-control-allow-origin" not in answer.headers


def test_a_name_that_is_not_ours_is_refused(alice: Tenant, uvicorn: str, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    answer = post(uvicorn, alice.api.token, call("whoami"), Host="rebound.example:8000")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.content == httpx2.get(uvicorn + CALLS, headers={"Host": "rebound.example:8000"}).content


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"])
def test_there_is_nothing_but_post(alice: Tenant, uvicorn: str, method: str) -> None:
    headers = {"Authorization": f"Bearer {alice.api.token}", "Accept": "text/event-stream"}
    for path in ("/mcp", "/mcp/"):
        answer = httpx2.request(method, uvicorn + path, headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert httpx2.request(method, f"{uvicorn}/mcp").status_code == 401


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', {}, 400),
        (b'{"id":1}', {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b" " * (1024 * 1024 + 1), {}, 413),
        (b"{}", {"Content_Type": "text/plain"}, 415),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', {"Accept": "text/html"}, 406),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', {"MCP_Protocol_Version": "1999-01-01"}, 400),
        (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', {}, 202),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', {"Accept": "*/*"}, 200),
    ],
)
def test_bodies_that_are_no_message(
    alice: Tenant, uvicorn: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert post(uvicorn, alice.api.token, body, **headers).status_code == status
    assert post(uvicorn, alice.api.token, call("whoami")).status_code == 200


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ],
)
def test_the_version_is_agreed_upon(alice: Tenant, uvicorn: str, asked: str, answered: str) -> None:
    hello = request(
        "initialize", protocolVersion=asked, capabilities={}, clientInfo={"name": "t", "version": "1"}
    )
    answer = post(uvicorn, alice.api.token, hello)
    assert answer.json()["result"]["protocolVersion"] == answered
    assert "mcp-session-id" not in answer.headers


def test_the_id_of_a_session_means_nothing(alice: Tenant, charlie: Tenant, uvicorn: str) -> None:
    """There are no sessions, so there is none to take over."""
    for tenant in (alice, charlie):
        answer = post(uvicorn, tenant.api.token, call("whoami"), Mcp_Session_Id="0123456789abcdef")
        who = answer.json()["result"]["structuredContent"]
        assert who["company_id"] == str(tenant.workspace.id)
        assert "mcp-session-id" not in answer.headers


def test_one_call_is_one_request_of_the_limit_that_rest_has(
    alice: Tenant, uvicorn: str, settings: Settings
) -> None:
    settings.RATE_LIMIT_PER_MINUTE = 6
    left = []
    for turn in range(3):
        left.append(rest(uvicorn, alice.api.token).headers["ratelimit-remaining"])
        answer = post(uvicorn, alice.api.token, call("whoami"))
        assert answer.status_code == 200, turn
        left.append(answer.headers["ratelimit-remaining"])
    assert left == ["5", "4", "3", "2", "1", "0"]
    over, same = post(uvicorn, alice.api.token, call("whoami")), rest(uvicorn, alice.api.token)
    assert over.status_code == same.status_code == 429
    assert over.json()["error"] == same.json()["error"] == "rate_limited"
    assert set(over.json()) == {"error", "message"}
    assert int(over.headers["retry-after"]) > 0


def test_django_has_all_other_paths(uvicorn: str) -> None:
    assert httpx2.get(f"{uvicorn}/healthz/live").status_code == 200
    assert httpx2.get(f"{uvicorn}/mcpx").status_code == 404


# --- a tool that takes its time -------------------------------------------------------------------


@pytest.fixture
def slow(settings: Settings) -> Iterator[str]:
    """A server of its own, whose only tool waits for us."""
    settings.MCP_TOOLS = ("tests.mcp.slow_tool",)
    registry.catalog.cache_clear()
    slow_tool.begun.clear()
    slow_tool.go_on.clear()
    with serve() as url:
        yield url
    slow_tool.go_on.set()
    registry.catalog.cache_clear()


def leave_early(base: str, token: str) -> None:
    """Ask, and close the connection when the tool has begun."""
    host, port = base.removeprefix("http://").split(":")
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait","arguments":{}}}'
    with socket.create_connection((host, int(port))) as line:
        line.sendall(
            f"POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nAccept: */*\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert slow_tool.begun.wait(20)


def test_who_leaves_early_holds_no_place(alice: Tenant, slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MAX_IN_FLIGHT", 1)
    leave_early(slow, alice.api.token)
    deadline = time.monotonic() + 10
    while (answer := post(slow, alice.api.token, request("tools/list"))).status_code == 503:
        assert time.monotonic() < deadline, "the place was never given back"
        time.sleep(0.05)
    assert answer.status_code == 200
    assert not slow_tool.go_on.is_set(), "the tool was still at work"


def test_more_than_a_process_takes_are_told_to_come_back(
    alice: Tenant, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MAX_IN_FLIGHT", 1)
    first: list[int] = []
    asking = threading.Thread(
        target=lambda: first.append(post(slow, alice.api.token, call("wait")).status_code)
    )
    asking.start()
    assert slow_tool.begun.wait(20)
    refused = post(slow, alice.api.token, call("wait"))
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert refused.headers["retry-after"] == "1"
    slow_tool.go_on.set()
    asking.join(20)
    assert first == [200]


def test_nobody_waits_for_ever(alice: Tenant, slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "DEADLINE_S", 1.0)
    began = time.monotonic()
    answer = post(slow, alice.api.token, call("wait"))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert time.monotonic() - began < 15, "it waited for the thread"
