"""Reading the header of a WAV file. Pure. The standard library's `wave` refuses mu-law."""

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
    bytes_per_s: int = field(default=0, compare=False)
    data_bytes: int = field(default=0, compare=False)
    """Of the audio, which begins where the file stands after :func:`read_header`."""


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
    layout: tuple[int, int, int, str] | None = None
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
            return _info(layout, length, size_bytes - position)
        else:
            file.seek(length, 1)
        if length % 2:  # chunks are padded to even lengths
            file.seek(1, 1)
        position += length + length % 2
        if position >= size_bytes:
            raise NotWav("no audio data")


def _layout(chunk: bytes) -> tuple[int, int, int, str]:
    if len(chunk) < 16:
        raise NotWav("the format chunk is too short")
    code, channels, rate, bytes_per_s, _, _ = struct.unpack("<HHIIHH", chunk[:16])
    if code not in _FORMATS or not 1 <= channels <= 8 or not rate or not bytes_per_s:
        raise NotWav("an encoding that we do not know")
    return channels, rate, bytes_per_s, _FORMATS[code]


def _info(layout: tuple[int, int, int, str] | None, length: int, rest: int) -> WavInfo:
    if layout is None:
        raise NotWav("data before the format")
    channels, rate, bytes_per_s, encoding = layout
    audio = rest if length in _UNKNOWN_LENGTHS or length > rest else length
    if audio <= 0:
        raise NotWav("no audio data")
    return WavInfo(channels, rate, audio * 1000 // bytes_per_s, encoding, bytes_per_s, audio)
