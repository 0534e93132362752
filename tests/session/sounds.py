"""Frames of the telephone for the machine's own ear: what a person, a machine or a fax sounds like."""

import base64
import math

from voice.wire import g711

SILENCE = base64.b64encode(b"\xff" * 160).decode()


def tone(hz: float, at: int = 0, level: float = 0.4) -> str:
    """One frame of a pure tone, its phase going on from frame `at - 1`."""
    samples = [round(level * 32_000 * math.sin(2 * math.pi * hz * (n + at * 160) / 8000)) for n in range(160)]
    pcm = b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)
    return base64.b64encode(g711.pcm16_to_mulaw(pcm)).decode()


def voice(at: int = 0) -> str:
    """One frame that is loud and no pure tone: three partials that move."""
    samples = []
    for n in range(160):
        t = (n + at * 160) / 8000
        pitch = 120 + 20 * math.sin(2 * math.pi * 3 * t)
        partials = (math.sin(2 * math.pi * pitch * k * t) / (1 + abs(k - 5)) for k in (1, 3, 5, 6, 9, 14))
        samples.append(round(9000 * sum(partials)))
    pcm = b"".join(max(-32768, min(32767, sample)).to_bytes(2, "little", signed=True) for sample in samples)
    return base64.b64encode(g711.pcm16_to_mulaw(pcm)).decode()
