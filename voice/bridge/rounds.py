"""Writes of all live calls that are due at the same moment, as few jobs in threads.

A job of its own for each call and moment costs more in handing over than the write itself.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import structlog

from voice.bridge import threads
from voice.services import live_store
from voice.services.live import CallContext

log = structlog.get_logger(__name__)

_WRITES_A_JOB: Final = 8


@dataclass(slots=True)
class _Write:
    """One call's share of a round."""

    context: CallContext
    work: Callable[[], bool]
    has_lines: bool
    done: "asyncio.Future[bool]"


class Rounds:
    """Of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[_Write] = []

    def write(
        self, context: CallContext, work: Callable[[], bool], *, has_lines: bool
    ) -> "asyncio.Future[bool]":
        """Run `work` in a thread with whatever else is asked for now; the answer is its result.

        With `has_lines` the readers of the call's journal are told afterwards.
        """
        if not self._due:
            self._loop.call_soon(self._start)
        write = _Write(context, work, has_lines, self._loop.create_future())
        self._due.append(write)
        return write.done

    def _start(self) -> None:
        due, self._due = self._due, []
        size = max(_WRITES_A_JOB, -(-len(due) // threads.WRITER_THREADS))
        for first in range(0, len(due), size):
            threads.writers().submit(self._run, due[first : first + size])

    def _run(self, job: list[_Write]) -> None:
        """In a thread: one after the other, each in its own transaction; one that fails fails alone."""
        results: list[bool | Exception] = []
        for write in job:
            try:
                results.append(threads.with_kept_connection(write.work))
            except Exception as exc:
                results.append(exc)
        live_store.ring([write.context for write in job if write.has_lines])
        try:
            self._loop.call_soon_threadsafe(self._deliver, job, results)
        except RuntimeError:  # the loop is gone: the process ends
            log.info("call data was written after the end")

    @staticmethod
    def _deliver(job: list[_Write], results: list[bool | Exception]) -> None:
        for write, result in zip(job, results, strict=True):
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
