"""G.711 arithmetic and tables (ITU-T G.711), without numpy.

Telephone audio is 8,000 samples a second, one byte a sample, so 8 bytes are a millisecond. The length of
a base64 text tells its duration without decoding: that is all the pass-through path needs.
"""

import sys
from array import array
from math import log10
from typing import Final

BYTES_PER_MS: Final = 8
"""µ-law and A-law at 8 kHz."""
PCM24K_BYTES_PER_MS: Final = 48
"""Signed 16-bit mono at 24 kHz."""
MULAW_SILENCE: Final = 0xFF

_BIAS = 0x84
_CLIP = 32_635


def base64_bytes(text: str) -> int:
    """Number of bytes that the padded base64 `text` stands for, without decoding it."""
    size = len(text) // 4 * 3
    if text.endswith("=="):
        return size - 2
    return size - 1 if text.endswith("=") else size


def base64_ms(text: str, bytes_per_ms: int = BYTES_PER_MS) -> float:
    """Duration in milliseconds of base64 audio."""
    return base64_bytes(text) / bytes_per_ms


def _expand(code: int) -> int:
    """One µ-law byte to a signed 16-bit sample."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + _BIAS) << ((code & 0x70) >> 4)
    return _BIAS - magnitude if code & 0x80 else magnitude - _BIAS


def _compress(sample: int) -> int:
    """One signed 16-bit sample to a µ-law byte."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _CLIP) + _BIAS
    exponent = magnitude.bit_length() - 8
    return ~(sign | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0F)) & 0xFF


def _expand_alaw(code: int) -> int:
    """One A-law byte to a signed 16-bit sample."""
    code ^= 0x55
    exponent = (code & 0x70) >> 4
    magnitude = ((code & 0x0F) << 4) + 8
    if exponent:
        magnitude = (magnitude + 0x100) << (exponent - 1)
    return magnitude if code & 0x80 else -magnitude


def _split(samples: list[int]) -> tuple[bytes, bytes]:
    """Two translate tables: low and high byte of each code's sample."""
    return bytes(s & 0xFF for s in samples), bytes((s >> 8) & 0xFF for s in samples)


_MULAW_LOW, _MULAW_HIGH = _split([_expand(code) for code in range(256)])
_ALAW_LOW, _ALAW_HIGH = _split([_expand_alaw(code) for code in range(256)])
_ENCODE = bytes(_compress(word - 0x10000 if word & 0x8000 else word) for word in range(0x10000))
"""µ-law code by the unsigned 16-bit pattern of a sample."""


def _level(code: int) -> int:
    """How loud a µ-law byte is: 0 (60 dB under full scale, and less) to 100."""
    size = abs(_expand(code))
    return round(min(100.0, max(0.0, 100 + 100 / 60 * 20 * log10(size / 32_124)))) if size else 0


LEVELS: Final = bytes(_level(code) for code in range(256))
"""Translate table."""


def _interleave(low: bytes, high: bytes) -> bytes:
    pcm = bytearray(2 * len(low))
    pcm[0::2] = low
    pcm[1::2] = high
    return bytes(pcm)


def mulaw_to_pcm16(mulaw: bytes) -> bytes:
    """µ-law bytes to signed 16-bit little-endian samples."""
    return _interleave(mulaw.translate(_MULAW_LOW), mulaw.translate(_MULAW_HIGH))


def alaw_to_pcm16(alaw: bytes) -> bytes:
    """A-law bytes to signed 16-bit little-endian samples."""
    return _interleave(alaw.translate(_ALAW_LOW), alaw.translate(_ALAW_HIGH))


def pcm16_to_mulaw(pcm: bytes) -> bytes:
    """Signed 16-bit little-endian samples to µ-law bytes; an odd last byte is dropped."""
    words = array("H", pcm[: len(pcm) & ~1])
    if sys.byteorder == "big":
        words.byteswap()
    return bytes(map(_ENCODE.__getitem__, words))


_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def is_base64(text: str) -> bool:
    """Whether `text` is non-empty canonical base64 with padding (RFC 4648, 4), checked without decoding.

    What passes may be written into a JSON text as it stands: it holds no quote and no backslash.
    """
    size = len(text)
    if size == 0 or size & 3 or not text.isascii():
        return False
    rest = text.encode("ascii").translate(None, _ALPHABET)
    return not rest or (rest == b"=" and text[-1] == "=") or (rest == b"==" and text.endswith("=="))
