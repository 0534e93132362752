"""The way out: events in order, one writer, and the faults that a network can play."""

import asyncio
import socket
import struct

import orjson
from aiohttp import WSMsgType, web

from tenex.lib.clock import Clock
from voice.rehearsal.model.items import new_id
from voice.rehearsal.model.shapes import Json

MAX_QUEUED_FRAMES = 20_000
"""A client that reads nothing for this many events is cut off."""


class Outbox:
    """Queues events without waiting, so that a group of events is never torn apart by another task."""

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport | None, clock: Clock) -> None:
        self._ws = ws
        self._transport = transport
        self._clock = clock
        self._queue: asyncio.Queue[bytes | tuple[int, str]] = asyncio.Queue()
        self._room = asyncio.Event()
        self._trickle_bytes_per_s: float | None = None
        self._hole = False
        self.sent_events = 0

    def emit(self, kind: str, **fields: Json) -> None:
        """Queue one server event."""
        self.emit_raw(orjson.dumps({"type": kind, "event_id": new_id("event"), **fields}))

    def emit_raw(self, frame: bytes) -> None:
        if self._queue.qsize() > MAX_QUEUED_FRAMES:
            self.cut(reset=True)
            return
        self.sent_events += 1
        self._queue.put_nowait(frame)

    def emit_audio(
        self, response_id: str, item_id: str, output_index: int, content_index: int, delta: str
    ) -> None:
        """One audio delta; formatted by hand because this is most of what a session sends."""
        self.emit_raw(
            (
                f'{{"type":"response.output_audio.delta","event_id":"{new_id("event")}",'
                f'"response_id":"{response_id}","item_id":"{item_id}","output_index":{output_index},'
                f'"content_index":{content_index},"delta":"{delta}"}}'
            ).encode()
        )

    def close(self, code: int, reason: str) -> None:
        """Close the websocket after everything that is queued; a blackholed one is cut."""
        if self._hole:
            self.cut(reset=True)
        self._queue.put_nowait((code, reason))

    async def drained(self, frames: int) -> None:
        """Wait until no more than this many events are queued: the client reads slower than we write."""
        if self._queue.qsize() > frames:
            self._room.clear()
            await self._room.wait()

    async def run(self) -> None:
        """Write until the socket is closed. Ends without an error when the peer goes away."""
        while not self._ws.closed:
            if self._queue.empty():
                self._room.set()
            entry = await self._queue.get()
            if self._hole:
                continue
            if isinstance(entry, tuple):
                await self._ws.close(code=entry[0], message=entry[1].encode())
                return
            if self._trickle_bytes_per_s:
                await self._clock.sleep(len(entry) / self._trickle_bytes_per_s)
            try:
                await self._ws.send_frame(entry, WSMsgType.TEXT)
            except ConnectionError:
                return

    # --- faults -------------------------------------------------------------------------------------

    def trickle(self, bytes_per_s: float) -> None:
        """From now on events leave no faster than this."""
        self._trickle_bytes_per_s = bytes_per_s

    def blackhole(self) -> None:
        """Keep the socket open, read nothing, say nothing."""
        self._hole = True
        if self._transport is not None:
            self._transport.pause_reading()

    def cut(self, *, reset: bool) -> None:
        """End the TCP connection without a closing frame: by RST, or by FIN."""
        if self._transport is None:
            return
        if reset:
            sock = self._transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()
