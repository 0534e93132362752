"""A transcription-only session (`?intent=transcription`, openai_realtime.md 1, 2, 8): it hears and writes.

What was said is recognized if there are ears; else it is told beforehand through `/control/dictation`, a text
a turn, and a turn that nobody told of cannot be transcribed.
"""

import asyncio
import copy
import time
from collections import deque
from collections.abc import Coroutine
from typing import cast

from tenex.lib.clock import Clock
from voice.rehearsal.ears.port import Ears, NotRecognized
from voice.rehearsal.model import client_events, session_shapes
from voice.rehearsal.model.input_buffer import Committed, InputBuffer
from voice.rehearsal.model.items import new_id
from voice.rehearsal.model.options import Options
from voice.rehearsal.model.outbox import Outbox
from voice.rehearsal.model.shapes import Json, Refusal
from voice.rehearsal.model.truth import SessionFaults, Truth
from voice.rehearsal.model.usage import transcription_usage
from voice.rehearsal.model.vad import SpeechBegan, SpeechEnded

_VAD: dict[str, Json] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
}
_KIND = "conversation.item.input_audio_transcription"


class TranscriptionSession:
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
        self.id = new_id("sess")
        self.outbox = outbox
        self.truth = Truth(session_id=self.id, model="transcription")
        self.faults = SessionFaults()
        self._clock, self._options, self._ears, self._dictation = clock, options, ears, dictation
        self._audio: dict[str, Json] = {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": dict(_VAD),
        }
        self._include: Json = None
        self._expires_at = int(time.time() + clock.real_s(options.max_session_s))
        self._buffer = InputBuffer("audio/pcm", dict(_VAD), keeps_sound=ears is not None)
        self._item_id = ""
        self._last_item: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._handlers = {
            "session.update": self._update,
            "input_audio_buffer.commit": self._commit_by_client,
            "input_audio_buffer.clear": self._clear,
        }

    # --- life ---------------------------------------------------------------------------------------

    @property
    def value(self) -> dict[str, Json]:
        """The session as `session.created` and `session.updated` carry it."""
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": self.id,
            "expires_at": self._expires_at,
            "audio": {"input": copy.deepcopy(self._audio)},
            "include": self._include,
        }

    def open(self) -> None:
        self.outbox.emit("session.created", session=self.value)
        self._spawn(self._expire())

    def close(self) -> None:
        self.truth.open = False
        for task in list(self._tasks):
            task.cancel()

    async def _expire(self) -> None:
        await self._clock.sleep(self._options.max_session_s)
        self.emit_error(
            Refusal("Your session hit the maximum duration of 60 minutes.", code="session_expired")
        )
        self.outbox.close(1001, "session expired")

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- client events ------------------------------------------------------------------------------

    def receive(self, raw: str | bytes) -> None:
        """Handle one frame; a wrong one is answered by `error` and changes nothing."""
        try:
            event = client_events.parse(raw)
            kind = cast(str, event["type"])
            self.truth.count(kind)
            if kind == "input_audio_buffer.append":
                self._hear(cast(str, event["audio"]))
            elif kind in self._handlers:
                self._handlers[kind](event)
            else:
                raise Refusal(
                    f"'{kind}' is not supported in transcription sessions.",
                    code="invalid_event",
                    param="type",
                )
        except Refusal as refusal:
            self.emit_error(refusal, client_events.event_id_of(raw))

    def emit_error(self, refusal: Refusal, event_id: str | None = None) -> None:
        body = {**refusal.body(), "event_id": event_id}
        self.truth.note("errors_sent", body)
        self.outbox.emit("error", error=body)

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
        self._buffer.configure(form, cast("dict[str, Json] | None", audio["turn_detection"]))
        self.outbox.emit("session.updated", session=self.value)

    def _commit_by_client(self, _event: dict[str, Json]) -> None:
        self._commit(self._item_id if self._buffer.speaking else new_id("item"))

    def _clear(self, _event: dict[str, Json]) -> None:
        self._buffer.clear()
        self.outbox.emit("input_audio_buffer.cleared")

    # --- hearing ------------------------------------------------------------------------------------

    def _hear(self, audio: str) -> None:
        changes = self._buffer.append(audio)
        self.truth.appended_ms = self._buffer.appended_ms
        for change in changes:
            match change:
                case SpeechBegan(at_ms):
                    self._buffer.begin_turn(at_ms)
                    self._item_id = new_id("item")
                    self.outbox.emit(
                        "input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=self._item_id
                    )
                case SpeechEnded(at_ms):
                    self.outbox.emit(
                        "input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=self._item_id
                    )
                    self._commit(self._item_id, end_ms=at_ms)

    def _commit(self, item_id: str, *, end_ms: float | None = None) -> None:
        committed = self._buffer.commit(end_ms=end_ms)
        previous, self._last_item = self._last_item, item_id
        self.outbox.emit("input_audio_buffer.committed", item_id=item_id, previous_item_id=previous)
        item: dict[str, Json] = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        for kind in ("conversation.item.added", "conversation.item.done"):
            self.outbox.emit(kind, previous_item_id=previous, item=item)
        self._spawn(self._transcribe(item_id, committed))

    async def _transcribe(self, item_id: str, committed: Committed) -> None:
        wanted = cast("dict[str, Json] | None", self._audio["transcription"])
        text = await self._words(committed)
        self.truth.note("heard", {"item_id": item_id, "ms": round(committed.length_ms), "text": text})
        if wanted is None:
            return
        if text is None or self.faults.take("fail_transcription"):
            error: Json = {
                "type": "transcription_error",
                "code": "audio_unintelligible",
                "message": "The audio could not be transcribed.",
                "param": None,
            }
            self.outbox.emit(f"{_KIND}.failed", item_id=item_id, content_index=0, error=error)
            return
        if text:
            self.outbox.emit(f"{_KIND}.delta", item_id=item_id, content_index=0, delta=text)
        usage = transcription_usage(cast(str, wanted["model"]), committed.length_ms, text)
        self.outbox.emit(f"{_KIND}.completed", item_id=item_id, content_index=0, transcript=text, usage=usage)

    async def _words(self, committed: Committed) -> str | None:
        if self._ears is not None:
            try:
                return (await self._ears.recognize(committed.sound, committed.audio_format)).text
            except NotRecognized:
                return None
        text = self._dictation.popleft() if self._dictation else None
        await self._clock.sleep(self._options.transcription_delay_s)
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
