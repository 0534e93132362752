"""stdin and stdout joined with a running system's `/mcp`: message for message, with the key as credential.

Needs no settings and no database, so it runs where the client runs. Only :mod:`tenex.mcp.__main__` imports
this, late.
"""

import sys
from typing import Any

import anyio
import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp.server.stdio import stdio_server
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    encode_header_value,
)
from mcp.shared.message import ClientMessageMetadata, SessionMessage
from mcp_types import (
    PROTOCOL_VERSION_META_KEY,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
)

from tenex.mcp.unanswered import Unanswered

TIMEOUT_S = 90.0
"""Longer than the server's own deadline."""

_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Which parameter of a method `Mcp-Name` repeats (revision 2026-07-28)."""


async def serve(url: str, credential: str) -> int:
    """Pass messages on until stdin ends."""
    joint = _Joint()
    headers = {"Authorization": f"Bearer {credential}"}
    hooks = {"response": [_tell]}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=TIMEOUT_S, event_hooks=hooks) as http,
        streamable_http_client(url, http_client=http) as (from_server, to_server),
        stdio_server() as (from_client, to_client),
        from_client,
        to_client,  # closed before: stdio_server waits for its end
        anyio.create_task_group() as group,
    ):
        group.start_soon(joint.downwards, from_server, to_client)
        await joint.upwards(from_client, to_server)
        group.cancel_scope.cancel()
    return 0


class _Joint:
    """Both directions of one client's conversation."""

    def __init__(self) -> None:
        self._version = ""
        self._unanswered = Unanswered()

    async def upwards(self, from_client: Any, to_server: Any) -> None:
        """Client to server; then until the answers that are still due have come."""
        async for message in from_client:
            if isinstance(message, Exception):
                print(f"tenex.mcp: not a message: {message}", file=sys.stderr)
                continue
            inner = message.message
            self._unanswered.asked(inner)
            await to_server.send(SessionMessage(inner, metadata=self._metadata(inner)))
        await self._unanswered.none_left(TIMEOUT_S)

    async def downwards(self, from_server: Any, to_client: Any) -> None:
        """Server to client."""
        async for message in from_server:
            if isinstance(message, Exception):
                print(f"tenex.mcp: {message}", file=sys.stderr)
                continue
            inner = message.message
            if isinstance(inner, JSONRPCResponse) and "serverInfo" in inner.result:
                self._version = str(inner.result.get("protocolVersion", ""))
            await to_client.send(SessionMessage(inner))
            self._unanswered.answered(inner)

    def _metadata(self, message: Any) -> ClientMessageMetadata | None:
        """The headers that the revision in use wants beside the message."""
        if not isinstance(message, JSONRPCRequest | JSONRPCNotification):
            return None
        params = message.params or {}
        modern = (params.get("_meta") or {}).get(PROTOCOL_VERSION_META_KEY)
        if modern is None:
            return ClientMessageMetadata(
                headers={MCP_PROTOCOL_VERSION_HEADER: self._version} if self._version else {}
            )
        headers = {MCP_PROTOCOL_VERSION_HEADER: str(modern), MCP_METHOD_HEADER: message.method}
        name = params.get(_NAMED.get(message.method, ""))
        if isinstance(name, str):
            headers[MCP_NAME_HEADER] = encode_header_value(name)
        return ClientMessageMetadata(headers=headers)


async def _tell(response: httpx2.Response) -> None:
    """Say on stderr why the server refused: many clients show only that it did."""
    if response.status_code >= 400:
        body = (await response.aread())[:300].decode(errors="replace")
        print(f"tenex.mcp: the server answered {response.status_code}: {body}", file=sys.stderr)
