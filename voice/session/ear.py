"""What can be heard in the first seconds of an answered call without a model: speech, pauses, pure tones.

Works on single frames of µ-law, 8 kHz. Loudness is one table look-up a byte in C. A tone is looked for only
in loud frames: a sinusoid is predicted by its last two samples, `x[n+1] = 2 cos(w) x[n] - x[n-1]`, with next
to no rest, whatever its frequency; speech is not, or not for long at one frequency.
"""

import base64
import binascii
import math
from typing import Final, Literal

from voice.wire import g711

_RATE_HZ: Final = 8000
_LOUD: Final = 38.0
"""Mean µ-law magnitude code (0 to 127, logarithmic) of a frame with speech in it; about -35 dB."""
_START_MS: Final = 60
"""So much loudness in a row is speech; less is a click."""
_GAP_MS: Final = 160
"""Shorter quiet is a gap between syllables."""
_PURE: Final = 0.02
"""Rest of the prediction, as a share of the energy."""
_DRIFT: Final = 0.04
"""Largest change of a tone's frequency from frame to frame."""
_BEEP_HZ: Final = (380.0, 2060.0)
_BEEP_MS: Final = 180
_FAX_HZ: Final = (2070.0, 2140.0)
"""The answer tone of a fax (CED, ITU-T T.30): 2100 Hz for 2.6 to 4 s."""
_FAX_MS: Final = 500

_LEVEL: Final = bytes(0x7F - (code & 0x7F) for code in range(256))

News = Literal["", "speech", "pause", "beep", "fax"]


class Ear:
    """Of one call, while it is not known who is on the line."""

    __slots__ = ("_loud_ms", "_paused", "_tone_hz", "_tone_ms", "beeped", "heard_ms", "quiet_ms", "speech_ms")

    def __init__(self) -> None:
        self.heard_ms = 0
        """All that was listened to."""
        self.speech_ms = 0
        """Of the stretch of speech that goes on, or was the last one; pauses inside it included."""
        self.quiet_ms = 0
        """Since the last sound."""
        self.beeped = False
        self._loud_ms = 0
        self._paused = True
        self._tone_hz = 0.0
        self._tone_ms = 0

    @property
    def speaking(self) -> bool:
        """Somebody is in the middle of something."""
        return self.speech_ms > 0 and not self._paused

    def hear(self, payload: str, ms: int, *, pause_ms: int) -> News:
        """One frame (base64). What it changed: somebody began to speak, has paused for `pause_ms`, a tone."""
        try:
            raw = base64.b64decode(payload)
        except (binascii.Error, ValueError):
            return ""
        self.heard_ms += ms
        if not raw or sum(raw.translate(_LEVEL)) < _LOUD * len(raw):
            return self._quiet(ms, pause_ms)
        tone = self._tone(raw, ms)
        return tone or self._loud(ms)

    def _quiet(self, ms: int, pause_ms: int) -> News:
        self.quiet_ms += ms
        self._loud_ms = 0
        self._tone_ms = 0
        if self._paused or self.speech_ms == 0:
            return ""
        if self.quiet_ms < _GAP_MS:
            self.speech_ms += ms
        if self.quiet_ms < pause_ms:
            return ""
        self._paused = True
        return "pause"

    def _loud(self, ms: int) -> News:
        self._loud_ms += ms
        if self._tone_ms >= 2 * ms:
            return ""  # a tone in the making is no speech
        if self._loud_ms < _START_MS:
            return ""
        self.quiet_ms = 0
        if self._paused:
            self._paused = False
            self.speech_ms = self._loud_ms
            return "speech"
        self.speech_ms += ms
        return ""

    def _tone(self, raw: bytes, ms: int) -> News:
        hz = _pure_hz(raw)
        if hz == 0.0 or (self._tone_ms and abs(hz - self._tone_hz) > _DRIFT * self._tone_hz):
            self._tone_ms = 0
        if hz:
            self._tone_hz, self._tone_ms = hz, self._tone_ms + ms
        if self._tone_ms >= _FAX_MS and _FAX_HZ[0] <= self._tone_hz <= _FAX_HZ[1]:
            return "fax"
        if not self.beeped and self._tone_ms >= _BEEP_MS and _BEEP_HZ[0] <= self._tone_hz <= _BEEP_HZ[1]:
            self.beeped = True
            return "beep"
        return ""


def _pure_hz(raw: bytes) -> float:
    """Frequency of a frame that is one sinusoid; 0 if it is none."""
    pcm = memoryview(g711.mulaw_to_pcm16(raw)).cast("h")
    count = len(pcm) - 2
    if count < 32:
        return 0.0
    before, here, after = pcm[:count].tolist(), pcm[1 : count + 1].tolist(), pcm[2:].tolist()
    energy = math.sumprod(here, here)
    if energy <= 0:
        return 0.0
    both = [a + b for a, b in zip(before, after, strict=True)]
    along = math.sumprod(both, here)
    cosine = along / (2 * energy)
    if not -1.0 < cosine < 1.0:
        return 0.0
    rest = math.sumprod(both, both) - along * along / energy
    hz = math.acos(cosine) * _RATE_HZ / (2 * math.pi)
    # a low tone predicts itself well whatever it is: measure the rest against what its curve is made of
    return hz if rest < _PURE * energy * (4 - 4 * cosine * cosine) else 0.0
