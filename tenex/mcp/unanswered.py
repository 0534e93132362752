"""Requests of a client that still wait for their answer.

A client may write its requests and close stdin at once, as a shell's pipe does: what it asked for is answered
before the program ends. (The SDK's own loop cancels at the end of stdin what it has under way.)
"""

from typing import Any

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest


class Unanswered:
    """Told of every message in both directions."""

    def __init__(self) -> None:
        self._waiting: set[str | int] = set()
        self._changed = anyio.Event()

    def asked(self, message: Any) -> None:
        """A message of the client."""
        if isinstance(message, JSONRPCRequest):
            self._waiting.add(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._waiting.discard((message.params or {}).get("requestId", ""))

    def answered(self, message: Any) -> None:
        """A message of the server."""
        self._waiting.discard(getattr(message, "id", ""))
        self._changed.set()

    async def none_left(self, timeout_s: float) -> None:
        """Until each request has its answer, or for so long."""
        with anyio.move_on_after(timeout_s):
            while self._waiting:
                self._changed = anyio.Event()
                await self._changed.wait()


class PatientReader:
    """A client's messages; the end of them comes only when all that it asked for is answered."""

    def __init__(self, inner: Any, unanswered: Unanswered, timeout_s: float) -> None:
        self._inner, self._unanswered, self._timeout_s = inner, unanswered, timeout_s

    @property
    def last_context(self) -> Any:
        return self._inner.last_context

    async def receive(self) -> SessionMessage | Exception:
        try:
            item: SessionMessage | Exception = await self._inner.receive()
        except anyio.EndOfStream:
            await self._unanswered.none_left(self._timeout_s)
            raise
        if isinstance(item, SessionMessage):
            self._unanswered.asked(item.message)
        return item

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> "PatientReader":
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> "PatientReader":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class NotingWriter:
    """The server's messages on their way to the client."""

    def __init__(self, inner: Any, unanswered: Unanswered) -> None:
        self._inner, self._unanswered = inner, unanswered

    async def send(self, item: SessionMessage) -> None:
        await self._inner.send(item)
        self._unanswered.answered(item.message)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> "NotingWriter":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
