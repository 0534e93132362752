"""How loud a recording is over time, and where in it the conversation stands. Pure, over samples."""

from collections.abc import Sequence
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from voice.postcall import wav
from voice.wire import g711

PER_S: Final = 50
"""Levels a second and channel: one for each packet of 20 ms."""
_BLOCK_S: Final = 60
_FULL: Final = 32_768.0

type Levels = NDArray[np.uint8]


def levels_of_nothing() -> Levels:
    return np.zeros((0, 2), np.uint8)


def levels(file: BinaryIO, size_bytes: int) -> Levels:
    """Shape (steps, 2): the peak of each step, square root of full scale in 0 to 255; caller, agent.

    A recording of one channel has both people in the first. Read a minute at a time.

    Raises:
        wav.NotWav: no WAV file, or samples of a width that we do not read.
    """
    info = wav.read_header(file, size_bytes)
    frame_bytes = info.block_bytes
    width = frame_bytes // info.channels
    step = info.sample_rate_hz // PER_S
    if not step or width not in (1, 2):
        raise wav.NotWav("samples that we do not read")
    found: list[Levels] = []
    left = info.data_bytes
    while left >= frame_bytes:
        raw = file.read(min(left, step * PER_S * _BLOCK_S * frame_bytes))
        raw = raw[: len(raw) - len(raw) % frame_bytes]
        if not raw:
            break
        left -= len(raw)
        found.append(_peaks(_samples(raw, width, info.encoding).reshape(-1, info.channels), step))
    return np.concatenate(found) if found else levels_of_nothing()


def _samples(raw: bytes, width: int, encoding: str) -> NDArray[np.int16]:
    if width == 2:
        return np.frombuffer(raw, "<i2")
    match encoding:
        case "mulaw":
            return np.frombuffer(g711.mulaw_to_pcm16(raw), np.dtype("<i2"))
        case "alaw":
            return np.frombuffer(g711.alaw_to_pcm16(raw), np.dtype("<i2"))
    return (np.frombuffer(raw, np.uint8).astype(np.int16) - 128) * 256


def _peaks(samples: NDArray[np.int16], step: int) -> Levels:
    missing = -len(samples) % step
    padded = np.pad(samples[:, :2], ((0, missing), (0, 0)))
    top = np.abs(padded.astype(np.int32)).reshape(-1, step, padded.shape[1]).max(axis=1)
    scaled = np.round(np.sqrt(np.minimum(top / _FULL, 1.0)) * 255).astype(np.uint8)
    return scaled if scaled.shape[1] == 2 else np.pad(scaled, ((0, 0), (0, 1)))


_WINDOW: Final = 20
"""Steps before and after the beginning of a turn that are compared: 0.4 s."""
_LEAST: Final = 5
_EARLIER_MS: Final = 1300
_LATER_MS: Final = 700
_TURNS: Final = 60
_CLEAR: Final = 0.3


def offset_ms(found: Levels, starts_ms: Sequence[int], guess_ms: int, *, channel: int = 1) -> int:
    """Where the zero of the turns' clock lies in the recording, near `guess_ms`.

    Carriers tell the beginning of a recording in whole seconds, so the guess is up to a second too late. The
    agent's turns begin where sound begins in its channel: the shift for which that holds best is taken. If no
    shift is clearly better (silence, music, no turns), the guess stays.
    """
    loud = found[:, channel]
    starts = np.array(starts_ms[:_TURNS], dtype=np.int64)
    if not len(starts) or not loud.any():
        return guess_ms
    threshold = min(60.0, max(16.0, float(np.percentile(loud[loud > 0], 95)) * 0.35))
    sums = np.concatenate(([0], np.cumsum(loud > threshold)))
    shifts = np.arange(guess_ms - _EARLIER_MS, guess_ms + _LATER_MS + 1, 1000 // PER_S)
    places = (starts[None, :] + shifts[:, None]) * PER_S // 1000
    scores = _onset(sums, places)
    best = scores.max()
    if best < _CLEAR:
        return guess_ms
    return int(np.median(shifts[scores >= best - 1e-9]))


def _onset(sums: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of loud steps after each place less that before it; the mean over the places of a row that count.

    Those do of which enough lies inside the recording, on both sides.
    """
    last = len(sums) - 1
    at = np.clip(places, 0, last)
    before, after = np.clip(places - _WINDOW, 0, last), np.clip(places + _WINDOW, 0, last)
    counts = (at - before >= _LEAST) & (after - at >= _LEAST)
    rises = (sums[after] - sums[at]) / np.maximum(1, after - at)
    falls = (sums[at] - sums[before]) / np.maximum(1, at - before)
    scores = ((rises - falls) * counts).sum(axis=1) / np.maximum(1, counts.sum(axis=1))
    return np.asarray(scores, dtype=np.float64)
