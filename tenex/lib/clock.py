"""A monotonic clock that can run faster than the wall, so that whole calls fit into a test."""

import asyncio
import time


class Clock:
    """Monotonic seconds multiplied by `scale`; 1.0 is real time."""

    __slots__ = ("scale",)

    def __init__(self, scale: float = 1.0) -> None:
        if scale <= 0:
            raise ValueError("clock scale must be positive")
        self.scale = scale

    def now(self) -> float:
        """Scaled monotonic seconds."""
        return time.monotonic() * self.scale

    def real_s(self, seconds: float) -> float:
        """Real seconds that pass while this clock advances by `seconds`."""
        return seconds / self.scale

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self.scale)
