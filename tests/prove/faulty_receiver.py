"""A webhook receiver that fails in every way that receivers fail, and keeps the truth about it.

One asyncio server in a thread, speaking HTTP/1.1 by hand: a library would not let us break it.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


class Way(Enum):
    """How a request is answered."""

    OK = auto()
    STATUS = auto()
    HANG = auto()
    RESET = auto()
    DRIP_HEAD = auto()
    """A byte now and then: the answer's head is never complete."""
    DRIP_BODY = auto()
    """The head comes at once, the body never ends."""
    REDIRECT = auto()


ANSWERED = frozenset({Way.OK, Way.DRIP_BODY})


@dataclass(frozen=True, slots=True)
class Act:
    way: Way = Way.OK
    stored: bool = True
    """Whether the event counts as taken, whatever the sender hears of it."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    for_s: float = 15.0
    """How long it hangs or drips."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request."""

    id: str
    path: str
    at_s: float
    """Wall clock when its head and body were there."""
    act: Act
    digest: bytes
    """Of the body."""
    verified: bool
    late: bool
    """The sender had hung up before it was answered."""


@dataclass(frozen=True, slots=True)
class Secrets:
    standard: str
    workspace: str


class FaultyReceiver:
    """`decide(path)` says how a request is answered; `secrets[path]` what it must be signed with."""

    def __init__(
        self, decide: Callable[[str], Act], *, tls: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        self.decide = decide
        self.secrets: dict[str, Secrets] = {}
        self.seen: list[Seen] = []
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._ready = threading.Event()
        self.port = self.tls_port = 0
        self._tls = tls
        threading.Thread(target=self._run, daemon=True).start()
        if not self._ready.wait(10):
            raise RuntimeError("the receiver did not start")

    def url(self, path: str, *, tls: bool = False) -> str:
        return f"https://127.0.0.1:{self.tls_port}{path}" if tls else f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        for server in self._servers:
            server.close()
        self._loop.call_later(0.1, self._loop.stop)

    def _run(self) -> None:
        async def listen() -> None:
            plain = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=512)
            self.port = plain.sockets[0].getsockname()[1]
            self._servers.append(plain)
            if self._tls:
                secure = await asyncio.start_server(
                    self._accept, "127.0.0.1", 0, backlog=512, ssl=self._tls()
                )
                self.tls_port = secure.sockets[0].getsockname()[1]
                self._servers.append(secure)
            self._ready.set()

        self._loop.set_exception_handler(lambda *_: None)  # senders that die are what this is about
        self._loop.run_until_complete(listen())
        self._loop.run_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            try:
                await self._serve(reader, writer)
            finally:
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1]
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in head[1:])
        }
        body = await reader.readexactly(int(headers.get("content-length") or 0))
        at_s = time.time()
        act = self.decide(path)
        self.seen.append(
            Seen(
                headers.get("webhook-id", ""),
                path,
                at_s,
                act,
                hashlib.sha256(body).digest(),
                self._verified(path, headers, body),
                reader.at_eof(),
            )
        )
        await self._answer(act, writer)

    async def _answer(self, act: Act, writer: asyncio.StreamWriter) -> None:
        match act.way:
            case Way.HANG:
                await asyncio.sleep(act.for_s)
            case Way.RESET:
                raw: socket.socket = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case Way.DRIP_HEAD | Way.DRIP_BODY:
                writer.write(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if act.way is Way.DRIP_BODY else b"x-drip: "))
                for _ in range(int(act.for_s / 0.1)):
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.1)
            case _:
                extra = "".join(f"{name}: {value}\r\n" for name, value in act.headers.items())
                writer.write(f"HTTP/1.1 {act.status} X\r\n{extra}content-length: 0\r\n\r\n".encode())
                await writer.drain()

    def _verified(self, path: str, headers: dict[str, str], body: bytes) -> bool:
        """By the official library, by the reference's recipe, and that id and body agree."""
        secrets = self.secrets.get(path)
        if secrets is None:
            return True
        try:
            message: Any = Webhook(secrets.standard).verify(body, headers)
        except WebhookVerificationError:
            return False
        expected = "sha256=" + hmac.new(secrets.workspace.encode(), body, hashlib.sha256).hexdigest()
        return (
            hmac.compare_digest(expected, headers.get("x-10ex-signature", ""))
            and message["id"] == headers["webhook-id"] == json.loads(body)["id"]
        )
