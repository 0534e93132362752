"""The bytes of an answer that is streamed by a coroutine, for tests that run in no event loop."""

from typing import Any

from asgiref.sync import async_to_sync


def whole(answer: Any) -> bytes:
    """All of it; what the answer holds is closed, as a server does (the test's own connection is not)."""

    async def read() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    try:
        return async_to_sync(read)()
    finally:
        for close in answer._resource_closers:
            close()
