"""Blocking work of async views: a few threads of their own, no database connection kept between calls."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps

from asgiref.sync import sync_to_async
from django.db import close_old_connections

_THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="off-loop")


def off_loop[**P, R](work: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """`work` as a coroutine function that runs in our threads.

    Django's own per-request thread would hold a connection as long as the request lives, and a stream lives
    for the length of a call: here the connection goes back to the pool after each piece of work.
    """

    @wraps(work)
    def in_thread(*args: P.args, **kwargs: P.kwargs) -> R:
        close_old_connections()
        try:
            return work(*args, **kwargs)
        finally:
            close_old_connections()

    run: Callable[P, Awaitable[R]] = sync_to_async(in_thread, thread_sensitive=False, executor=_THREADS)
    return run
