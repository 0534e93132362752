"""Sound on its way in: what was appended, in 20 ms frames of 8 kHz PCM for the voice detector.

µ-law and A-law are decoded by byte tables (ITU-T G.711), so that a frame costs microseconds; 24 kHz PCM is
brought down to 8 kHz by averaging, which is good enough to hear *that* somebody speaks.
"""

from array import array
from collections.abc import Iterator

BYTES_PER_MS = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}
FRAME_MS = 20
FRAME_SAMPLES = 160


def ulaw_decode(code: int) -> int:
    """Linear PCM16 value of a µ-law byte."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    return 0x84 - magnitude if code & 0x80 else magnitude - 0x84


def alaw_decode(code: int) -> int:
    """Linear PCM16 value of an A-law byte."""
    code ^= 0x55
    magnitude = (code & 0x0F) << 4
    segment = (code & 0x70) >> 4
    magnitude = magnitude + 8 if segment == 0 else (magnitude + 0x108) << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


class _ByteLaw:
    """A companding law as three 256-byte tables: low byte, high byte, and loudness (|sample| / 128)."""

    __slots__ = ("high", "loud", "low")

    def __init__(self, samples: list[int]) -> None:
        self.low = bytes(value & 0xFF for value in samples)
        self.high = bytes((value >> 8) & 0xFF for value in samples)
        self.loud = bytes(min(255, abs(value) >> 7) for value in samples)


_LAWS = {
    "audio/pcmu": _ByteLaw([ulaw_decode(code) for code in range(256)]),
    "audio/pcma": _ByteLaw([alaw_decode(code) for code in range(256)]),
}

type Frame = tuple[bytes, float]
"""320 bytes of 8 kHz PCM16 and the mean loudness |sample| / 128 of the frame (0 … 255)."""


class Framer:
    """Cuts a byte stream of one audio format into 20 ms frames; keeps the remainder for the next append."""

    __slots__ = ("_format", "_rest", "frame_bytes")

    def __init__(self, audio_format: str) -> None:
        self._format = audio_format
        self._rest = b""
        self.frame_bytes = BYTES_PER_MS[audio_format] * FRAME_MS

    def push(self, data: bytes) -> Iterator[Frame]:
        """The whole frames that `data` completes, oldest first."""
        if self._rest:
            data = self._rest + data
        size = self.frame_bytes
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        for start in range(0, whole, size):
            yield self._decode(data[start : start + size])

    def _decode(self, chunk: bytes) -> Frame:
        law = _LAWS.get(self._format)
        if law is not None:
            pcm = bytearray(2 * FRAME_SAMPLES)
            pcm[0::2] = chunk.translate(law.low)
            pcm[1::2] = chunk.translate(law.high)
            return bytes(pcm), sum(chunk.translate(law.loud)) / FRAME_SAMPLES
        wide = array("h", chunk)
        narrow = array(
            "h", [(a + b + c) // 3 for a, b, c in zip(wide[0::3], wide[1::3], wide[2::3], strict=True)]
        )
        return narrow.tobytes(), sum(map(abs, narrow)) / (128 * FRAME_SAMPLES)
