"""Blocking work of async views: a few threads of their own, no database connection kept between calls."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps

from asgiref.sync import sync_to_async
from django.db import close_old_connections

_THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="off-loop")


def off_loop[**P, R](
    work: Callable[P, R], *, threads: ThreadPoolExecutor = _THREADS
) -> Callable[P, Awaitable[R]]:
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

    run: Callable[P, Awaitable[R]] = sync_to_async(in_thread, thread_sensitive=False, executor=threads)
    return run


class Shared[**P, R]:
    """A read that callers of one moment share: two hundred readers of a call that are woken ask once.

    A caller only joins a read that has not begun, so what it gets is not older than its question.
    """

    def __init__(self, read: Callable[P, Awaitable[R]]) -> None:
        self._read = read
        self._waiting: dict[object, asyncio.Task[R]] = {}

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        key = (asyncio.get_running_loop(), args)
        task = self._waiting.get(key)
        if task is None:
            task = asyncio.create_task(self._begin(key, *args, **kwargs))
            self._waiting[key] = task
        return await asyncio.shield(task)  # whoever leaves must not take the others' answer along

    async def _begin(self, key: object, *args: P.args, **kwargs: P.kwargs) -> R:
        await asyncio.sleep(0)
        del self._waiting[key]
        return await self._read(*args, **kwargs)
