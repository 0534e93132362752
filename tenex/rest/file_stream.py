"""A file as an answer: read in threads while it is sent, a block in memory at a time."""

import os
from collections.abc import AsyncIterator
from typing import BinaryIO, Final

from django.http import StreamingHttpResponse

from tenex.rest import sse
from tenex.rest.off_loop import off_loop

BLOCK_BYTES: Final = 256 * 1024


def response(file: BinaryIO, *, name: str, content_type: str) -> StreamingHttpResponse:
    """An attachment of the whole `file`, which is closed with the answer. Slow readers are cut."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return StreamingHttpResponse(
        _Blocks(file),
        content_type=content_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(size),
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        },
    )


class _Blocks:
    """With a `close`, which Django calls at the end of every answer, also of one that was not read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __aiter__(self) -> AsyncIterator[bytes]:
        return sse.cut_slow_reader(self._read())

    async def _read(self) -> AsyncIterator[bytes]:
        read = off_loop(self._file.read)
        while block := await read(BLOCK_BYTES):
            yield block

    def close(self) -> None:
        self._file.close()
