"""`python -m tenex.mcp` with the official client: on the database itself, and as a proxy to `/mcp`."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tenex.workspaces.models import ApiKey
from tests.api.world import Tenant
from tests.mcp.servers import MODES, environment, request
from tests.rig.process import PROJECT
from voice.models import Batch

pytestmark = pytest.mark.django_db(transaction=True)
COMMAND = [sys.executable, "-m", "tenex.mcp"]


def talk_stdio[T](env: dict[str, str], work: Callable[[Client], Awaitable[T]], mode: str) -> T:
    async def run() -> T:
        program = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=env, cwd=PROJECT)
        async with Client(stdio_client(program), mode=mode) as client:
            return await work(client)

    return asyncio.run(run())


def settings_of(kind: str, tenant: Tenant, base: str) -> dict[str, str]:
    if kind == "proxy":  # nothing but what a machine without our database has
        return {"TENEX_API_KEY": tenant.api.token, "TENEX_MCP_URL": f"{base}/mcp"}
    return environment() | {"TENEX_API_KEY": tenant.api.token, "LOG_LEVEL": "DEBUG"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["in process", "proxy"])
def test_a_client_does_over_stdio_what_it_does_over_http(
    alice: Tenant, uvicorn: str, kind: str, mode: str
) -> None:
    async def work(client: Client) -> None:
        assert len((await client.list_tools()).tools) == 12
        who: Any = await client.call_tool("whoami", {})
        assert who.structured_content["company_id"] == str(alice.workspace.id)
        asked = {"lead_ids": [str(alice.lead.id)], "objective": "o"}
        made: Any = await client.call_tool("run_voice_qualifier", asked)
        assert made.structured_content["accepted"] == 1
        missing: Any = await client.call_tool(
            "get_call", {"call_id": made.structured_content["call_batch_id"]}
        )
        assert orjson.loads(missing.content[0].text)["code"] == "not_found"
        prompt = await client.get_prompt("get_call_results", {"call_batch_id": "1"})
        assert prompt.messages

    talk_stdio(settings_of(kind, alice, uvicorn), work, mode)
    assert Batch.objects.filter(workspace=alice.workspace).count() == 2


@pytest.mark.parametrize("kind", ["in process", "proxy"])
def test_stdout_holds_nothing_but_messages(alice: Tenant, uvicorn: str, kind: str) -> None:
    hello = request(
        "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "t", "version": "1"}
    )
    lines = [
        hello,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        request("tools/list") | {"id": 2},
        request("tools/call", name="whoami", arguments={}) | {"id": 3},
    ]
    done = subprocess.run(
        COMMAND,
        input=b"".join(orjson.dumps(line) + b"\n" for line in lines) + b"no message\n",
        env=settings_of(kind, alice, uvicorn),
        cwd=PROJECT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    answers = [orjson.loads(line) for line in done.stdout.splitlines()]
    by_id = {one["id"]: one for one in answers if "result" in one}
    assert by_id[1]["result"]["protocolVersion"] == "2025-06-18"
    assert len(by_id[2]["result"]["tools"]) == 12
    # Asked for right before stdin ended, as a shell's pipe does.
    assert by_id[3]["result"]["structuredContent"]["scopes"]


@pytest.mark.parametrize("key", ["", "tnx_wrong"])
def test_without_a_good_key_it_ends_with_one_line(alice: Tenant, key: str) -> None:
    done = subprocess.run(
        COMMAND,
        env=environment() | {"TENEX_API_KEY": key},
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tenex.mcp: ")
    assert "Traceback" not in done.stderr


def test_a_revoked_key_ends_with_the_next_call(alice: Tenant) -> None:
    async def work(client: Client) -> None:
        assert not (await client.call_tool("whoami", {})).is_error
        mine = ApiKey.objects.filter(prefix=alice.key_prefix)
        await asyncio.to_thread(mine.update, revoked_at="2026-01-01T00:00Z")
        refused: Any = await client.call_tool("whoami", {})
        assert orjson.loads(refused.content[0].text)["code"] == "unauthorized"

    talk_stdio(settings_of("in process", alice, ""), work, "legacy")
