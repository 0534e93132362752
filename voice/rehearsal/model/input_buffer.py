"""The input audio buffer: how much was appended, what of it is not yet committed, and who speaks in it.

Positions are milliseconds of all audio appended in the session, so they stand still when the client does.
Sound is kept only for ears that recognize it, and of that no more than the longest turn.
"""

import binascii
from dataclasses import dataclass
from typing import cast

from voice.rehearsal.model.audio import BYTES_PER_MS, FRAME_MS, Framer
from voice.rehearsal.model.client_events import MAX_APPEND_BYTES
from voice.rehearsal.model.shapes import Json, Refusal
from voice.rehearsal.model.vad import EAGERNESS_WAIT_MS, SpeechBegan, SpeechEnded, TurnDetector

MIN_COMMIT_MS = 100
MAX_KEPT_MS = 60_000
"""Of a longer turn the end is kept."""
_QUIET_KEPT_MS = 1000
"""Between turns so much is kept beyond the padding: a turn is noticed a little after it has begun."""


@dataclass(frozen=True, slots=True)
class Committed:
    """Audio that was taken out of the buffer."""

    length_ms: float
    sound: bytes
    """In the session's input format; empty unless sound is kept."""
    audio_format: str


class InputBuffer:
    def __init__(
        self, audio_format: str, turn_detection: dict[str, Json] | None, *, keeps_sound: bool = False
    ) -> None:
        self._kept: bytearray | None = bytearray() if keeps_sound else None
        """The end of all that was appended."""
        self.appended_ms = 0.0
        self.start_ms = 0.0
        """Where the uncommitted audio begins."""
        self._framed_ms = 0
        self._detector: TurnDetector | None = None
        self._turn_detection: dict[str, Json] | None = None
        self._format = audio_format
        self._framer = Framer(audio_format)
        self.configure(audio_format, turn_detection)

    def configure(self, audio_format: str, turn_detection: dict[str, Json] | None) -> None:
        """Take over the session's settings; a running turn survives unless its detection changed."""
        if audio_format != self._format:
            self._format = audio_format
            self._framer = Framer(audio_format)
            if self._kept is not None:
                self._kept.clear()
            self._framed_ms = int(self.appended_ms)
        if turn_detection != self._turn_detection:
            self._turn_detection = turn_detection
            self._detector = _detector(turn_detection)

    @property
    def speaking(self) -> bool:
        return self._detector is not None and self._detector.speaking

    @property
    def silence_ms(self) -> int:
        """Silence at the end of a turn that the detector has closed."""
        return 0 if self._detector is None else self._detector.silence_ms

    @property
    def prefix_ms(self) -> int:
        """Audio before the first sound that belongs to a turn."""
        return 0 if self._detector is None else self._detector.prefix_ms

    def append(self, audio: str) -> list[SpeechBegan | SpeechEnded]:
        """Take base64 audio; returns the turns that begin or end in it.

        Raises:
            Refusal: not base64, or more than 15 MiB.
        """
        if len(audio) > MAX_APPEND_BYTES * 4 // 3 + 4:
            raise Refusal("Audio chunk is too large: the maximum is 15 MiB.", param="audio")
        try:
            data = binascii.a2b_base64(audio, strict_mode=True)
        except (binascii.Error, ValueError) as exc:
            message = "Invalid 'audio'. Expected base64-encoded audio bytes, but got an invalid value."
            raise Refusal(message, param="audio") from exc
        if self._kept is not None:
            self._keep(self._kept, data)
        self.appended_ms += len(data) / BYTES_PER_MS[self._format]
        detector = self._detector
        if detector is None:
            return []
        heard = []
        for frame in self._framer.push(data):
            self._framed_ms += FRAME_MS
            if (change := detector.push(frame, self._framed_ms)) is not None:
                heard.append(change)
        return heard

    def _keep(self, kept: bytearray, data: bytes) -> None:
        """Forget what no commit can reach any more, then take the new sound: a turn may end in it."""
        quiet = self._detector is not None and not self._detector.speaking
        keep_ms = self.prefix_ms + _QUIET_KEPT_MS if quiet else MAX_KEPT_MS
        del kept[: max(0, len(kept) - keep_ms * BYTES_PER_MS[self._format])]
        kept += data

    def _cut(self, end_ms: float) -> bytes:
        """The kept sound from the begin of the uncommitted audio to `end_ms`."""
        if self._kept is None:
            return b""
        sample_bytes = 2 if self._format == "audio/pcm" else 1
        per_ms = BYTES_PER_MS[self._format] // sample_bytes
        end = len(self._kept) - sample_bytes * round((self.appended_ms - end_ms) * per_ms)
        start = end - sample_bytes * round(min(end_ms - self.start_ms, MAX_KEPT_MS) * per_ms)
        return bytes(self._kept[max(0, start) : max(0, end)])

    def begin_turn(self, audio_start_ms: int) -> None:
        """Audio before the turn (and its padding) will not be part of it."""
        self.start_ms = max(self.start_ms, float(audio_start_ms))

    def commit(self, *, end_ms: float | None = None) -> Committed:
        """Take the uncommitted audio out.

        Raises:
            Refusal: under 100 ms.
        """
        end = self.appended_ms if end_ms is None else min(end_ms, self.appended_ms)
        length = end - self.start_ms
        if length < MIN_COMMIT_MS:
            raise Refusal(
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{MIN_COMMIT_MS}ms of audio, but buffer only has {max(0.0, length):.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        sound = self._cut(end)
        self.start_ms = end
        return Committed(length, sound, self._format)

    def clear(self) -> None:
        self.start_ms = self.appended_ms
        self._detector = _detector(self._turn_detection)


def _detector(turn_detection: dict[str, Json] | None) -> TurnDetector | None:
    if turn_detection is None:
        return None
    if turn_detection["type"] == "semantic_vad":
        wait_ms = EAGERNESS_WAIT_MS[cast(str, turn_detection["eagerness"])]
        return TurnDetector(threshold=0.5, prefix_padding_ms=300, silence_duration_ms=wait_ms)
    return TurnDetector(
        threshold=cast(float, turn_detection["threshold"]),
        prefix_padding_ms=cast(int, turn_detection["prefix_padding_ms"]),
        silence_duration_ms=cast(int, turn_detection["silence_duration_ms"]),
    )
