"""uvicorn, run from here: our socket, our limits for media frames, a drain between signal and end."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
import uvicorn

from tenex.lib import limits
from tenex.server import drain
from tenex.server.media_protocol import MediaProtocol
from tenex.server.roles import Application

log = structlog.get_logger(__name__)

# A load balancer keeps idle connections for about a minute: the side that closes first must be the balancer.
KEEP_ALIVE_S = 75
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class ServeOptions:
    """How long to wait for what.

    Attributes:
        drain_timeout_s: how long live calls may go on after the first signal.
        finish_timeout_s: how long requests in progress may go on after that.
        ping_interval_s: how often a websocket is pinged.
        ping_timeout_s: how long a pong may take before the websocket is closed.
        stop_accepting: whether to close the listening socket as soon as the drain begins: right where other
            processes listen on the same port (SO_REUSEPORT), wrong where nobody else would answer the
            callbacks of live calls.
        trust_proxy: believe X-Forwarded-* of the proxies in FORWARDED_ALLOW_IPS.
    """

    drain_timeout_s: float
    finish_timeout_s: float = 5.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 60.0
    stop_accepting: bool = False
    trust_proxy: bool = False


class DrainingServer(uvicorn.Server):
    """A server that waits for its live calls before it stops.

    The first SIGTERM or SIGINT begins the drain, the second ends the server at once.
    """

    def __init__(self, config: uvicorn.Config, options: ServeOptions, calls: drain.LiveCalls) -> None:
        super().__init__(config)
        self._options = options
        self._calls = calls
        self._drain: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """In place of uvicorn's own: ours drain, and the process ends with status 0, not by the signal."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.on_signal, number)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """What is loaded by now stays: a full collection would look at it again, for a tenth of a second."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    def on_signal(self, number: int) -> None:
        """First signal: drain, then stop. Second: stop now."""
        if self._drain is None:
            self._drain = asyncio.get_running_loop().create_task(self._drain_and_stop())
            return
        log.warning("stopping at once", signal=signal.Signals(number).name, live_calls=self._calls.count)
        self.should_exit = self.force_exit = True

    async def _drain_and_stop(self) -> None:
        drain.begin()
        log.info("draining", live_calls=self._calls.count, timeout_s=self._options.drain_timeout_s)
        if self._options.stop_accepting:
            # Connections that the kernel has already given to this socket are still taken, then it closes.
            await asyncio.sleep(0)
            for server in self.servers:
                server.close()
        idle = await drain.wait_until_idle(self._calls, self._options.drain_timeout_s)
        if not idle:
            log.warning("drain deadline passed, calls are cut", live_calls=self._calls.count)
        self.should_exit = True


def serve(
    application: Application,
    listener: socket.socket,
    options: ServeOptions,
    calls: drain.LiveCalls = drain.live_calls,
) -> bool:
    """Serve until a signal, drain, end. Returns whether the server ever came up."""
    config = uvicorn.Config(
        application,
        loop="uvloop",
        ws=MediaProtocol,
        ws_max_size=limits.FRAME_BYTES,
        ws_max_queue=limits.FRAME_QUEUE,
        ws_ping_interval=options.ping_interval_s,
        ws_ping_timeout=options.ping_timeout_s,
        ws_per_message_deflate=False,
        lifespan="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=options.trust_proxy,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(options.finish_timeout_s)),
    )
    # So long may a thread in Python code keep the loop waiting; the default is 5 ms.
    sys.setswitchinterval(0.001)
    server = DrainingServer(config, options, calls)
    server.run(sockets=[listener])
    return server.started
