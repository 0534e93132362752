"""Where the tests find an MCP server, and the official client against it."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2
import orjson
from django.conf import settings
from django.db import connection
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from tenex.engines.process import free_port
from tests.rig.process import RealProcess, answers

# One for all: making one takes 20 ms. No connection outlives its request: a server at its end waits for none.
HTTP = httpx2.Client(timeout=60, limits=httpx2.Limits(max_keepalive_connections=0))
MODES = ("legacy", "auto")
"""With the initialize handshake of 2025, and with the requests of 2026 that carry everything themselves."""


def environment() -> dict[str, str]:
    """For a process of ours that is to see this test run's rows and keys."""
    url = urlsplit(settings.DATABASE_URL)
    return os.environ | {
        "DATABASE_URL": urlunsplit(url._replace(path=f"/{connection.settings_dict['NAME']}")),
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "DJANGO_SETTINGS_MODULE": "tenex.settings",
    }


@contextmanager
def serve_daphne(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "tenex.asgi:application"]
    process = RealProcess("daphne", command, environment(), folder)
    try:
        base = f"http://127.0.0.1:{port}"
        process.wait_ready(lambda: answers(f"{base}/healthz/live"))
        yield base
    finally:
        process.kill()


def talk[T](base: str, token: str, work: Callable[[Client], Awaitable[T]], *, mode: str = "auto") -> T:
    """What `work` makes of a connected official client."""

    async def run() -> T:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(f"{base}/mcp", http_client=http), mode=mode) as client,
        ):
            return await work(client)

    return asyncio.run(run())


def post(base: str, token: str, body: object, **headers: str) -> httpx2.Response:
    """One POST as a client of 2025 sends it."""
    sent = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        **({"Authorization": f"Bearer {token}"} if token else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return HTTP.post(f"{base}/mcp", content=raw, headers=sent)


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def call(tool: str, /, **arguments: Any) -> dict[str, Any]:
    return request("tools/call", name=tool, arguments=arguments)
