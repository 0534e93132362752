"""Writes of all live calls that are due at the same moment, as few jobs in threads.

A job of its own for each call and moment costs more in handing over than the write itself.
"""

import asyncio
import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import structlog
from django.db import InterfaceError, OperationalError

from voice.bridge import threads
from voice.services import live_store
from voice.services.live import CallContext
from voice.services.live_store import Batch

log = structlog.get_logger(__name__)

WRITES_A_JOB: Final = 16


@dataclass(slots=True, eq=False)
class _Write:
    """One call's share of a round."""

    context: CallContext
    batch: Batch
    alone: Callable[[], bool]
    done: "asyncio.Future[bool]"


class Rounds:
    """Of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[_Write] = []
        self._places = itertools.count()

    def next_place(self) -> int:
        """Of a call among the calls of this loop: it tells with which others it writes."""
        return next(self._places)

    def write(self, context: CallContext, batch: Batch, alone: Callable[[], bool]) -> "asyncio.Future[bool]":
        """Write `batch` in a thread with whatever else is given now; the answer is `live_store.store`'s.

        `alone` writes it by itself, if it cannot be written together with the others. Readers of the call's
        journal are told of new lines afterwards.
        """
        if not self._due:
            self._loop.call_soon(self._start)
        write = _Write(context, batch, alone, self._loop.create_future())
        self._due.append(write)
        return write.done

    def _start(self) -> None:
        due, self._due = self._due, []
        size = max(WRITES_A_JOB, -(-len(due) // threads.WRITER_THREADS))
        for first in range(0, len(due), size):
            threads.writers().submit(self._run, due[first : first + size])

    def _run(self, job: list[_Write]) -> None:
        """In a thread: together what can be. What cannot is written beside it, each call by itself."""
        if len(job) == 1:
            self._one_by_one(job, threads.with_kept_connection)
            return
        # A call whose stream was taken over within this process has two writers for a moment.
        firsts = list({write.context.call_id: write for write in reversed(job)}.values())
        written = self._together(firsts)
        done = [write for write in firsts if write.context.call_id in written]
        left: dict[uuid.UUID, list[_Write]] = {}
        for write in job:
            if write not in done:
                left.setdefault(write.context.call_id, []).append(write)
        for writes in left.values():
            try:
                threads.stragglers().submit(self._one_by_one, writes, threads.with_connection)
            except RuntimeError:  # the process ends, no thread takes any more
                self._one_by_one(writes, threads.with_connection)
        if done:
            self._answer(done, [written[write.context.call_id] for write in done])

    def _one_by_one(self, writes: list[_Write], connected: Callable[[Callable[[], bool]], bool]) -> None:
        """In a thread: one that fails fails alone."""
        results: list[bool | Exception] = []
        for write in writes:
            try:
                results.append(connected(write.alone))
            except Exception as exc:
                results.append(exc)
        self._answer(writes, results)

    def _answer(self, writes: list[_Write], results: list[bool | Exception]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver, writes, results)
        except RuntimeError:  # the loop is gone: the process ends
            log.info("call data was written after the end")
        live_store.ring([write.context for write in writes if write.batch.lines])

    @staticmethod
    def _together(job: list[_Write]) -> dict[uuid.UUID, bool]:
        writes = [(write.context, write.batch) for write in job]
        try:
            return threads.with_kept_connection(lambda: live_store.store_many(writes))
        except Exception as exc:  # whose fault it was shows when each is written by itself
            if not isinstance(exc, OperationalError | InterfaceError):
                log.warning("calls are written one by one", calls=len(writes), error=type(exc).__name__)
            return {}

    @staticmethod
    def _deliver(writes: list[_Write], results: list[bool | Exception]) -> None:
        for write, result in zip(writes, results, strict=True):
            if write.done.done():
                continue
            if isinstance(result, Exception):
                write.done.set_exception(result)
            else:
                write.done.set_result(result)


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Rounds] = WeakKeyDictionary()


def rounds_of(loop: asyncio.AbstractEventLoop) -> Rounds:
    """The rounds of this loop."""
    if loop not in _loops:
        _loops[loop] = Rounds(loop)
    return _loops[loop]
