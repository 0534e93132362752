"""The recognizer itself. It runs in processes of its own: its work would stop the pace of the calls.

Whisper invents words for noise ("Thank you."), so sound without speech never reaches it, and what it is
itself unsure of is dropped.
"""

import multiprocessing
import os
import signal
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soxr
from numpy.typing import NDArray

from voice.rehearsal.ears import model_files
from voice.rehearsal.ears.port import Recognized
from voice.rehearsal.model.audio import alaw_decode, ulaw_decode

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Segment

_RATE_HZ = 16_000
_LAWS = {
    "audio/pcmu": np.array([ulaw_decode(code) for code in range(256)], dtype=np.float32),
    "audio/pcma": np.array([alaw_decode(code) for code in range(256)], dtype=np.float32),
}
_MIN_SPEECH_MS = 100
_NO_SPEECH = 0.6
_UNSURE = -1.0
"""Mean log probability of a word; with `_NO_SPEECH` the values of Whisper's authors."""
_WILD_GUESS = -1.5
_REPEATS = 2.4
"""Text that packs better than this goes in circles."""


def begin() -> None:
    """First thing in a process: Ctrl-C is for the parent, and without a parent there is no work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Should anything in there ever think of fetching a file, it may not.
    os.environ["HF_HUB_OFFLINE"] = "1"
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os._exit(0)

        threading.Thread(target=follow, daemon=True).start()


@cache
def _model(folder: Path, threads: int) -> "WhisperModel":
    files = model_files.read(folder)
    from faster_whisper import WhisperModel

    return WhisperModel(
        model_files.NAME, device="cpu", compute_type="int8", cpu_threads=threads, files=dict(files)
    )


def load(folder: Path, threads: int) -> None:
    """Load the model now, not at the first word.

    Raises:
        EarsUnavailable: it is not the model that we know.
    """
    model = _model(folder, threads)
    noise = np.random.default_rng(0).normal(0, 0.01, _RATE_HZ).astype(np.float32)
    _speaks(noise)
    list(model.transcribe(noise, language="en", beam_size=1)[0])


def recognize(folder: Path, threads: int, sound: bytes, audio_format: str) -> Recognized:
    """The words in `sound`."""
    samples = to_16k(sound, audio_format)
    if not _speaks(samples):
        return Recognized("")
    segments, _ = _model(folder, threads).transcribe(
        samples,
        language="en",
        beam_size=5,
        temperature=0.0,
        condition_on_previous_text=False,
        without_timestamps=True,
        no_speech_threshold=_NO_SPEECH,
        log_prob_threshold=_UNSURE,
    )
    text = " ".join(segment.text.strip() for segment in segments if _believable(segment))
    return Recognized(text.strip())


def to_16k(sound: bytes, audio_format: str) -> NDArray[np.float32]:
    """16 kHz samples between -1 and 1."""
    law = _LAWS.get(audio_format)
    if law is not None:
        samples, rate_hz = law[np.frombuffer(sound, np.uint8)], 8_000
    else:
        samples, rate_hz = np.frombuffer(sound, "<i2").astype(np.float32), 24_000
    resampled: NDArray[np.float32] = soxr.resample(samples / np.float32(32768), rate_hz, _RATE_HZ)
    return resampled


def _speaks(samples: NDArray[np.float32]) -> bool:
    """Whether a person speaks in it, in the opinion of a detector that knows noise well."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    if len(samples) == 0:
        return False
    return bool(get_speech_timestamps(samples, VadOptions(min_speech_duration_ms=_MIN_SPEECH_MS)))


def _believable(segment: "Segment") -> bool:
    if segment.compression_ratio > _REPEATS or segment.avg_logprob < _WILD_GUESS:
        return False
    return not (segment.no_speech_prob > _NO_SPEECH and segment.avg_logprob < _UNSURE)
