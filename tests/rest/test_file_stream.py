"""A file as an answer: whole, in blocks, and closed whatever becomes of the answer."""

import io
import os
import tempfile

from tenex.rest import file_stream
from tests.streamed import whole


def test_a_file_is_sent_whole_in_blocks_and_closed() -> None:
    raw = os.urandom(3 * file_stream.BLOCK_BYTES + 7)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
    file.write(raw)
    answer = file_stream.response(file, name="a.zip", content_type="application/zip")
    assert answer["Content-Length"] == str(len(raw))
    assert answer["Content-Disposition"] == 'attachment; filename="a.zip"'
    assert whole(answer) == raw
    assert file.closed


def test_no_more_than_a_block_is_read_at_once() -> None:
    asked: list[int] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size or 0)
            return super().read(size)

    raw = b"x" * (2 * file_stream.BLOCK_BYTES)
    assert whole(file_stream.response(Watched(raw), name="a", content_type="text/plain")) == raw
    assert asked == [file_stream.BLOCK_BYTES] * 3


def test_an_answer_that_nobody_reads_closes_its_file() -> None:
    file = io.BytesIO(b"x")
    answer = file_stream.response(file, name="a", content_type="text/plain")
    for close in answer._resource_closers:  # type: ignore[attr-defined]
        close()
    assert file.closed
