"""CSV that streams, and that a spreadsheet reads as text.

A cell that begins like a formula is shown with an apostrophe before it: programs that open the file would run
it otherwise, and what callers say and leads are called is somebody else's text (promises.md H4).
"""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

from django.http import StreamingHttpResponse

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

type Row = Sequence[object]


def cell(value: object) -> str:
    """`value` as the text of one cell; None is empty. Numbers and booleans are never formulas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = str(value).replace("\x00", "")
    return f"'{text}" if text.startswith(_FORMULA) else text


def lines(rows: Iterable[Row]) -> bytes:
    """RFC 4180 lines of `rows`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerows([cell(value) for value in row] for row in rows)
    return buffer.getvalue().encode()


def response[Position](
    header: Sequence[str],
    portion: Callable[[Position | None], Awaitable[tuple[list[Row], Position | None]]],
    *,
    name: str,
) -> StreamingHttpResponse:
    """An attachment. `portion(None)` gives the first rows and where the next ones begin, None at the end.

    Only one portion is in memory, and the next one is read when the peer has taken it.
    """

    async def chunks() -> AsyncIterator[bytes]:
        yield lines([header])
        at: Position | None = None
        while True:
            rows, at = await portion(at)
            if rows:
                yield lines(rows)
            if at is None:
                return

    return StreamingHttpResponse(
        chunks(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"},
    )
