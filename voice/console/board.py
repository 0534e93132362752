"""What is live in a workspace, for all the pages of this process that look at it: read once, told to all.

Rows and journals are the truth. A board reads them when the doorbell rings, at most five times a second
and at least every one, in two queries for all calls. Levels come beside them while there is a page: they are
asked for by a lease, and a process that carries calls measures nothing for nobody.
"""

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

import orjson
import structlog
from channels.layers import get_channel_layer
from django.db import Error as DatabaseFault
from redis.exceptions import RedisError

from tenex.events import bus
from tenex.rest import sse
from tenex.rest.off_loop import off_loop
from voice.console.cards import Card
from voice.selectors import live as read
from voice.selectors.live import Line
from voice.services import control

log = structlog.get_logger(__name__)

BEAT_S: Final = 0.2
QUIET_S: Final = 1.0
LINGER_S: Final = 6.0
"""A call that is over is shown for so long."""
STALE_S: Final = 5.0
"""Nothing was read for so long: what is shown may be old."""
LEASE_S: Final = 12.0
_RENEW_S: Final = 4.0
_MOST_WAITING: Final = 64
"""Messages for a page that does not keep up; then it begins anew from a snapshot."""

_hubs: sse.Hubs[uuid.UUID, tuple[int, int]] = sse.Hubs(
    lambda: sse.Hub(bus.live_channel, off_loop(read.positions))
)


class Page:
    """One open page: what it has still to be sent. `call_id` if it is that of one call."""

    def __init__(self, call_id: uuid.UUID | None = None) -> None:
        self.call_id = call_id
        self.behind = True
        """It begins, or begins anew, with a snapshot."""
        self.levels: str | None = None
        """The newest; older ones are of no use."""
        self._waiting: deque[str] = deque()
        self._news = asyncio.Event()

    def offer(self, message: str) -> None:
        if self.behind:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self.begin_anew()
            return
        self._waiting.append(message)
        self._news.set()

    def offer_levels(self, message: str) -> None:
        self.levels = message
        self._news.set()

    def begin_anew(self) -> None:
        self.behind = True
        self._waiting.clear()
        self._news.set()

    def take(self) -> list[str]:
        """What is to be sent now."""
        taken = list(self._waiting)
        self._waiting.clear()
        if self.levels is not None:
            taken.append(self.levels)
            self.levels = None
        return taken

    async def news(self, timeout_s: float) -> None:
        """Wait for something to send, or for `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        self._news.clear()


@dataclass(slots=True)
class _Reading:
    """What the rows say now."""

    live: list[read.Row]
    lines: dict[uuid.UUID, list[Line]]
    new: dict[uuid.UUID, Card] = field(default_factory=dict)


@off_loop
def _read(workspace_id: uuid.UUID, known: Mapping[uuid.UUID, int]) -> _Reading:
    live = read.rows(workspace_id)
    reading = _Reading(live, read.lines(workspace_id, known))
    unknown = {row.id: row.seq for row in live if row.id not in known}
    if unknown:
        first = read.first_lines(workspace_id, unknown)
        for call in read.calls(workspace_id, unknown):
            seq = unknown[call.pk]
            reading.new[call.pk] = Card(call, first.get(call.pk, []), seq)
    return reading


class Board:
    """Of one workspace, on one event loop."""

    def __init__(self, workspace_id: uuid.UUID) -> None:
        self._workspace_id = workspace_id
        self._pages: set[Page] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._over: dict[uuid.UUID, float] = {}
        """Calls that are over, and until when they are shown."""
        self._renew = asyncio.Event()
        self.cards: dict[uuid.UUID, Card] = {}
        self.ready = asyncio.Event()
        """The rows have been read, and can be."""
        self._read_at = 0.0

    @contextlib.contextmanager
    def watch(self, page: Page) -> Any:
        """The page is told of changes from here on."""
        self._pages.add(page)
        if not self._tasks:
            self._tasks = [asyncio.create_task(work) for work in (self._follow(), self._ask(), self._hear())]
        try:
            yield
        finally:
            self._pages.discard(page)
            if not self._pages:
                tasks, self._tasks = self._tasks, []
                for task in tasks:
                    task.cancel()
                self.ready.clear()
                self.cards.clear()
                self._over.clear()

    @property
    def is_fresh(self) -> bool:
        """What pages have been told is how it is; False also if the database just does not answer."""
        return self.ready.is_set() and time.monotonic() - self._read_at < STALE_S

    def snapshot(self) -> str:
        """All cards; what is offered afterwards goes on from here."""
        calls = [card.whole() for card in self.cards.values()]
        return _text({"type": "snapshot", "calls": calls})

    # --- rows ------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        with _hubs.here().watch(self._workspace_id) as watch:
            while True:
                began = time.monotonic()
                try:
                    known = {call_id: card.seq for call_id, card in self.cards.items()}
                    self._apply(await _read(self._workspace_id, known))
                    self._read_at = time.monotonic()
                    self.ready.set()
                except (
                    Exception
                ) as exc:  # the top of this task: without it pages would show old state as live
                    report = log.warning if isinstance(exc, DatabaseFault) else log.exception
                    report("live calls not read", error=type(exc).__name__)
                    self.ready.clear()
                    await asyncio.sleep(QUIET_S)
                    continue
                # What lingers has to go, and lines that were read a page at a time have a rest.
                await asyncio.sleep(max(0.0, BEAT_S - (time.monotonic() - began)))
                await watch.moved(QUIET_S)

    def _apply(self, reading: _Reading) -> None:
        now = time.monotonic()
        changed: list[dict[str, Any]] = []
        for call_id, lines in reading.lines.items():
            card = self.cards.get(call_id)
            if card is None:
                continue
            for line in lines:
                card.apply(line)
            if (change := card.take()) is not None:
                changed.append(change)
            self._tell_lines(call_id, lines)
        for call_id, card in reading.new.items():
            self.cards[call_id] = card
            changed.append(card.whole())
            self._renew.set()
        gone = self._gone({row.id for row in reading.live}, now)
        self._tell(changed, [str(one) for one in gone])

    def _tell(self, changed: list[dict[str, Any]], gone: list[str]) -> None:
        """Of all calls to those who see all, of one to those who see that."""
        message = _text({"type": "change", "calls": changed, "gone": gone}) if changed or gone else ""
        for page in self._pages:
            if page.call_id is None:
                if message:
                    page.offer(message)
                continue
            mine = [one for one in changed if one["id"] == str(page.call_id)]
            if mine or str(page.call_id) in gone:
                page.offer(_text({"type": "change", "calls": mine, "gone": gone}))

    def _tell_lines(self, call_id: uuid.UUID, lines: list[Line]) -> None:
        message = ""
        for page in self._pages:
            if page.call_id == call_id:
                message = message or lines_text(lines)
                page.offer(message)

    def _gone(self, live: set[uuid.UUID], now: float) -> list[uuid.UUID]:
        for call_id in self.cards:
            if call_id not in live:
                self._over.setdefault(call_id, now + LINGER_S)
        gone = [call_id for call_id, until in self._over.items() if now >= until]
        for call_id in gone:
            del self._over[call_id]
            self.cards.pop(call_id, None)
        return gone

    # --- levels ----------------------------------------------------------------------------------

    async def _ask(self) -> None:
        """Say that somebody watches, again and again, and at once when there is another call."""
        layer: Any = get_channel_layer()
        group = control.calls_group(self._workspace_id)
        while True:
            with contextlib.suppress(OSError, RedisError):
                await layer.group_send(group, control.message("watch", for_s=LEASE_S))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RENEW_S):
                    await self._renew.wait()
                await asyncio.sleep(QUIET_S)  # the call's media come up a moment after it was answered
            self._renew.clear()

    async def _hear(self) -> None:
        layer: Any = get_channel_layer()
        group = control.levels_group(self._workspace_id)
        while True:
            try:
                async with subscribed(layer, group) as name:
                    while True:
                        heard = await layer.receive(name)
                        self._tell_levels(heard.get("levels") or {})
            except (OSError, RedisError) as exc:
                log.warning("channel layer away", error=type(exc).__name__)
                await asyncio.sleep(QUIET_S)

    def _tell_levels(self, levels: dict[str, Any]) -> None:
        message = _text({"type": "levels", "levels": levels})
        for page in self._pages:
            if page.call_id is None or str(page.call_id) in levels:
                page.offer_levels(message)


@contextlib.asynccontextmanager
async def subscribed(layer: Any, group: str) -> Any:
    """A channel of our own in that group, for the body."""
    name = await layer.new_channel()
    try:
        await layer.group_add(group, name)
        yield name
    finally:
        with contextlib.suppress(OSError, RedisError):
            await layer.group_discard(group, name)


def lines_text(lines: list[Line]) -> str:
    """Lines of the journal as pages get them."""
    shown = [{"seq": one.seq, "type": one.type, "at_ms": one.at_ms, "data": one.data} for one in lines]
    return _text({"type": "lines", "lines": shown})


def _text(message: dict[str, Any]) -> str:
    return orjson.dumps(message, default=str).decode("utf-8")


_boards: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[uuid.UUID, Board]] = WeakKeyDictionary()


def board_of(workspace_id: uuid.UUID) -> Board:
    """The board of this workspace on the running loop."""
    boards = _boards.setdefault(asyncio.get_running_loop(), {})
    if workspace_id not in boards:
        boards[workspace_id] = Board(workspace_id)
    return boards[workspace_id]
