"""When does the caller speak? Turn detection on the audio that really arrived, in milliseconds of that audio.

`webrtcvad` judges each 20 ms frame, an energy floor keeps line noise out, and hysteresis on both sides keeps
a click from opening a turn and a syllable gap from closing one. Positions are those of openai_realtime.md 7
and 8: `audio_start_ms` includes the prefix padding, `audio_end_ms` the silence that ended the turn.
"""

from dataclasses import dataclass

import webrtcvad

from voice.rehearsal.model.audio import FRAME_MS, Frame

EAGERNESS_WAIT_MS = {"low": 1600, "medium": 900, "auto": 900, "high": 500}
"""Silence that ends a turn under `semantic_vad`; the real one weighs meaning and waits 8/4/2 s at most."""
_START_FRAMES = 3
_WINDOW_FRAMES = 5
_RESUME_FRAMES = 2


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    audio_end_ms: int


class TurnDetector:
    """One session's detector. Feed it every frame in order."""

    def __init__(self, *, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        """`threshold` 0…1 as in `server_vad`: higher wants louder, clearer speech."""
        self._vad = webrtcvad.Vad(max(0, min(3, round(threshold * 4))))
        self._floor = 0.4 + 2.0 * threshold
        self.prefix_ms = prefix_padding_ms
        self.silence_ms = silence_duration_ms
        self._recent: list[bool] = []
        self._quiet_ms = 0
        self._voiced_run = 0
        self.speaking = False

    def push(self, frame: Frame, end_ms: int) -> SpeechBegan | SpeechEnded | None:
        """`end_ms`: position of the end of this frame in all audio that was appended."""
        pcm, loudness = frame
        voiced = loudness >= self._floor and self._vad.is_speech(pcm, 8000)
        return self._while_speaking(voiced, end_ms) if self.speaking else self._while_quiet(voiced, end_ms)

    def _while_quiet(self, voiced: bool, end_ms: int) -> SpeechBegan | None:
        self._recent.append(voiced)
        del self._recent[:-_WINDOW_FRAMES]
        if sum(self._recent) < _START_FRAMES:
            return None
        began_ms = end_ms - FRAME_MS * (len(self._recent) - self._recent.index(True))
        self.speaking = True
        self._recent.clear()
        self._quiet_ms = self._voiced_run = 0
        return SpeechBegan(max(0, began_ms - self.prefix_ms))

    def _while_speaking(self, voiced: bool, end_ms: int) -> SpeechEnded | None:
        self._voiced_run = self._voiced_run + 1 if voiced else 0
        if self._voiced_run >= _RESUME_FRAMES:
            self._quiet_ms = 0
            return None
        self._quiet_ms += FRAME_MS
        if self._quiet_ms < self.silence_ms:
            return None
        self.speaking = False
        return SpeechEnded(end_ms)
