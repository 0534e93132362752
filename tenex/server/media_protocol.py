"""uvicorn's websocket protocol, with a shorter way in for media frames.

An ASGI message costs a queue, two epoll changes and a task switch. A carrier sends 50 frames a second a call,
so an application may ask (the ASGI extension ``tenex.frames``) to be called with each text frame out of the
socket's own callback instead. Everything else, and every other server, works as ASGI says.
"""

from __future__ import annotations

from collections.abc import Callable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

EXTENSION = "tenex.frames"
"""`scope["extensions"][EXTENSION]["deliver"]` takes the callback; it must not block and must not raise."""


class MediaProtocol(WebSocketsSansIOProtocol):
    """One connection."""

    _deliver: Callable[[str], None] | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            # The application's task exists by now and has not run yet.
            self.scope["extensions"][EXTENSION] = {"deliver": self.deliver}

    def deliver(self, callback: Callable[[str], None]) -> None:
        """From now on hand text frames to `callback`, first those that wait for `receive`.

        Binary frames, long messages in fragments and the end still come through `receive`.
        """
        waiting = []
        while not self.queue.empty():
            waiting.append(self.queue.get_nowait())
        for message in waiting:
            text = message.get("text") if message["type"] == "websocket.receive" else None
            if text is not None:
                callback(text)
            else:
                self.queue.put_nowait(message)
        self._deliver = callback
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self.transport.resume_reading()

    def handle_text(self, event: Frame) -> None:
        if self._deliver is None or not event.fin or self.close_sent:
            super().handle_text(event)
            return
        try:
            text = bytes(event.data).decode()
        except UnicodeDecodeError:
            super().handle_text(event)  # closes with 1007
            return
        self._deliver(text)
