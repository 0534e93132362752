"""How well the ears understand the callers: their lines over the phone's codec, and back to text."""

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from voice.rehearsal import mulaw, speech
from voice.rehearsal.ears import word_errors
from voice.rehearsal.ears.port import Ears
from voice.rehearsal.ears.word_errors import Errors
from voice.rehearsal.scenario import Scenario

_BEFORE_MS, _AFTER_MS = 300, 500
"""What a turn has around its words by default: prefix padding, and the silence that ends it."""


@dataclass(frozen=True, slots=True)
class Line:
    said: str
    heard: str
    errors: Errors
    took_s: float
    """Real seconds from the commit of the turn to its text."""


@dataclass(frozen=True, slots=True)
class Total:
    errors: Errors
    median_s: float
    slowest_s: float


async def lines(
    ears: Ears, scenarios: Iterable[Scenario], cache_dir: Path | str, snr_db: float | None = None
) -> AsyncIterator[Line]:
    """Every line of a caller whose words are known ahead, in the voice of its number, one after the other.

    `snr_db` adds white noise, so many decibels weaker than the voice.

    Raises:
        NotRecognized: the ears broke.
    """
    voices = speech.Speech(cache_dir)
    try:
        for scenario in scenarios:
            call = scenario.call
            voice = speech.caller_voice(call.from_ if call.direction == "inbound" else call.to)
            for said in scenario.lines("caller"):
                if "{{" in said:
                    continue
                sound = _turn(await voices.mulaw(said, voice), snr_db)
                began = time.monotonic()
                heard = (await ears.recognize(sound, "audio/pcmu")).text
                took_s = time.monotonic() - began
                yield Line(said, heard, word_errors.compare(said, heard), took_s)
    finally:
        voices.close()


def total(measured: Sequence[Line]) -> Total:
    took = [line.took_s for line in measured]
    return Total(sum((line.errors for line in measured), Errors(0, 0)), median(took), max(took))


def _turn(sound: bytes, snr_db: float | None) -> bytes:
    """A line with silence around it, as the model commits it."""
    silence = bytes([mulaw.SILENCE])
    per_ms = mulaw.BYTES_PER_MS
    sound = silence * (_BEFORE_MS * per_ms) + sound + silence * (_AFTER_MS * per_ms)
    return sound if snr_db is None else mulaw.encode(_noisy(sound, snr_db))


def _noisy(sound: bytes, snr_db: float) -> NDArray[np.int16]:
    samples = mulaw.decode(sound).astype(np.float64)
    power = float(np.mean(np.square(samples[np.abs(samples) > 0.02 * 32768])))
    noise = np.random.default_rng(0).normal(0, np.sqrt(power / 10 ** (snr_db / 10)), len(samples))
    return np.clip(samples + noise, -32768, 32767).astype(np.int16)
