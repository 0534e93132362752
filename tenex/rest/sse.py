"""Server-sent events (WHATWG HTML, 9.2): frames, and the doorbell hub that wakes the readers.

A reader of a stream never asks the database on a timer of its own. One hub an event loop listens to the
doorbell (tenex.events.bus) and, since a ring can be lost, also asks once a second how far all the watched
streams are, in one query for all of them.
"""

import asyncio
import contextlib
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
)
from typing import Any
from weakref import WeakKeyDictionary

import orjson
import redis.asyncio
import structlog
from django.conf import settings
from django.http import StreamingHttpResponse
from redis.exceptions import RedisError

from tenex.server import drain

log = structlog.get_logger(__name__)

HEARTBEAT_S: float = settings.STREAM_HEARTBEAT_S
POLL_S = 1.0
SLOW_READER_S: float = settings.STREAM_SLOW_READER_S
_CHUNK_BYTES = 32 * 1024
_CUT = "slow reader"
# No blank line behind these two: some clients take one for the end of an (empty) event.
PING = b": ping\n"
RETRY = b"retry: 1000\n"


def frame(event_id: int, event: str, data: object) -> bytes:
    """One event."""
    return raw_frame(event_id, event, orjson.dumps(data, default=str))


def raw_frame(event_id: int, event: str, body: bytes) -> bytes:
    """One event whose JSON is written already. JSON holds no line break, so one `data:` line is enough."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event_id, event.encode(), body)


def response(chunks: AsyncIterator[bytes]) -> StreamingHttpResponse:
    """The answer that streams `chunks`; proxies are asked not to buffer it."""
    return StreamingHttpResponse(
        cut_slow_reader(chunks),
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def cut_slow_reader(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pass chunks on; end the request if the peer does not take one for SLOW_READER_S.

    While a peer does not read, this generator stands still inside `yield`; only the request's own task can be
    ended then. Nothing is queued for the peer meanwhile: it would resume by `Last-Event-ID`.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    async with contextlib.aclosing(chunks) as source:  # type: ignore[type-var]
        async for chunk in source:
            timer = loop.call_later(SLOW_READER_S, _cut, task)
            try:
                yield chunk
            finally:
                timer.cancel()


def _cut(task: "asyncio.Task[Any] | None") -> None:
    log.info("slow reader cut")
    if task is not None:
        task.cancel(_CUT)


type AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]


def end_when_cut(app: AsgiApp) -> AsgiApp:
    """For the composition root: a cut reader's connection is dropped, without a traceback in the log."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if exc.args != (_CUT,) or task is None:
                raise
            task.uncancel()
            await _abort(send)

    return application


async def _abort(send: Any) -> None:
    """Drop the connection: a polite close would wait for the peer to take what is in its buffers.

    ASGI has no word for it; uvicorn's `send` is a method of the object that owns the transport.
    """
    abort = getattr(getattr(getattr(send, "__self__", None), "transport", None), "abort", None)
    if abort is not None:
        abort()
        await asyncio.sleep(0)  # the server hears of it before the application returns


def gather(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Frames joined to chunks of some 32 KiB: few writes, and little in memory for a slow peer."""
    chunk, size = [], 0
    for one in frames:
        chunk.append(one)
        size += len(one)
        if size >= _CHUNK_BYTES:
            yield b"".join(chunk)
            chunk, size = [], 0
    if chunk:
        yield b"".join(chunk)


class Watch[Key: Hashable, State]:
    """One reader's view of one stream: wakes when the stream may have moved past what was seen."""

    __slots__ = ("_moved", "key", "state")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.state: State | None = None
        self._moved = asyncio.Event()

    def wake(self) -> None:
        self._moved.set()

    async def moved(self, timeout_s: float) -> bool:
        """Wait until something may have happened; False after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._moved.wait()
        except TimeoutError:
            return False
        self._moved.clear()
        return True


class Hub[Key: Hashable, State]:
    """Wakes the watches of one kind of stream on one event loop.

    `channel` names a key's doorbell; `states` reads how far the streams are (one query, off the loop). A
    watch is woken by a ring, and by the poll if the state differs from the last one that the poll saw.
    """

    def __init__(
        self, channel: Callable[[Key], str], states: Callable[[set[Key]], Awaitable[Mapping[Key, State]]]
    ) -> None:
        self._channel = channel
        self._states = states
        self._watches: dict[Key, set[Watch[Key, State]]] = {}
        self._keys: dict[str, Key] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._chores: set[asyncio.Task[None]] = set()
        self._pubsub: Any = None

    @contextlib.contextmanager
    def watch(self, key: Key) -> Iterator[Watch[Key, State]]:
        """Watch a stream. It is watched before the body runs: read the rows inside, and none is missed."""
        one: Watch[Key, State] = Watch(key)
        self._watches.setdefault(key, set()).add(one)
        if not self._tasks:
            self._tasks = {asyncio.create_task(self._poll()), asyncio.create_task(self._listen())}
        if len(self._watches[key]) == 1:
            self._keys[self._name(key)] = key
            self._spawn(self._subscribe(key))
        try:
            yield one
        finally:  # nothing is awaited here: a reader may be gone in any way, also by being collected
            self._watches[key].discard(one)
            if not self._watches[key]:
                del self._watches[key], self._keys[self._name(key)]
                self._spawn(self._unsubscribe(key))
            if not self._watches:
                tasks, self._tasks = self._tasks, set()
                for task in tasks:
                    task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _subscribe(self, key: Key) -> None:
        """Without Redis the poll carries on; reconnecting subscribes anew."""
        if self._pubsub is not None:
            with contextlib.suppress(RedisError, OSError):
                await self._pubsub.subscribe(self._name(key))
        for one in self._watches.get(key, ()):
            one.wake()  # what was rung before the subscription held

    async def _unsubscribe(self, key: Key) -> None:
        if self._pubsub is not None and key not in self._watches:
            with contextlib.suppress(RedisError, OSError):
                await self._pubsub.unsubscribe(self._name(key))

    async def _poll(self) -> None:
        """The floor: whatever the doorbell loses is seen within a second."""
        while True:
            await asyncio.sleep(POLL_S)
            if drain.is_over():
                for watches in self._watches.values():
                    for one in watches:
                        one.wake()
            try:
                states = await self._states(set(self._watches))
            except Exception as exc:  # the database is away: readers wait, the next round tries again
                log.warning("streams not polled", error=type(exc).__name__)
                continue
            for key, state in states.items():
                for one in self._watches.get(key, ()):
                    if one.state != state:
                        one.state = state
                        one.wake()

    async def _listen(self) -> None:
        """Rings of the doorbell; reconnects with a pause."""
        while True:
            client = redis.asyncio.Redis.from_url(settings.REDIS_URL)
            pubsub: Any = client.pubsub(ignore_subscribe_messages=True)
            try:
                subscribed: set[str] = set()
                while missing := {"tenex:hub", *self._keys} - subscribed:  # more may come while we wait
                    await pubsub.subscribe(*missing)
                    subscribed |= missing
                self._pubsub = pubsub
                async for message in pubsub.listen():
                    self._ring(message["channel"].decode())
            except (RedisError, OSError) as exc:
                log.warning("doorbell lost", error=type(exc).__name__)
            finally:
                if self._pubsub is pubsub:  # else a later listener has taken over
                    self._pubsub = None
                with contextlib.suppress(RedisError, OSError):
                    await pubsub.aclose()
                    await client.aclose()
            await asyncio.sleep(POLL_S)

    def _ring(self, name: str) -> None:
        key = self._keys.get(name)
        for one in self._watches.get(key, ()) if key is not None else ():
            one.wake()

    def _name(self, key: Key) -> str:
        return f"tenex:{self._channel(key)}"


class Hubs[Key: Hashable, State]:
    """The hub of the running event loop (one a process in service, one a test in tests)."""

    def __init__(self, make: Callable[[], Hub[Key, State]]) -> None:
        self._make = make
        self._hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub[Key, State]] = WeakKeyDictionary()

    def here(self) -> Hub[Key, State]:
        loop = asyncio.get_running_loop()
        if loop not in self._hubs:
            self._hubs[loop] = self._make()
        return self._hubs[loop]
