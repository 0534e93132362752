"""A transcription-only session (`?intent=transcription`, openai_realtime.md 1, 2, 8): it hears and writes.

What was said is recognized if there are ears; else it is told beforehand through `/control/dictation`, a text
a turn, and a turn that nobody told of cannot be transcribed.
"""

import copy
import time
from collections import deque
from typing import cast

from tenex.lib.clock import Clock
from voice.rehearsal.ears.port import Ears, NotRecognized
from voice.rehearsal.model import session_shapes
from voice.rehearsal.model.input_buffer import Committed, InputBuffer
from voice.rehearsal.model.listening import ListeningSession, caller_item
from voice.rehearsal.model.options import Options
from voice.rehearsal.model.outbox import Outbox
from voice.rehearsal.model.shapes import Json, Refusal

_VAD: dict[str, Json] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
}


class TranscriptionSession(ListeningSession):
    """Takes sound and its settings; every other event is refused."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        clock: Clock,
        options: Options,
        ears: Ears | None,
        dictation: deque[str],
    ) -> None:
        super().__init__(model="transcription", outbox=outbox, clock=clock, options=options)
        self._ears, self._dictation = ears, dictation
        self._audio: dict[str, Json] = {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": dict(_VAD),
        }
        self._include: Json = None
        self._expires_at = int(time.time() + clock.real_s(options.max_session_s))
        self.buffer = InputBuffer("audio/pcm", dict(_VAD), keeps_sound=ears is not None)
        self._last_item: str | None = None
        self.handlers = {"session.update": self._update}

    @property
    def value(self) -> dict[str, Json]:
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": self.id,
            "expires_at": self._expires_at,
            "audio": {"input": copy.deepcopy(self._audio)},
            "include": self._include,
        }

    def _update(self, event: dict[str, Json]) -> None:
        wanted = event["session"]
        session_shapes.TRANSCRIPTION_SESSION(wanted, "session")
        given = cast(dict[str, Json], wanted)
        if given["type"] != "transcription":
            raise Refusal(
                "Passing a realtime session update event to a transcription session is not allowed.",
                param="session.type",
            )
        audio = {**self._audio}
        for name, value in cast(
            dict[str, Json], cast(dict[str, Json], given.get("audio") or {}).get("input") or {}
        ).items():
            audio[name] = {**_VAD, **value} if name == "turn_detection" and isinstance(value, dict) else value
        _check(audio)
        self._audio = audio
        self._include = given.get("include", self._include)
        form = cast(str, cast(dict[str, Json], audio["format"])["type"])
        self.buffer.configure(form, cast("dict[str, Json] | None", audio["turn_detection"]))
        self.outbox.emit("session.updated", session=self.value)

    def _commit(self, item_id: str, *, end_ms: float | None = None) -> None:
        committed = self.buffer.commit(end_ms=end_ms)
        previous, self._last_item = self._last_item, item_id
        self.outbox.emit("input_audio_buffer.committed", item_id=item_id, previous_item_id=previous)
        self._announce(caller_item(item_id), previous)
        self._spawn(self._transcribe(item_id, committed))

    async def _transcribe(self, item_id: str, committed: Committed) -> None:
        wanted = cast("dict[str, Json] | None", self._audio["transcription"])
        text = await self._words(committed)
        self.truth.note("heard", {"item_id": item_id, "ms": round(committed.length_ms), "text": text})
        if wanted is None:
            return
        self._tell_transcript(
            item_id,
            text,
            model=cast(str, wanted["model"]),
            audio_ms=committed.length_ms,
            pieces=[text or ""],
        )

    async def _words(self, committed: Committed) -> str | None:
        if self._ears is not None:
            try:
                return (await self._ears.recognize(committed.sound, committed.audio_format)).text
            except NotRecognized:
                return None
        text = self._dictation.popleft() if self._dictation else None
        await self.clock.sleep(self.options.transcription_delay_s)
        return text


def _check(audio: dict[str, Json]) -> None:
    """
    Raises:
        Refusal: settings that do not go together.
    """
    wanted = audio["transcription"]
    if not isinstance(wanted, dict):
        return
    session_shapes.check_transcription(wanted)
    if wanted["model"] in session_shapes.MANUAL_TRANSCRIBERS and audio["turn_detection"] is not None:
        raise Refusal(
            f"Turn detection is not supported with the model '{wanted['model']}' in transcription sessions.",
            code="unsupported_parameter",
            param="session.audio.input.turn_detection",
        )
