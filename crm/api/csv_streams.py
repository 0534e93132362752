"""CSV answers that are made while they are read: a portion of rows in memory, each portion one query."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from django.http import StreamingHttpResponse

from tenex.lib.csv_cells import lines
from tenex.rest import sse

PORTION_ROWS = 500

type Portion[Place] = tuple[list[list[Any]], Place | None]
"""Rows, and where the next portion begins (None: that was the last)."""


def response[Place](
    header: Sequence[str],
    read: Callable[[Place | None], Awaitable[Portion[Place]]],
    *,
    file_name: str,
) -> StreamingHttpResponse:
    """The answer; `read` gives the portion that begins at a place (None: the first). Slow readers are cut."""
    return StreamingHttpResponse(
        sse.cut_slow_reader(_chunks(header, read)),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{file_name}"',
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        },
    )


async def _chunks[Place](
    header: Sequence[str], read: Callable[[Place | None], Awaitable[Portion[Place]]]
) -> AsyncIterator[bytes]:
    yield lines([header])
    place: Place | None = None
    while True:
        rows, place = await read(place)
        if rows:
            yield lines(rows)
        if place is None:
            return
