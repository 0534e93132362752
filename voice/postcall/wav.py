"""Reading and shortening WAV files. Pure. The standard library's `wave` refuses mu-law."""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

_FORMATS = {1: "pcm", 6: "alaw", 7: "mulaw", 0xFFFE: "extensible"}
_UNKNOWN_LENGTHS = (0, 0xFFFFFFFF)


class NotWav(ValueError):
    """The file is not the audio that was promised."""


@dataclass(frozen=True, slots=True)
class WavInfo:
    channels: int
    sample_rate_hz: int
    duration_ms: int
    encoding: str
    data_at: int = 0
    """Where the audio begins, in bytes from the start of the file."""
    bytes_per_s: int = 0
    block_bytes: int = 1
    """Of one sample of all channels."""
    data_bytes: int = field(default=0, compare=False)
    """Of the audio."""
    missing_bytes: int = field(default=0, compare=False)
    """By so much the file is shorter than its header says."""


def read_header(file: BinaryIO, size_bytes: int) -> WavInfo:
    """What a WAV file of `size_bytes` holds; `file` is read from where it stands.

    A data length of 0 or 2**32-1 (written by streaming encoders) and one that is longer than the file mean:
    up to the end.

    Raises:
        NotWav: no RIFF/WAVE header, no format or no data in it, or an unknown encoding.
    """
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise NotWav("no RIFF/WAVE header")
    position = 12
    layout: tuple[int, int, int, int, str] | None = None
    while True:
        header = file.read(8)
        if len(header) < 8:
            raise NotWav("no audio data")
        name, length = struct.unpack("<4sI", header)
        position += 8
        if name == b"fmt ":
            layout = _layout(file.read(min(length, 16)))
            file.seek(max(0, length - 16), 1)
        elif name == b"data":
            return _info(layout, length, size_bytes - position, position)
        else:
            file.seek(length, 1)
        if length % 2:  # chunks are padded to even lengths
            file.seek(1, 1)
        position += length + length % 2
        if position >= size_bytes:
            raise NotWav("no audio data")


def _layout(chunk: bytes) -> tuple[int, int, int, int, str]:
    if len(chunk) < 16:
        raise NotWav("the format chunk is too short")
    code, channels, rate, bytes_per_s, block, _ = struct.unpack("<HHIIHH", chunk[:16])
    if code not in _FORMATS or not 1 <= channels <= 8 or not rate or not bytes_per_s:
        raise NotWav("an encoding that we do not know")
    return channels, rate, bytes_per_s, max(1, block), _FORMATS[code]


def _info(layout: tuple[int, int, int, int, str] | None, length: int, rest: int, at: int) -> WavInfo:
    if layout is None:
        raise NotWav("data before the format")
    channels, rate, bytes_per_s, block, encoding = layout
    audio = rest if length in _UNKNOWN_LENGTHS or length > rest else length
    if audio <= 0:
        raise NotWav("no audio data")
    missing = 0 if length in _UNKNOWN_LENGTHS else max(0, length - rest)
    return WavInfo(
        channels, rate, audio * 1000 // bytes_per_s, encoding, at, bytes_per_s, block, audio, missing
    )


def shorten(file: BinaryIO, info: WavInfo, keep_ms: int) -> int:
    """Cut the audio of an open file behind its first `keep_ms`; the new size in bytes.

    Lengths in the header are set right, and whatever came behind the audio is gone too.
    """
    audio = keep_ms * info.bytes_per_s // 1000 // info.block_bytes * info.block_bytes
    size = info.data_at + audio
    file.truncate(size)
    for at, length in ((4, size - 8), (info.data_at - 4, audio)):
        file.seek(at)
        file.write(struct.pack("<I", length))
    return size
