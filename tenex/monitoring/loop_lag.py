"""How late the event loop is: a timer that knows when it should have fired."""

import asyncio
from collections.abc import Callable
from typing import Final

from tenex.monitoring import counts

EVERY_S: Final = 0.25


class LoopLag:
    """Looks at the running loop until :meth:`stop`."""

    def __init__(self, observe: Callable[[float], None] = counts.LOOP_LAG.observe) -> None:
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._timer: asyncio.TimerHandle
        self._arm()

    def _arm(self) -> None:
        self._due = self._loop.time() + EVERY_S
        self._timer = self._loop.call_later(EVERY_S, self._on_time)

    def _on_time(self) -> None:
        self._observe(max(0.0, self._loop.time() - self._due))
        self._arm()

    def stop(self) -> None:
        self._timer.cancel()
