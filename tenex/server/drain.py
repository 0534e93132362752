"""Whether this process is on its way out, and how many live calls it still carries.

An ASGI server that is told to stop cuts its websockets within milliseconds. So the signal only raises this
flag: readiness turns false, new calls go elsewhere, and the server hears of the stop when the last call has
left or the deadline has passed (promises.md R9, G1). The media consumer counts itself in and out:

    with drain.live_calls.held():
        ...the call...
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_POLL_S = 0.05


class LiveCalls:
    """A count of the calls that this process carries. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @property
    def count(self) -> int:
        """How many there are now."""
        return self._count

    def enter(self) -> None:
        """A call has begun."""
        with self._lock:
            self._count += 1

    def leave(self) -> None:
        """A call has ended. Once for each `enter`.

        Raises:
            RuntimeError: more have left than entered.
        """
        with self._lock:
            if self._count == 0:
                raise RuntimeError("a live call left that never entered")
            self._count -= 1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Count one call for as long as the block runs, however it ends."""
        self.enter()
        try:
            yield
        finally:
            self.leave()


class Drain:
    """The flag: raised once, never lowered."""

    def __init__(self) -> None:
        self._begun = threading.Event()

    def begin(self) -> None:
        """From now on this process takes no new calls."""
        self._begun.set()

    @property
    def begun(self) -> bool:
        """Whether it was raised."""
        return self._begun.is_set()


live_calls = LiveCalls()
state = Drain()


def begin() -> None:
    """Start draining this process."""
    state.begin()


def is_draining() -> bool:
    """Whether this process takes no new calls any more. Cheap: ask it on every call."""
    return state.begun


def is_over() -> bool:
    """Draining, and no call is left: the process ends in a moment, and who only reads should go elsewhere."""
    return state.begun and live_calls.count == 0


async def wait_until_idle(calls: LiveCalls, timeout_s: float) -> bool:
    """Wait until no call is left, at most `timeout_s` seconds. Returns whether none is left."""
    deadline = time.monotonic() + timeout_s
    while calls.count > 0:
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True
