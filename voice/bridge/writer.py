"""The call's own writer: whatever the machine wants kept is collected and written in threads.

The media path only appends to lists here. A database that is slow makes batches larger; one that is away
makes them wait, in bounded memory; the audio notices neither (promises.md R6, G5).
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from tenex.server import drain
from voice.bridge import tally, threads
from voice.bridge.rounds import WRITES_A_JOB, rounds_of
from voice.bridge.turn_order import TurnOrder
from voice.services import journal, live_store
from voice.services.live import CallContext
from voice.services.live_store import Batch, PlacedTurn, SessionChange
from voice.session.commands import Journal, StoreTurn

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 0.25
MAX_INTERVAL_S: Final = 1.0
_INTERVAL_PER_CALL_S: Final = 0.005
"""With many calls the batches come less often, so that writing does not take the audio's processor."""
MAX_WAITING_LINES: Final = 4000
_WORDS: Final = "transcript.delta"
_RETRY_S: Final = (0.25, 0.5, 1.0, 2.0)
FINISH_WAIT_S: Final = 30.0
"""How long the end of a call waits for a database that is away."""


class Store(Protocol):
    """Where batches go: `voice.services.live_store`, or a stand-in of a test."""

    def store(self, context: CallContext, batch: Batch) -> bool: ...
    def close_stream(self, context: CallContext, reason: str) -> None: ...
    def hint_end(self, context: CallContext, reason: str) -> None: ...


@dataclass(slots=True)
class _Waiting:
    """What is not written yet, the latest of each thing."""

    turns: dict[str, PlacedTurn]
    moved: dict[str, int]
    lines: list[journal.Line]
    sessions: dict[tuple[int, str], SessionChange]
    usage: dict[str, Any] | None = None
    latency: dict[str, Any] | None = None
    renew: bool = False

    @classmethod
    def nothing(cls) -> "_Waiting":
        return cls({}, {}, [], {})

    def __bool__(self) -> bool:
        return bool(
            self.turns
            or self.moved
            or self.lines
            or self.sessions
            or self.usage is not None
            or self.latency is not None
            or self.renew
        )


class CallWriter:
    """Owned by the event loop; only :meth:`_store_or_salvage` runs elsewhere."""

    def __init__(
        self,
        context: CallContext,
        on_lost: Callable[[], None],
        *,
        store: Store = live_store,
    ) -> None:
        self._context = context
        self._on_lost = on_lost
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._rounds = rounds_of(self._loop)
        self._place = self._rounds.next_place()
        self._order = TurnOrder(context.next_position)
        self._waiting = _Waiting.nothing()
        self._writing: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fails = 0
        self._finishing = False
        self.dropped_lines = 0
        self._lease_s = settings.CALL_LEASE_S / 3
        self._lease_timer = self._loop.call_later(self._lease_s, self._renew)

    # --- what is to be written: cheap, never blocks, never raises ------------------------------------

    def turn(self, turn: StoreTurn) -> None:
        position, moved = self._order.place(turn.item_id, turn.previous_item_id)
        waiting = self._waiting
        for item_id, place in moved.items():
            if item_id in waiting.turns:
                waiting.turns[item_id].position = place
            else:
                waiting.moved[item_id] = place
        known = waiting.turns.get(turn.item_id)
        if known is None or turn.revision >= known.turn.revision:
            waiting.turns[turn.item_id] = PlacedTurn(position, turn)
        if turn.status != "in_progress":
            self.line(Journal("turn.updated", {"position": position, **asdict(turn)}))
        self._touch()

    def line(self, line: Journal) -> None:
        lines = self._waiting.lines
        if line.type == _WORDS and lines and lines[-1].type == _WORDS:
            last = lines[-1].data
            if last["item_id"] == line.data["item_id"]:  # one row a write, however slow writing is
                last["text"] += line.data["text"]
                return
        if len(lines) >= MAX_WAITING_LINES:
            self.dropped_lines += 1
            return
        lines.append(journal.Line(line.type, line.data, timezone.now()))
        self._touch()

    def session(self, change: SessionChange) -> None:
        self._waiting.sessions[change.number, change.status] = change
        self._touch()

    def usage(self, usage: dict[str, Any]) -> None:
        self._waiting.usage = usage
        self._touch()

    def latency(self, latency: dict[str, Any]) -> None:
        self._waiting.latency = latency
        self._touch()

    def _renew(self) -> None:
        self._lease_timer = self._loop.call_later(self._lease_s, self._renew)
        self._waiting.renew = True
        self._touch()

    # --- writing -----------------------------------------------------------------------------------

    def _touch(self) -> None:
        """Write soon: at an instant that several calls share, so that one job in a thread writes for them.

        Not all of them: a thread that works for two hundred calls at once keeps the audio waiting for the
        interpreter as long.
        """
        if self._timer is None and self._writing is None:
            if self._fails:
                self._timer = self._loop.call_later(self._retry_s(), self._flush)
                return
            calls = drain.live_calls.count
            interval_s = min(MAX_INTERVAL_S, max(INTERVAL_S, calls * _INTERVAL_PER_CALL_S))
            groups = max(1, calls // WRITES_A_JOB)
            offset_s = self._place % groups * interval_s / groups
            begun = (self._loop.time() - offset_s) // interval_s
            self._timer = self._loop.call_at((begun + 1) * interval_s + offset_s, self._flush)

    def _retry_s(self) -> float:
        return _RETRY_S[min(self._fails, len(_RETRY_S)) - 1]

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None or not self._waiting:
            return
        taken, self._waiting = self._waiting, _Waiting.nothing()
        batch = Batch(
            turns=list(taken.turns.values()),
            moved=taken.moved,
            lines=taken.lines,
            sessions=list(taken.sessions.values()),
            usage=taken.usage,
            latency=taken.latency,
            renew=taken.renew,
        )
        self._writing = self._rounds.write(self._context, batch, lambda: self._store_or_salvage(batch))
        self._writing.add_done_callback(lambda done: self._on_written(done, taken))

    def _store_or_salvage(self, batch: Batch) -> bool:
        """In a thread. One transaction; if its content is refused, piece by piece."""
        try:
            return self._store.store(self._context, batch)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("call data refused, writing piece by piece", call_id=str(self._context.call_id))
        pieces = [Batch(turns=[turn]) for turn in batch.turns]
        pieces += [Batch(lines=[line]) for line in batch.lines]
        pieces += [Batch(sessions=[change]) for change in batch.sessions]
        pieces.append(Batch(moved=batch.moved, usage=batch.usage, latency=batch.latency))
        for piece in pieces:
            try:
                self._store.store(self._context, piece)
            except (OperationalError, InterfaceError):
                raise
            except Exception as exc:  # one bad piece must not cost the others
                tally.data_lost.inc()
                log.error(
                    "piece of call data lost", call_id=str(self._context.call_id), error=type(exc).__name__
                )
        return self._store.store(self._context, Batch(renew=batch.renew))

    def _on_written(self, done: "asyncio.Future[bool]", taken: _Waiting) -> None:
        self._writing = None
        if done.cancelled() or done.exception() is not None:
            self._fails += 1
            tally.data_kept.inc()
            self._take_back(taken)
            if self._fails in {1, 10, 100}:
                error = type(done.exception()).__name__ if not done.cancelled() else "cancelled"
                log.warning(
                    "call data not written, kept",
                    call_id=str(self._context.call_id),
                    error=error,
                    tries=self._fails,
                )
        else:
            self._fails = 0
            if not done.result() and not self._finishing:
                self._on_lost()
        if self._waiting:
            self._touch()

    def _take_back(self, old: _Waiting) -> None:
        """Put a batch that was not written before what came since."""
        new = self._waiting
        self._waiting = _Waiting(
            turns={**old.turns, **new.turns},
            moved={**old.moved, **new.moved},
            lines=(old.lines + new.lines)[:MAX_WAITING_LINES],
            sessions={**old.sessions, **new.sessions},
            usage=new.usage if new.usage is not None else old.usage,
            latency=new.latency if new.latency is not None else old.latency,
            renew=old.renew or new.renew,
        )
        self.dropped_lines += max(0, len(old.lines) + len(new.lines) - MAX_WAITING_LINES)

    # --- the end -----------------------------------------------------------------------------------

    async def finish(self, reason: str) -> bool:
        """Write everything, then give the call back; False if the database stayed away too long."""
        self._finishing = True
        self._lease_timer.cancel()
        deadline = self._loop.time() + FINISH_WAIT_S
        while self._waiting or self._writing is not None:
            self._flush()
            if self._writing is not None:
                await asyncio.wait({self._writing}, timeout=max(0.0, deadline - self._loop.time()))
                await asyncio.sleep(0)  # its callback
            if self._loop.time() >= deadline:
                return self._give_up(reason)
            if self._fails:
                await asyncio.sleep(self._retry_s())
        while True:
            try:
                await self._loop.run_in_executor(threads.writers(), self._close, reason)
                return True
            except Exception as exc:
                if self._loop.time() >= deadline:
                    return self._give_up(reason)
                log.warning(
                    "end of call not written", call_id=str(self._context.call_id), error=type(exc).__name__
                )
                await asyncio.sleep(_RETRY_S[-1])

    def _close(self, reason: str) -> None:
        threads.with_kept_connection(lambda: self._store.close_stream(self._context, reason))

    def _give_up(self, reason: str) -> bool:
        if self._timer is not None:
            self._timer.cancel()
        tally.data_lost.inc()
        log.error(
            "call data lost: the database was away",
            call_id=str(self._context.call_id),
            reason=reason,
            turns=len(self._waiting.turns),
            lines=len(self._waiting.lines),
        )
        return False


def add_usage(total: dict[str, Any], usage: dict[str, Any]) -> None:
    """Add the numbers of one `response.done` to `total`, member by member; anything else is passed over."""
    for key, value in usage.items():
        if isinstance(value, dict):
            part = total.setdefault(key, {})
            if isinstance(part, dict):
                add_usage(part, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            before = total.get(key, 0)
            if isinstance(before, int | float):
                total[key] = before + value
