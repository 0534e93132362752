"""µ-law (ITU-T G.711) by two numpy tables; Python 3.13 has no audioop any more."""

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
FRAME_MS = 20
FRAME_BYTES = 160
BYTES_PER_MS = 8
SILENCE = 0xFF
SILENT_FRAME = bytes([SILENCE]) * FRAME_BYTES

_BIAS = 0x84
_CLIP = 32635


def _decode_table() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + _BIAS) << ((code >> 4) & 7)
    return np.where(code & 0x80, _BIAS - magnitude, magnitude - _BIAS).astype(np.int16)


def _encode_table() -> NDArray[np.uint8]:
    sample = np.arange(-32768, 32768, dtype=np.int32)
    sign = np.where(sample < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(sample), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    code: NDArray[np.uint8] = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return code


_DECODE = _decode_table()
_ENCODE = _encode_table()


def encode(pcm: NDArray[np.int16]) -> bytes:
    """16-bit samples to one byte each."""
    return _ENCODE[pcm.astype(np.int32) + 32768].tobytes()


def decode(data: bytes) -> NDArray[np.int16]:
    """One byte each to 16-bit samples."""
    return _DECODE[np.frombuffer(data, dtype=np.uint8)]


def tone(hz: float, ms: int, level: float = 0.4) -> bytes:
    """A pure tone, `level` of full scale."""
    at = np.arange(ms * BYTES_PER_MS, dtype=np.float64) / RATE_HZ
    return encode(np.round(level * 32_767 * np.sin(2 * np.pi * hz * at)).astype(np.int16))
