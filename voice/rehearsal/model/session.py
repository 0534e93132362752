"""One Realtime session: takes client events, keeps the conversation, hears the caller, makes responses."""

import asyncio
from typing import cast

from tenex.lib.clock import Clock
from voice.rehearsal.ears.port import Ears
from voice.rehearsal.model.config import SessionConfig
from voice.rehearsal.model.hearing import Heard, Hearing, RecognizedHearing, ToldHearing
from voice.rehearsal.model.input_buffer import InputBuffer
from voice.rehearsal.model.items import Conversation, Item, count_text, new_id
from voice.rehearsal.model.listening import ListeningSession, caller_item
from voice.rehearsal.model.options import Options
from voice.rehearsal.model.outbox import Outbox
from voice.rehearsal.model.responder import Responder
from voice.rehearsal.model.shapes import Json, Refusal
from voice.rehearsal.model.steps import Cue, Mind, Voice
from voice.rehearsal.model.usage import CALLER_MS_PER_TOKEN

_TRANSCRIPTION_RHYTHM = (1.0, 0.5, 2.5)
"""Transcripts take turns in being late, so that some land after the answer has begun."""


class RealtimeSession(ListeningSession):
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
        super().__init__(model=model, outbox=outbox, clock=clock, options=options)
        self.mind = mind
        self.config = SessionConfig(self.id, model, clock.real_s(options.max_session_s))
        self.conversation = Conversation()
        self.buffer = InputBuffer(
            self.config.input_format, self.config.turn_detection, keeps_sound=ears is not None
        )
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
        self._turn_start_ms = 0
        self.hearing: Hearing = (
            ToldHearing(mind, options, self._spawn)
            if ears is None
            else RecognizedHearing(ears, mind, options, clock, self._spawn)
        )
        self._commits = 0
        self._idle: asyncio.Task[None] | None = None
        self.handlers = {
            "session.update": self._update,
            "conversation.item.create": self._create_item,
            "conversation.item.delete": self._delete_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.truncate": self._truncate_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
        }

    # --- life ---------------------------------------------------------------------------------------

    @property
    def value(self) -> dict[str, Json]:
        return self.config.value

    def open(self) -> None:
        super().open()
        self.outbox.emit(
            "conversation.created",
            conversation={"id": self.conversation.id, "object": "realtime.conversation"},
        )

    def close(self) -> None:
        self.responder.abandon()
        super().close()

    # --- client events ------------------------------------------------------------------------------

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
            self.outbox.emit("session.updated", session=self.value)

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
        self._announce(item.wire, previous)

    def _tool_answered(self, call_id: str, output: str) -> None:
        name = next(
            cast(str, item.wire["name"])
            for item in self.conversation.items
            if item.kind == "function_call" and item.wire.get("call_id") == call_id
        )
        self.truth.note("tool_outputs", {"call_id": call_id, "name": name, "output": output})
        self.mind.tool_result(name, output)

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

    def _speech_began(self, audio_start_ms: int) -> None:
        self._disarm_idle_timeout()
        super()._speech_began(audio_start_ms)
        self._turn_start_ms = audio_start_ms
        self.truth.note("speech", {"audio_start_ms": audio_start_ms})
        detection = self.config.turn_detection or {}
        if detection.get("interrupt_response"):
            self.responder.interrupt("turn_detected")
        self.hearing.speech_began()

    def _commit(self, item_id: str, *, end_ms: float | None = None) -> None:
        """A turn that the detector ended (at `end_ms`) is also answered, if the session wants it so."""
        committed = self.buffer.commit(end_ms=end_ms)
        if end_ms is None:
            self._add_caller_item(item_id, committed.length_ms, self.hearing.turn(committed, None))
            return
        speech_ms = end_ms - self._turn_start_ms - self.buffer.silence_ms - self.buffer.prefix_ms
        heard = self.hearing.turn(committed, speech_ms)
        self._add_caller_item(item_id, committed.length_ms, heard)
        if (self.config.turn_detection or {}).get("create_response"):
            self.responder.create({}, settled=heard.settled)

    def _add_caller_item(self, item_id: str, length_ms: float, heard: Heard) -> None:
        item = Item(
            caller_item(item_id), audio_ms=length_ms, audio_tokens=int(length_ms // CALLER_MS_PER_TOKEN)
        )
        previous = self.conversation.last_id()
        self.outbox.emit("input_audio_buffer.committed", item_id=item_id, previous_item_id=previous)
        self._announce(item.wire, self.conversation.add(item))
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
        words = text or ""
        pieces = [words] if model == "whisper-1" else words.partition(" ")
        if self._tell_transcript(item.id, text, model=model, audio_ms=item.audio_ms, pieces=pieces):
            item.content[0]["transcript"] = text

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
