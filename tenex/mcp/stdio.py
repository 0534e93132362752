"""MCP over stdin and stdout, in this process. Only :mod:`tenex.mcp.__main__` imports this, late."""

import sys
from typing import Any

from django.conf import settings
from mcp.server.stdio import stdio_server
from rest_framework.exceptions import AuthenticationFailed

from tenex.errors import TenexError
from tenex.mcp import server
from tenex.mcp.registry import catalog
from tenex.mcp.threads import in_thread
from tenex.mcp.unanswered import NotingWriter, PatientReader, Unanswered
from tenex.rest import throttling
from tenex.workspaces.principal import Principal
from tenex.workspaces.services import keys

DEADLINE_S = 60.0
"""What is asked right before stdin ends may take so long."""


async def serve(credential: str) -> int:
    """Serve until stdin ends. Returns 2 if the key is not good at the start."""
    try:
        await in_thread(_holder)(credential)
    except (AuthenticationFailed, TenexError) as exc:
        print(f"tenex.mcp: {exc}", file=sys.stderr)
        return 2

    async def identify(ctx: Any) -> Principal:
        """Anew at each call: a revoked key ends with the next one, and each one counts."""
        return await in_thread(_admit)(credential)

    served = server.build(catalog(), identify)
    unanswered = Unanswered()
    async with stdio_server() as (read, write):
        await served.run(
            PatientReader(read, unanswered, DEADLINE_S),
            NotingWriter(write, unanswered),
            served.create_initialization_options(),
        )
    return 0


def _holder(credential: str) -> Principal:
    principal = keys.verify(credential)
    if principal is None:
        raise AuthenticationFailed("the key is not valid: unknown, expired or revoked")
    return principal


def _admit(credential: str) -> Principal:
    principal = _holder(credential)
    throttling.admit(principal.rate_key, limit=settings.RATE_LIMIT_PER_MINUTE)
    return principal
