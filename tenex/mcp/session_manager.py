"""The SDK's session manager of each event loop, kept running by a task of ours.

The SDK wants to be started in the server's lifespan. daphne has none, and a process may have one loop a
server: so the first request of a loop starts it, and its end is the end of the loop, or :func:`shut_down`.
"""

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tenex.mcp.registry import catalog
from tenex.workspaces.principal import Principal

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager


class _Kept:
    """A manager that is, or will be, ready; and the task that holds it open."""

    def __init__(self) -> None:
        self.ready: asyncio.Future[StreamableHTTPSessionManager] = asyncio.get_running_loop().create_future()
        # Not in the context of the request that happens to be the first.
        self.task = asyncio.get_running_loop().create_task(self._keep(), context=Context())

    async def _keep(self) -> None:
        try:
            manager = await asyncio.to_thread(_make)
            async with manager.run():
                self.ready.set_result(manager)
                await asyncio.get_running_loop().create_future()  # until it is cancelled
        except Exception as exc:
            if self.ready.done():
                raise
            self.ready.set_exception(exc)
        finally:
            self.ready.cancel()


_KEPT: WeakKeyDictionary[asyncio.AbstractEventLoop, _Kept] = WeakKeyDictionary()


async def manager_here() -> "StreamableHTTPSessionManager":
    """The manager of the running loop. The first call imports the SDK, in a thread."""
    loop = asyncio.get_running_loop()
    kept = _KEPT.get(loop)
    if kept is None or kept.task.done():
        kept = _KEPT[loop] = _Kept()
    return await asyncio.shield(kept.ready)


async def shut_down() -> None:
    """End this loop's manager, and with it what still runs in it."""
    kept = _KEPT.pop(asyncio.get_running_loop(), None)
    if kept is not None:
        kept.task.cancel()
        await asyncio.gather(kept.task, return_exceptions=True)


def _make() -> "StreamableHTTPSessionManager":
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from tenex.mcp import server

    return StreamableHTTPSessionManager(
        server.build(catalog(), _principal), stateless=True, json_response=True
    )


async def _principal(ctx: Any) -> Principal:
    """Whom the door has let in."""
    principal: Principal = ctx.request.scope["tenex.principal"]
    return principal
