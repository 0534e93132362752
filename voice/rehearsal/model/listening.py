"""What every session of the offline model does, whether it answers or only writes: it listens and expires.

Nothing in here waits while it changes state: events come in one at a time, everything that takes time
(speech, transcripts, time-outs) runs in tasks that belong to the session and end with it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import cast

from tenex.lib.clock import Clock
from voice.rehearsal.model import client_events
from voice.rehearsal.model.input_buffer import InputBuffer
from voice.rehearsal.model.items import new_id
from voice.rehearsal.model.options import Options
from voice.rehearsal.model.outbox import Outbox
from voice.rehearsal.model.shapes import Json, Refusal
from voice.rehearsal.model.truth import SessionFaults, Truth
from voice.rehearsal.model.usage import transcription_usage
from voice.rehearsal.model.vad import SpeechBegan, SpeechEnded

type Handlers = Mapping[str, Callable[[dict[str, Json]], None]]

_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class ListeningSession(ABC):
    """A child sets `buffer`, and `handlers` for the events that it takes beside those of the buffer."""

    buffer: InputBuffer

    def __init__(self, *, model: str, outbox: Outbox, clock: Clock, options: Options) -> None:
        self.id = new_id("sess")
        self.outbox = outbox
        self.clock = clock
        self.options = options
        self.truth = Truth(session_id=self.id, model=model)
        self.faults = SessionFaults()
        self.handlers: Handlers = {}
        self._turn_item_id = ""
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life ---------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def value(self) -> dict[str, Json]:
        """The session as `session.created` and `session.updated` carry it."""

    def open(self) -> None:
        """Greet the client and start the session's own clock."""
        self.outbox.emit("session.created", session=self.value)
        self._spawn(self._expire())

    def close(self) -> None:
        """The socket is gone: nothing of this session goes on."""
        self.truth.open = False
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
            match kind:
                case "input_audio_buffer.append":
                    self._hear(cast(str, event["audio"]))
                case "input_audio_buffer.commit":
                    self._commit(self._turn_item_id if self.buffer.speaking else new_id("item"))
                case "input_audio_buffer.clear":
                    self.buffer.clear()
                    self.outbox.emit("input_audio_buffer.cleared")
                case _ if kind in self.handlers:
                    self.handlers[kind](event)
                case _:
                    raise Refusal(
                        f"'{kind}' is not supported in transcription sessions.",
                        code="invalid_event",
                        param="type",
                    )
        except Refusal as refusal:
            self.emit_error(refusal, client_events.event_id_of(raw))

    def emit_error(self, refusal: Refusal, event_id: str | None = None) -> None:
        """An `error` event that names the client's event."""
        body = {**refusal.body(), "event_id": event_id}
        self.truth.note("errors_sent", body)
        self.outbox.emit("error", error=body)

    # --- hearing ------------------------------------------------------------------------------------

    @abstractmethod
    def _commit(self, item_id: str, *, end_ms: float | None = None) -> None:
        """Take a turn out of the buffer, tell of it, and have it transcribed.

        Raises:
            Refusal: under 100 ms of sound.
        """

    def _hear(self, audio: str) -> None:
        changes = self.buffer.append(audio)
        self.truth.appended_ms = self.buffer.appended_ms
        for change in changes:
            match change:
                case SpeechBegan(audio_start_ms):
                    self._speech_began(audio_start_ms)
                case SpeechEnded(audio_end_ms):
                    self._speech_ended(audio_end_ms)

    def _speech_began(self, audio_start_ms: int) -> None:
        self.buffer.begin_turn(audio_start_ms)
        self._turn_item_id = new_id("item")
        self.outbox.emit(
            "input_audio_buffer.speech_started", audio_start_ms=audio_start_ms, item_id=self._turn_item_id
        )

    def _speech_ended(self, audio_end_ms: int) -> None:
        item_id = self._turn_item_id
        self.outbox.emit("input_audio_buffer.speech_stopped", audio_end_ms=audio_end_ms, item_id=item_id)
        try:
            self._commit(item_id, end_ms=audio_end_ms)
        except Refusal as refusal:
            self.emit_error(refusal)

    def _announce(self, item: dict[str, Json], previous: str | None) -> None:
        for kind in ("conversation.item.added", "conversation.item.done"):
            self.outbox.emit(kind, previous_item_id=previous, item=item)

    def _tell_transcript(
        self, item_id: str, text: str | None, *, model: str, audio_ms: float, pieces: Iterable[str]
    ) -> bool:
        """Tell what was understood, piece by piece, or that nothing was (`text` is None). Returns which."""
        if text is None or self.faults.take("fail_transcription"):
            error: Json = {
                "type": "transcription_error",
                "code": "audio_unintelligible",
                "message": "The audio could not be transcribed.",
                "param": None,
            }
            self.outbox.emit(f"{_TRANSCRIPTION}.failed", item_id=item_id, content_index=0, error=error)
            return False
        for piece in filter(None, pieces):
            self.outbox.emit(f"{_TRANSCRIPTION}.delta", item_id=item_id, content_index=0, delta=piece)
        self.outbox.emit(
            f"{_TRANSCRIPTION}.completed",
            item_id=item_id,
            content_index=0,
            transcript=text,
            usage=transcription_usage(model, audio_ms, text),
        )
        return True


def caller_item(item_id: str) -> dict[str, Json]:
    """A turn of the caller as it stands in the conversation before it is transcribed."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
