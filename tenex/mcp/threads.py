"""Database work of MCP calls: threads of their own, so that live streams never wait behind a big batch."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from tenex.rest.off_loop import off_loop

_THREADS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="mcp")


def in_thread[**P, R](work: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """As :func:`tenex.rest.off_loop.off_loop`: each piece of work gives its database connection back."""
    return off_loop(work, threads=_THREADS)
