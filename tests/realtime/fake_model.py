"""A Realtime server of a few lines: says what a test tells it to, records what it is asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Message = dict[str, Any]
OnMessage = Callable[["FakeSession", Message], Awaitable[None]]


class FakeSession:
    """One connection."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.received: list[Message] = []
        self.arrived = asyncio.Event()

    async def say(self, **event: Any) -> None:
        await self.socket.send(json.dumps({"event_id": "evt", **event}))

    async def confirm(self, audio_format: str = "audio/pcmu", **extra: Any) -> None:
        """`session.updated` with the formats."""
        part = {"format": {"type": audio_format}}
        session = {"id": "sess_1", "type": "realtime", "audio": {"input": part, "output": part}, **extra}
        await self.say(type="session.updated", session=session)

    def of(self, kind: str) -> list[Message]:
        return [message for message in self.received if message["type"] == kind]

    async def wait_for(self, kind: str, count: int = 1) -> Message:
        """The `count`-th message of that type."""
        async with asyncio.timeout(5):
            while len(self.of(kind)) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.of(kind)[count - 1]


class FakeModel:
    """The server: its sessions, and how it behaves."""

    def __init__(self) -> None:
        self.sessions: list[FakeSession] = []
        self.requests: list[Request] = []
        self.refuse: tuple[int, Message] | None = None
        self.on_message: OnMessage = confirming
        self.greeting = True
        self.opened = asyncio.Event()
        self.url = ""

    @property
    def open_sockets(self) -> int:
        return sum(1 for session in self.sessions if session.socket.close_code is None)

    async def all_closed(self) -> None:
        """Wait until no client has a socket open."""
        for session in self.sessions:
            await session.socket.wait_closed()

    async def session(self, number: int = 1) -> FakeSession:
        """The `number`-th session, once it is there."""
        async with asyncio.timeout(5):
            while len(self.sessions) < number:
                self.opened.clear()
                await self.opened.wait()
        return self.sessions[number - 1]

    def _handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        if self.refuse is None:
            return None
        status, body = self.refuse
        return connection.respond(status, json.dumps(body))

    async def _serve(self, socket: ServerConnection) -> None:
        session = FakeSession(socket)
        self.sessions.append(session)
        self.opened.set()
        try:
            if self.greeting:
                await session.say(type="session.created", session={"id": "sess_1"})
            async for frame in socket:
                message = json.loads(frame)
                session.received.append(message)
                session.arrived.set()
                await self.on_message(session, message)
        except ConnectionClosed:
            pass


async def confirming(session: FakeSession, message: Message) -> None:
    """Accept any configuration as it is."""
    if message["type"] == "session.update":
        await session.confirm(message["session"]["audio"]["input"]["format"]["type"])


async def silent(session: FakeSession, message: Message) -> None:
    """Answer nothing."""


@asynccontextmanager
async def fake_model() -> AsyncIterator[FakeModel]:
    """A running server on a free port."""
    model = FakeModel()
    server: Server
    async with serve(
        model._serve, "127.0.0.1", 0, process_request=model._handshake, compression=None, max_size=None
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        model.url = f"http://127.0.0.1:{port}/v1"
        yield model
