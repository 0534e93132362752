"""One Realtime session: takes client events, keeps the conversation, hears the caller, makes responses.

Nothing in here waits while it changes state: events come in one at a time, everything that takes time
(speech, transcripts, time-outs) runs in tasks that belong to the session and end with it.
"""

import asyncio
from collections.abc import Coroutine
from typing import cast

import structlog

from tenex.lib.clock import Clock
from voice.rehearsal.ears.port import Ears
from voice.rehearsal.model import client_events
from voice.rehearsal.model.config import SessionConfig
from voice.rehearsal.model.hearing import Heard, Hearing, RecognizedHearing, ToldHearing
from voice.rehearsal.model.input_buffer import InputBuffer
from voice.rehearsal.model.items import Conversation, Item, count_text, new_id
from voice.rehearsal.model.options import Options
from voice.rehearsal.model.outbox import Outbox
from voice.rehearsal.model.responder import Responder
from voice.rehearsal.model.shapes import Json, Refusal
from voice.rehearsal.model.steps import Cue, Mind, Voice
from voice.rehearsal.model.truth import SessionFaults, Truth
from voice.rehearsal.model.usage import CALLER_MS_PER_TOKEN, transcription_usage
from voice.rehearsal.model.vad import SpeechBegan, SpeechEnded

log = structlog.get_logger(__name__)

_TRANSCRIPTION_RHYTHM = (1.0, 0.5, 2.5)
"""Transcripts take turns in being late, so that some land after the answer has begun."""


class RealtimeSession:
    def __init__(
        self,
        *,
        model: str,
        outbox: Outbox,
        mind: Mind,
        voice: Voice,
        clock: Clock,
        options: Options,
        ears: Ears | None = None,
    ) -> None:
        self.id = new_id("sess")
        self.outbox = outbox
        self.clock = clock
        self.options = options
        self.mind = mind
        self.config = SessionConfig(self.id, model, clock.real_s(options.max_session_s))
        self.conversation = Conversation()
        self.buffer = InputBuffer(
            self.config.input_format, self.config.turn_detection, keeps_sound=ears is not None
        )
        self.truth = Truth(session_id=self.id, model=model)
        self.faults = SessionFaults()
        self.responder = Responder(
            config=self.config,
            conversation=self.conversation,
            outbox=outbox,
            mind=mind,
            voice=voice,
            clock=clock,
            options=options,
            truth=self.truth,
            faults=self.faults,
        )
        self.responder.on_conversation_done = self._arm_idle_timeout
        self._turn_item_id = ""
        self._turn_start_ms = 0
        self.hearing: Hearing = (
            ToldHearing(mind, options, self._spawn)
            if ears is None
            else RecognizedHearing(ears, mind, options, clock, self._spawn)
        )
        self._commits = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: asyncio.Task[None] | None = None
        self._handlers = {
            "session.update": self._update,
            "input_audio_buffer.commit": self._commit_by_client,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create_item,
            "conversation.item.delete": self._delete_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.truncate": self._truncate_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
        }

    # --- life ---------------------------------------------------------------------------------------

    def open(self) -> None:
        """Greet the client and start the session's own clock."""
        self.outbox.emit("session.created", session=self.config.value)
        self.outbox.emit(
            "conversation.created",
            conversation={"id": self.conversation.id, "object": "realtime.conversation"},
        )
        self._spawn(self._expire())

    def close(self) -> None:
        """The socket is gone: nothing of this session goes on."""
        self.truth.open = False
        self.responder.abandon()
        for task in list(self._tasks):
            task.cancel()

    def expire(self) -> None:
        """What the 60-minute cap does: an error, then close 1001."""
        self.emit_error(
            Refusal("Your session hit the maximum duration of 60 minutes.", code="session_expired")
        )
        self.outbox.close(1001, "session expired")

    async def _expire(self) -> None:
        await self.clock.sleep(self.options.max_session_s)
        self.expire()

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- client events ------------------------------------------------------------------------------

    def receive(self, raw: str | bytes) -> None:
        """Handle one frame. A wrong event is answered by `error` and changes nothing; never raises for it."""
        try:
            event = client_events.parse(raw)
            kind = cast(str, event["type"])
            self.truth.count(kind)
            if kind == "input_audio_buffer.append":
                self._hear(self.buffer.append(cast(str, event["audio"])))
                return
            self._handlers[kind](event)
        except Refusal as refusal:
            self.emit_error(refusal, client_events.event_id_of(raw))

    def emit_error(self, refusal: Refusal, event_id: str | None = None) -> None:
        """An `error` event that names the client's event."""
        body = {**refusal.body(), "event_id": event_id}
        self.truth.note("errors_sent", body)
        self.outbox.emit("error", error=body)

    def _update(self, event: dict[str, Json]) -> None:
        if self.faults.take("reject_session_update"):
            raise Refusal("The session could not be configured.", param="session")
        busy = self.responder.active is not None
        self.config.update(event["session"], voice_used=self.responder.voice_used, responding=busy)
        self.truth.configured(self.config)
        self.buffer.configure(self.config.input_format, self.config.turn_detection)
        self.mind.meet(self.config.instructions)
        self.truth.scenario = self.mind.scenario
        if not self.faults.take("withhold_session_updated"):
            self.outbox.emit("session.updated", session=self.config.value)

    def _commit_by_client(self, _event: dict[str, Json]) -> None:
        item_id = self._turn_item_id if self.buffer.speaking else new_id("item")
        self._commit(item_id)

    def _clear(self, _event: dict[str, Json]) -> None:
        self.buffer.clear()
        self.outbox.emit("input_audio_buffer.cleared")

    def _create_item(self, event: dict[str, Json]) -> None:
        wire = dict(cast(dict[str, Json], event["item"]))
        if wire["type"] == "function_call_output":
            self.conversation.require_call(cast(str, wire["call_id"]))
        wire.setdefault("id", new_id("item"))
        wire |= {"object": "realtime.item", "status": wire.get("status", "completed")}
        if wire["type"] == "function_call":
            wire.setdefault("call_id", new_id("call"))
        item = Item(wire, text_tokens=count_text(wire))
        for part in item.content:
            part.pop("audio", None)
        previous = self.conversation.add(item, after=cast("str | None", event.get("previous_item_id")))
        if wire["type"] == "function_call_output":
            self._tool_answered(cast(str, wire["call_id"]), cast(str, wire["output"]))
        self._announce(item, previous)

    def _tool_answered(self, call_id: str, output: str) -> None:
        name = next(
            cast(str, item.wire["name"])
            for item in self.conversation.items
            if item.kind == "function_call" and item.wire.get("call_id") == call_id
        )
        self.truth.note("tool_outputs", {"call_id": call_id, "name": name, "output": output})
        self.mind.tool_result(name, output)

    def _announce(self, item: Item, previous: str | None) -> None:
        for kind in ("conversation.item.added", "conversation.item.done"):
            self.outbox.emit(kind, previous_item_id=previous, item=item.wire)

    def _delete_item(self, event: dict[str, Json]) -> None:
        item_id = cast(str, event["item_id"])
        self.conversation.remove(item_id)
        self.outbox.emit("conversation.item.deleted", item_id=item_id)

    def _retrieve_item(self, event: dict[str, Json]) -> None:
        item = self.conversation.get(cast(str, event["item_id"]))
        self.outbox.emit("conversation.item.retrieved", item=item.wire)

    def _truncate_item(self, event: dict[str, Json]) -> None:
        item_id, index = cast(str, event["item_id"]), cast(int, event["content_index"])
        end_ms = cast(int, event["audio_end_ms"])
        self.conversation.truncate(item_id, index, end_ms)
        self.truth.note("truncations", {"item_id": item_id, "audio_end_ms": end_ms})
        self.outbox.emit(
            "conversation.item.truncated", item_id=item_id, content_index=index, audio_end_ms=end_ms
        )

    def _create_response(self, event: dict[str, Json]) -> None:
        self._disarm_idle_timeout()
        wanted = cast("dict[str, Json] | None", event.get("response")) or {}
        self.responder.create(wanted, settled=self.hearing.unsettled())

    def _cancel_response(self, event: dict[str, Json]) -> None:
        self.responder.cancel(cast("str | None", event.get("response_id")))

    # --- hearing ------------------------------------------------------------------------------------

    def _hear(self, changes: list[SpeechBegan | SpeechEnded]) -> None:
        self.truth.appended_ms = self.buffer.appended_ms
        for change in changes:
            match change:
                case SpeechBegan(audio_start_ms):
                    self._speech_began(audio_start_ms)
                case SpeechEnded(audio_end_ms):
                    self._speech_ended(audio_end_ms)

    def _speech_began(self, audio_start_ms: int) -> None:
        self._disarm_idle_timeout()
        self.buffer.begin_turn(audio_start_ms)
        self._turn_item_id, self._turn_start_ms = new_id("item"), audio_start_ms
        self.truth.note("speech", {"audio_start_ms": audio_start_ms})
        self.outbox.emit(
            "input_audio_buffer.speech_started", audio_start_ms=audio_start_ms, item_id=self._turn_item_id
        )
        detection = self.config.turn_detection or {}
        if detection.get("interrupt_response"):
            self.responder.interrupt("turn_detected")
        self.hearing.speech_began()

    def _speech_ended(self, audio_end_ms: int) -> None:
        item_id = self._turn_item_id
        self.outbox.emit("input_audio_buffer.speech_stopped", audio_end_ms=audio_end_ms, item_id=item_id)
        try:
            silence_ms = self.buffer.silence_ms
            speech_ms = audio_end_ms - self._turn_start_ms - silence_ms - self.buffer.prefix_ms
            heard = self._commit(item_id, end_ms=audio_end_ms, speech_ms=speech_ms)
            if (self.config.turn_detection or {}).get("create_response"):
                self.responder.create({}, settled=heard.settled)
        except Refusal as refusal:
            self.emit_error(refusal)

    def _commit(self, item_id: str, *, end_ms: float | None = None, speech_ms: float | None = None) -> Heard:
        """Returns what the caller said in it, at once or when it is understood."""
        committed = self.buffer.commit(end_ms=end_ms)
        heard = self.hearing.turn(committed, speech_ms)
        self._add_caller_item(item_id, committed.length_ms, heard)
        return heard

    def _add_caller_item(self, item_id: str, length_ms: float, heard: Heard) -> None:
        wire: dict[str, Json] = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        item = Item(wire, audio_ms=length_ms, audio_tokens=int(length_ms // CALLER_MS_PER_TOKEN))
        previous = self.conversation.last_id()
        self.outbox.emit("input_audio_buffer.committed", item_id=item_id, previous_item_id=previous)
        self._announce(item, self.conversation.add(item))
        self._commits += 1
        self._spawn(self._transcribe(item, heard, self.config.transcription, self._commits))

    async def _transcribe(
        self, item: Item, heard: Heard, wanted: dict[str, Json] | None, number: int
    ) -> None:
        """The side model: independent of the voice model, late, sometimes later than the answer."""
        rhythm = _TRANSCRIPTION_RHYTHM[number % len(_TRANSCRIPTION_RHYTHM)]
        text = await asyncio.shield(heard.text)
        fact: dict[str, Json] = {"item_id": item.id, "ms": round(item.audio_ms), "text": text}
        if heard.recognized_in_s is not None:
            fact["recognized_in_ms"] = round(1000 * heard.recognized_in_s)
        self.truth.note("heard", fact)
        if wanted is None:
            return
        model = cast(str, wanted["model"])
        if not self.hearing.recognizes:  # recognition takes its own time
            await self.clock.sleep(self.options.transcription_delay_s * rhythm)
        kind = "conversation.item.input_audio_transcription"
        if text is None or self.faults.take("fail_transcription"):
            error: Json = {
                "type": "transcription_error",
                "code": "audio_unintelligible",
                "message": "The audio could not be transcribed.",
                "param": None,
            }
            self.outbox.emit(f"{kind}.failed", item_id=item.id, content_index=0, error=error)
            return
        if text:
            pieces = [text] if model == "whisper-1" else text.partition(" ")
            for piece in filter(None, pieces):
                self.outbox.emit(f"{kind}.delta", item_id=item.id, content_index=0, delta=piece)
        item.content[0]["transcript"] = text
        self.outbox.emit(
            f"{kind}.completed",
            item_id=item.id,
            content_index=0,
            transcript=text,
            usage=transcription_usage(model, item.audio_ms, text),
        )

    # --- idle timeout -------------------------------------------------------------------------------

    def _arm_idle_timeout(self, playback_left_s: float) -> None:
        """Called when a response is done; counts from the estimated end of its playback."""
        self._disarm_idle_timeout()
        timeout_ms = (self.config.turn_detection or {}).get("idle_timeout_ms")
        if timeout_ms is not None and not self.buffer.speaking:
            self._idle = self._spawn(self._idle_out(playback_left_s + cast(int, timeout_ms) / 1000))

    def _disarm_idle_timeout(self) -> None:
        if self._idle is not None and self._idle is not asyncio.current_task():
            self._idle.cancel()
        self._idle = None

    async def _idle_out(self, wait_s: float) -> None:
        await self.clock.sleep(wait_s)
        if self.responder.active is not None or self.buffer.speaking:
            return
        item_id, end_ms = new_id("item"), int(self.buffer.appended_ms)
        start_ms = min(end_ms, int(self.buffer.start_ms))
        self.outbox.emit(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=start_ms,
            audio_end_ms=end_ms,
            item_id=item_id,
        )
        self.buffer.start_ms = float(end_ms)
        nothing = Heard()
        nothing.settle("")
        self._add_caller_item(item_id, 0.0, nothing)
        self.responder.create({}, Cue(idle=True))
