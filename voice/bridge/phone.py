"""The phone's side of a live call: everything that goes to the carrier, in order and bounded.

A frame is handed to the ASGI server at once, inside the callback that made it. Only if the server makes us
wait (the peer does not read) is it queued; a peer that reads nothing for long is closed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final

import structlog
from asgiref.typing import ASGISendCallable

from voice.bridge.tap import Tap
from voice.wire import twilio_media

log = structlog.get_logger(__name__)

MAX_QUEUED_BYTES: Final = 2 * 1024 * 1024
"""About three minutes of speech in base64: more than any answer."""
STUCK_S: Final = 10.0


class Phone:
    """The outgoing half of one media socket."""

    def __init__(self, send: ASGISendCallable, stream_sid: str, on_broken: Callable[[str], None]) -> None:
        self._send = send
        self._sid = stream_sid
        self._on_broken = on_broken
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._queue: deque[tuple[bool, str]] = deque()
        """(is audio, frame)"""
        self._queued = 0
        self._sending: asyncio.Task[None] | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._over = False
        self.tap: Tap | None = None
        """Set while somebody watches or listens."""

    @property
    def queued_bytes(self) -> int:
        return self._queued

    def play(self, payload: str) -> None:
        """Base64 µ-law, played after what was sent before."""
        self._put(True, twilio_media.media(self._sid, payload))
        if self.tap is not None:
            self.tap.ours(payload)

    def mark(self, name: str) -> None:
        self._put(False, twilio_media.mark(self._sid, name))

    def clear(self) -> None:
        """Stop playback. Audio that has not left yet does not leave; its marks do, and come back at once."""
        if self._queue:
            self._queue = deque(entry for entry in self._queue if not entry[0])
            self._queued = sum(len(frame) for _, frame in self._queue)
        self._put(False, twilio_media.clear(self._sid))
        if self.tap is not None:
            self.tap.clear()

    def stop(self) -> None:
        """Nothing more is sent."""
        self._over = True
        self._queue.clear()
        self._queued = 0
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        if self._sending is not None:
            self._sending.cancel()

    def _put(self, is_audio: bool, frame: str) -> None:
        if self._over:
            return
        if self._sending is None:
            self._start(frame)
            return
        self._queue.append((is_audio, frame))
        self._queued += len(frame)
        if self._queued > MAX_QUEUED_BYTES:
            self._break("too much unsent")

    def _start(self, frame: str) -> None:
        """Send now. An eager task runs up to the first real wait, so usually it is done when it exists."""
        message: Any = {"type": "websocket.send", "text": frame}
        task: asyncio.Task[None] = asyncio.Task(
            self._send(message),  # type: ignore[arg-type]  # a coroutine with every server we run on
            loop=self._loop,
            context=self._context,
            eager_start=True,
        )
        if task.done():
            self._check(task)
            return
        self._sending = task
        self._stuck = self._loop.call_later(STUCK_S, self._break, "not read")
        task.add_done_callback(self._on_sent)

    def _on_sent(self, task: asyncio.Task[None]) -> None:
        self._sending = None
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        self._check(task)
        while self._queue and self._sending is None and not self._over:
            _, frame = self._queue.popleft()
            self._queued -= len(frame)
            self._start(frame)

    def _check(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._break("send failed")

    def _break(self, why: str) -> None:
        if self._over:
            return
        self.stop()
        self._on_broken(why)
