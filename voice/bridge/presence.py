"""This process says that it can carry calls, for as long as it can: without its word nobody is dialed."""

import asyncio
import os
import platform
import secrets
import time
from collections.abc import Callable
from typing import Final

import structlog
from django.conf import settings
from django.db import Error

from tenex.server import drain
from voice.bridge import threads
from voice.services import capacity

log = structlog.get_logger(__name__)

_SAY_EVERY_S: Final = capacity.ALIVE_S / 3
_LOOK_EVERY_S: Final = 0.5
"""A drain is told at once: nobody shall be dialed for a process that is on its way out."""


class Presence:
    """Announces on entry, then by a task of its own, and takes it back on exit."""

    def __init__(self) -> None:
        self._name = f"{platform.node()[:50]}:{os.getpid()}:{secrets.token_hex(3)}"
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Say it for the first time, and go on."""
        await self._say()
        self._task = asyncio.create_task(self._go_on())

    async def end(self) -> None:
        """Say nothing more."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        await self._in_thread(lambda: capacity.leave(self._name))

    async def _go_on(self) -> None:
        said_s, draining = time.monotonic(), False
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            now_s, drains = time.monotonic(), drain.is_draining()
            if drains != draining or now_s - said_s >= _SAY_EVERY_S:
                said_s, draining = now_s, drains
                await self._say()

    async def _say(self) -> None:
        await self._in_thread(
            lambda: capacity.announce(
                self._name,
                capacity=settings.MAX_CALLS_PER_PROCESS,
                live_calls=drain.live_calls.count,
                draining=drain.is_draining(),
            )
        )

    async def _in_thread(self, work: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(
                threads.openers(), lambda: threads.with_connection(work)
            )
        except Error as exc:
            log.warning("media process not announced", error=type(exc).__name__)
