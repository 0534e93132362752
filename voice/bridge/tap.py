"""What is heard on live calls, for operators: levels of both sides, and the sound. Only while asked for.

A call that nobody watches has no tap: the media path looks at one attribute a frame and that is all. A tap
is a lease of some seconds. Five times a second one timer takes what has been heard meanwhile on all tapped
calls of this loop and hands it to a sender of its own, whose queue is bounded and loses the oldest.
"""

import asyncio
import uuid
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections import deque
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import structlog
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from voice.services import control
from voice.wire import g711

log = structlog.get_logger(__name__)

WINDOW_S: Final = 0.2
MAX_LEASE_S: Final = 15.0
_MAX_FRAMES: Final = 100
"""Two seconds of the caller's: more has waited for a loop that stood still."""
_MAX_QUEUE: Final = 256
"""Messages that wait for the channel layer."""
_SEND_WAIT_S: Final = 1.0
_EVERY: Final = 8
"""One sample of so many is enough to see how loud somebody is."""


class Line(Protocol):
    """What holds a call's tap: the consumer and the phone side."""

    tap: "Tap | None"


class Tap:
    """Both sides of one call. Ours comes faster than it is played: the caller's frames are the clock."""

    __slots__ = (
        "_caller",
        "_ours",
        "_rest",
        "call_id",
        "levels_until",
        "lines",
        "sound_until",
        "workspace_id",
    )

    def __init__(self, call_id: uuid.UUID, workspace_id: uuid.UUID, lines: tuple[Line, ...]) -> None:
        self.call_id, self.workspace_id, self.lines = call_id, workspace_id, lines
        self.levels_until = self.sound_until = 0.0
        self._caller: deque[str] = deque(maxlen=_MAX_FRAMES)
        self._ours: deque[str] = deque()
        self._rest = b""
        for line in lines:
            line.tap = self

    def caller(self, payload: str) -> None:
        """A frame of the other side (hot: nothing is decoded here)."""
        self._caller.append(payload)

    def ours(self, payload: str) -> None:
        """A piece of our side, played behind what waits already."""
        self._ours.append(payload)

    def clear(self) -> None:
        """Playback was stopped."""
        self._ours.clear()
        self._rest = b""

    def take(self) -> tuple[bytes, bytes]:
        """What each side has been heard to say since the last time, caller and ours; equally long µ-law."""
        caller = b"".join(map(_decoded, self._caller))
        self._caller.clear()
        size, pieces, have = len(caller), [self._rest], len(self._rest)
        while have < size and self._ours:
            piece = _decoded(self._ours.popleft())
            pieces.append(piece)
            have += len(piece)
        ours = b"".join(pieces)
        self._rest = ours[size:]
        return caller, ours[:size].ljust(size, bytes((g711.MULAW_SILENCE,)))

    def release(self) -> None:
        for line in self.lines:
            if line.tap is self:
                line.tap = None


def _decoded(payload: str) -> bytes:
    try:
        return a2b_base64(payload)
    except NotBase64:  # a peer's frame, passed on unread
        return b""


def level(sound: bytes) -> int:
    """How loud the loudest of it is: 0 (-60 dB and less) to 100 (full scale)."""
    return max(sound[::_EVERY].translate(g711.LEVELS), default=0)


class Taps:
    """Of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._taps: dict[uuid.UUID, Tap] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._queue: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_MAX_QUEUE)
        self._sending: asyncio.Task[None] | None = None

    def lease(
        self,
        call_id: uuid.UUID,
        workspace_id: uuid.UUID,
        lines: tuple[Line, ...],
        *,
        sound: bool,
        for_s: float,
    ) -> None:
        """Somebody wants to see levels, or (`sound`) hear the call, for the next seconds."""
        tap = self._taps.get(call_id)
        if tap is None:
            tap = self._taps[call_id] = Tap(call_id, workspace_id, lines)
        until = self._loop.time() + min(max(for_s, 0.0), MAX_LEASE_S)
        if sound:
            tap.sound_until = max(tap.sound_until, until)
        else:
            tap.levels_until = max(tap.levels_until, until)
        if self._timer is None:
            self._timer = self._loop.call_later(WINDOW_S, self._tick, self._loop.time() + WINDOW_S)

    def drop(self, call_id: uuid.UUID) -> None:
        """The call is over."""
        tap = self._taps.pop(call_id, None)
        if tap is not None:
            tap.release()

    def _tick(self, due: float) -> None:
        now = self._loop.time()
        levels: dict[uuid.UUID, dict[str, list[int]]] = {}
        for tap in list(self._taps.values()):
            if now >= tap.levels_until and now >= tap.sound_until:
                self.drop(tap.call_id)
                continue
            caller, ours = tap.take()
            if now < tap.levels_until:
                levels.setdefault(tap.workspace_id, {})[str(tap.call_id)] = [level(caller), level(ours)]
            if now < tap.sound_until and caller:
                heard = {"type": control.SOUND, "caller": caller, "agent": ours}
                self._queue.append((control.sound_group(tap.call_id), heard))
        for workspace_id, of_calls in levels.items():
            told = {"type": control.LEVELS, "levels": of_calls}
            self._queue.append((control.levels_group(workspace_id), told))
        if self._queue and self._sending is None:
            self._sending = self._loop.create_task(self._send())
        self._timer = None
        if self._taps:
            due = max(due + WINDOW_S, now)  # no drift, and nothing to catch up with after a pause
            self._timer = self._loop.call_at(due, self._tick, due)

    async def _send(self) -> None:
        """Beside the media: whoever cannot be reached hears less."""
        layer: Any = get_channel_layer()
        try:
            while self._queue:
                group, message = self._queue.popleft()
                async with asyncio.timeout(_SEND_WAIT_S):
                    await layer.group_send(group, message)
        except (OSError, RedisError, TimeoutError) as exc:
            self._queue.clear()
            log.debug("listeners not reached", error=type(exc).__name__)
        finally:
            self._sending = None


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Taps] = WeakKeyDictionary()


def taps_of(loop: asyncio.AbstractEventLoop) -> Taps:
    """The taps of this loop."""
    if loop not in _loops:
        _loops[loop] = Taps(loop)
    return _loops[loop]
