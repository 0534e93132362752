"""`pcm24k` both ways: 8 kHz µ-law of the phone <-> 24 kHz PCM16 of the model, as base64 texts.

Streaming: the filter's memory is carried from chunk to chunk, so that joints cannot be heard; one object
a direction and call. With `pcmu` on both sides none of this runs.
"""

import base64

import numpy as np
import soxr

from voice.wire import g711

PHONE_HZ = 8_000
MODEL_HZ = 24_000
_QUALITY = "MQ"
"""Flat over the telephone band, 15 ms of delay (HQ 21 ms, VHQ 38 ms)."""


class _Stream:
    """One direction of one call."""

    __slots__ = ("_in_hz", "_out_hz", "_soxr")

    def __init__(self, in_hz: int, out_hz: int) -> None:
        self._in_hz, self._out_hz = in_hz, out_hz
        self.clear()

    def clear(self) -> None:
        """Forget what is in the filter: the audio that follows does not continue the audio before."""
        self._soxr = soxr.ResampleStream(self._in_hz, self._out_hz, 1, dtype="int16", quality=_QUALITY)

    def _convert(self, pcm: bytes, *, last: bool) -> bytes:
        samples = np.frombuffer(pcm[: len(pcm) & ~1], dtype="<i2")
        out: bytes = self._soxr.resample_chunk(samples, last=last).astype("<i2", copy=False).tobytes()
        return out


class PhoneToModel(_Stream):
    """The caller's audio on its way to the model."""

    def __init__(self) -> None:
        super().__init__(PHONE_HZ, MODEL_HZ)

    def feed(self, payload: str) -> str:
        """Base64 µ-law in, base64 PCM16 out; may be empty while the filter fills. Input must be valid."""
        return base64.b64encode(
            self._convert(g711.mulaw_to_pcm16(base64.b64decode(payload)), last=False)
        ).decode("ascii")


class ModelToPhone(_Stream):
    """The agent's audio on its way to the caller."""

    __slots__ = ("_odd",)

    def __init__(self) -> None:
        self._odd = b""
        super().__init__(MODEL_HZ, PHONE_HZ)

    def clear(self) -> None:
        self._odd = b""
        super().clear()

    def feed(self, payload: str) -> tuple[str, float]:
        """Base64 PCM16 in; base64 µ-law and its milliseconds out. Half samples wait for the next chunk."""
        pcm = self._odd + base64.b64decode(payload)
        cut = len(pcm) & ~1
        self._odd = pcm[cut:]
        return self._out(self._convert(pcm[:cut], last=False))

    def flush(self) -> tuple[str, float]:
        """What the filter still holds at the end of an item; afterwards ready for the next item."""
        rest = self._out(self._convert(b"", last=True))
        self.clear()
        return rest

    @staticmethod
    def _out(pcm: bytes) -> tuple[str, float]:
        mulaw = g711.pcm16_to_mulaw(pcm)
        return base64.b64encode(mulaw).decode("ascii"), len(mulaw) / g711.BYTES_PER_MS
