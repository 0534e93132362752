"""Where blocking work of live calls runs: never on the event loop, never in the pool that Django shares.

Database writes have a few threads of their own, so that a slow tool cannot hold up the journal. Tools and
carrier requests get a daemon thread each: one that hangs for ever hinders neither others nor our end.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

import structlog
from django.db import close_old_connections, connection

from tenex.errors import Unavailable

log = structlog.get_logger(__name__)

WRITER_THREADS: Final = 4
_OPENER_THREADS: Final = 4
MAX_JOBS: Final = 64
"""Tools and carrier requests that run at a time in this process, hung ones included."""

_jobs = threading.BoundedSemaphore(MAX_JOBS)


class TooBusy(Unavailable):
    code = "too_busy"


@cache
def writers() -> ThreadPoolExecutor:
    """For the journal, transcript and leases of live calls."""
    return ThreadPoolExecutor(WRITER_THREADS, thread_name_prefix="call-writer")


@cache
def openers() -> ThreadPoolExecutor:
    """For opening media streams."""
    return ThreadPoolExecutor(_OPENER_THREADS, thread_name_prefix="call-opener")


@cache
def stragglers() -> ThreadPoolExecutor:
    """For writes that may wait for a row which somebody holds: the other writes go on beside them."""
    return ThreadPoolExecutor(WRITER_THREADS, thread_name_prefix="call-straggler")


def shut_down() -> None:
    """Wait for what runs, give back the database connections, end the threads. They start again if needed."""
    for pool, size in ((writers, WRITER_THREADS), (openers, _OPENER_THREADS)):
        if not pool.cache_info().currsize:
            continue
        executor = pool()
        pool.cache_clear()
        together = threading.Barrier(size)

        def close(together: threading.Barrier = together) -> None:
            together.wait(10)  # so that each thread takes one of these
            connection.close()

        for _ in range(size):
            executor.submit(close)
        executor.shutdown(wait=True)
    if stragglers.cache_info().currsize:  # after the writers, who give them work; they keep no connection
        executor = stragglers()
        stragglers.cache_clear()
        executor.shutdown(wait=True)


def with_connection[T](work: Callable[[], T]) -> T:
    """Run `work` with a database connection that is good, and give it back afterwards."""
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()


def with_kept_connection[T](work: Callable[[], T]) -> T:
    """The same for a thread that writes all the time: its connection stays open until something fails.

    Taking one out of the pool and trying it costs more than most of the writes.
    """
    try:
        return work()
    except BaseException:
        connection.close()
        raise


def run[T](
    loop: asyncio.AbstractEventLoop,
    name: str,
    work: Callable[[], T],
    done: Callable[[T | BaseException], None],
) -> None:
    """Run `work` in a thread; `done` is called on the loop with its result or what it raised.

    Raises:
        TooBusy: `MAX_JOBS` are running.
    """
    if not _jobs.acquire(blocking=False):
        raise TooBusy("too many jobs of live calls are running")

    def body() -> None:
        result: T | BaseException
        try:
            result = with_connection(work)
        except BaseException as exc:  # handed over, whatever it is
            result = exc
        finally:
            _jobs.release()
        try:
            loop.call_soon_threadsafe(done, result)
        except RuntimeError:  # the loop is gone: the process ends
            log.info("result of a job came after the end", job=name)

    threading.Thread(target=body, name=name, daemon=True).start()
