"""One response: items and deltas in the documented order, faster than real time, stoppable at any instant.

Order and objects: openai_realtime.md 5 and 6. Everything is emitted without waiting in between, so a stop
(the caller talks over, `response.cancel`) always finds a consistent state and closes what is open.
"""

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import assert_never

import orjson
import structlog

from tenex.lib.clock import Clock
from voice.rehearsal.model.audio import BYTES_PER_MS
from voice.rehearsal.model.items import Conversation, Item, new_id, text_tokens
from voice.rehearsal.model.options import Options
from voice.rehearsal.model.outbox import Outbox
from voice.rehearsal.model.shapes import Json
from voice.rehearsal.model.steps import Answering, Break, Say, Think, UseTool, Voice
from voice.rehearsal.model.usage import AGENT_MS_PER_TOKEN, Reading

log = structlog.get_logger(__name__)

QUOTA: dict[str, Json] = {
    "type": "insufficient_quota",
    "code": "insufficient_quota",
    "message": "You exceeded your current quota, please check your plan and billing details.",
}
SURVIVED = ("malformed", "trickle")
"""Faults that leave the connection open."""
_TRANSCRIPT_LEAD_MS = 200
_ARGUMENT_CHARS = 16
_BACKLOG_FRAMES = 400


@dataclass(frozen=True, slots=True)
class Plan:
    """The effective settings of one response."""

    spoken: bool
    output_format: str
    voice: Json
    max_output_tokens: int | None
    metadata: dict[str, str] | None
    conversation: Conversation | None
    """None for an out-of-band response: its items join no conversation."""
    reading: Reading


@dataclass(slots=True)
class _Open:
    """The item that is being produced."""

    item: Item
    index: int
    part: bool = False
    text: str = ""


@dataclass(slots=True)
class Reply:
    plan: Plan
    outbox: Outbox
    clock: Clock
    voice: Voice
    options: Options
    answering: Answering
    on_done: Callable[["Reply"], None]
    on_break: Callable[[str], None]
    id: str = field(default_factory=lambda: new_id("resp"))
    status: str = "in_progress"
    reason: str | None = None
    error: dict[str, Json] | None = None
    output: list[dict[str, Json]] = field(default_factory=list)
    spoken_ms: float = 0.0
    first_audio_at: float | None = None
    """Scaled clock at the first audio delta."""
    said: list[str] = field(default_factory=list)
    _text_tokens: int = 0
    _open: _Open | None = None
    _task: asyncio.Task[None] | None = None

    # --- life ---------------------------------------------------------------------------------------

    def start(self, ready: Callable[[], Awaitable[None]]) -> None:
        """Announce the response and, once `ready` has returned, produce its steps in a task of its own."""
        self.outbox.emit("response.created", response=self.wire())
        limits = self.options.requests_per_minute, self.options.tokens_per_minute
        self.outbox.emit(
            "rate_limits.updated",
            rate_limits=[
                {"name": "requests", "limit": limits[0], "remaining": limits[0] - 1, "reset_seconds": 0.012},
                {"name": "tokens", "limit": limits[1], "remaining": limits[1] - 5_000, "reset_seconds": 1.5},
            ],
        )
        self._task = asyncio.get_running_loop().create_task(self._run(ready))

    def stop(self, reason: str) -> None:
        """Cancel now: open parts are closed as incomplete and `response.done` says why."""
        self._finish("cancelled", reason)

    def fail(self, error: dict[str, Json]) -> None:
        """End with status `failed`; `error` has type, code and message."""
        self.error = error
        self._finish("failed", None)

    async def _run(self, ready: Callable[[], Awaitable[None]]) -> None:
        try:
            await ready()
            while self.status == "in_progress" and (step := self.answering.next_step()) is not None:
                match step:
                    case Say():
                        await self._say(step.text)
                    case UseTool():
                        await self._call(step)
                    case Think():
                        await self.clock.sleep(step.seconds)
                    case Break(kind="quota"):
                        self.fail(QUOTA)
                    case Break():
                        await self.outbox.drained(0)
                        self.on_break(step.kind)
                        if step.kind not in SURVIVED:
                            await asyncio.Event().wait()  # until the socket's end ends this task
                    case _:
                        assert_never(step)
            self._finish("completed", None)
        except Exception:
            log.exception("offline model response failed", response_id=self.id)
            self.fail({"type": "server_error", "code": "server_error", "message": "The server had an error."})

    def _finish(self, status: str, reason: str | None) -> None:
        if self.status != "in_progress":
            return
        if self._open is not None:
            self._close_item("incomplete")
        self.status, self.reason = status, reason
        self.outbox.emit("response.done", response=self.wire())
        self.answering.over(completed=status == "completed")
        self.on_done(self)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def wire(self) -> dict[str, Json]:
        """The response object as it stands."""
        details: Json = None
        if self.status not in ("in_progress", "completed"):
            details = {"type": self.status}
            details |= {"reason": self.reason} if self.reason else {}
            details |= {"error": self.error} if self.error else {}
        usage: Json = None
        if self.status != "in_progress":
            usage = self.plan.reading.usage(
                out_text=self._text_tokens, out_audio=round(self.spoken_ms / AGENT_MS_PER_TOKEN)
            )
        conversation = self.plan.conversation
        output: list[Json] = [*self.output]
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": details,
            "output": output,
            "conversation_id": conversation.id if conversation else None,
            "output_modalities": ["audio"] if self.plan.spoken else ["text"],
            "max_output_tokens": self.plan.max_output_tokens or "inf",
            "audio": {"output": {"format": _format(self.plan.output_format), "voice": self.plan.voice}},
            "usage": usage,
            "metadata": dict(self.plan.metadata) if self.plan.metadata is not None else None,
        }

    # --- items --------------------------------------------------------------------------------------

    def _ids(self, opened: _Open, *, content: bool = True) -> dict[str, Json]:
        ids: dict[str, Json] = {
            "response_id": self.id,
            "item_id": opened.item.id,
            "output_index": opened.index,
        }
        return {**ids, "content_index": 0} if content else ids

    def _open_item(self, wire: dict[str, Json]) -> _Open:
        item = Item({"id": new_id("item"), "object": "realtime.item", "status": "in_progress", **wire})
        opened = self._open = _Open(item, len(self.output))
        self.outbox.emit(
            "response.output_item.added", response_id=self.id, output_index=opened.index, item=dict(item.wire)
        )
        if self.plan.conversation is not None:
            previous = self.plan.conversation.add(item)
            self.outbox.emit("conversation.item.added", previous_item_id=previous, item=dict(item.wire))
        return opened

    def _close_item(self, status: str) -> None:
        """Everything that ends an item: its part, the item, the conversation's item."""
        opened = self._open
        if opened is None:
            return
        self._open = None
        item = opened.item
        if item.kind == "function_call":
            self.outbox.emit(
                "response.function_call_arguments.done",
                **self._ids(opened, content=False),
                call_id=item.wire["call_id"],
                name=item.wire["name"],
                arguments=opened.text,
            )
            item.wire["arguments"] = opened.text
            self._text_tokens += text_tokens(opened.text)
        elif opened.part:
            self._close_part(opened)
        item.wire["status"] = status
        item.text_tokens = text_tokens(opened.text)
        self.output.append(item.wire)
        wire = dict(item.wire)
        self.outbox.emit(
            "response.output_item.done", response_id=self.id, output_index=opened.index, item=wire
        )
        conversation = self.plan.conversation
        if conversation is not None and conversation.find(item.id) is item:
            at = conversation.items.index(item)
            previous = conversation.items[at - 1].id if at else None
            self.outbox.emit("conversation.item.done", previous_item_id=previous, item=wire)

    def _close_part(self, opened: _Open) -> None:
        ids, text = self._ids(opened), opened.text
        self._text_tokens += text_tokens(text)
        self.said.append(text)
        part: dict[str, Json]
        content: dict[str, Json]
        if self.plan.spoken:
            self.outbox.emit("response.output_audio.done", **ids)
            self.outbox.emit("response.output_audio_transcript.done", **ids, transcript=text)
            part, content = (
                {"type": "audio", "transcript": text},
                {"type": "output_audio", "transcript": text},
            )
        else:
            self.outbox.emit("response.output_text.done", **ids, text=text)
            part, content = {"type": "text", "text": text}, {"type": "output_text", "text": text}
        self.outbox.emit("response.content_part.done", **ids, part=part)
        opened.item.wire["content"] = [content]

    # --- speech, text, tools ------------------------------------------------------------------------

    async def _say(self, text: str) -> None:
        audio = await self.voice.speak(text, self.plan.output_format) if self.plan.spoken else b""
        opened = self._open_item({"type": "message", "role": "assistant", "content": []})
        empty: dict[str, Json] = (
            {"type": "audio", "transcript": ""} if self.plan.spoken else {"type": "text", "text": ""}
        )
        self.outbox.emit("response.content_part.added", **self._ids(opened), part=empty)
        opened.part = True
        whole = await (
            self._stream_audio(opened, text, audio) if self.plan.spoken else self._stream_text(opened, text)
        )
        self._close_item("completed" if whole else "incomplete")
        if not whole:
            self._finish("incomplete", "max_output_tokens")

    async def _stream_audio(self, opened: _Open, text: str, audio: bytes) -> bool:
        """False when the token limit cut the line."""
        per_ms = BYTES_PER_MS[self.plan.output_format]
        total_ms = len(audio) / per_ms
        limit_ms = self._limit_ms(total_ms)
        words = re.findall(r"\S+\s*", text)
        told, at_ms, began = 0, 0.0, self.clock.now()
        self.first_audio_at = self.first_audio_at or began
        while at_ms < limit_ms:
            end_ms = min(limit_ms, at_ms + self.options.delta_ms)
            known = min(len(words), 1 + int(len(words) * (end_ms + _TRANSCRIPT_LEAD_MS) / max(1.0, total_ms)))
            for word in words[told:known]:
                self._tell(opened, word)
            told = max(told, known)
            chunk = base64.b64encode(audio[int(at_ms * per_ms) : int(end_ms * per_ms)]).decode()
            self.outbox.emit_audio(self.id, opened.item.id, opened.index, 0, chunk)
            self._count_audio(opened, end_ms - at_ms)
            at_ms = end_ms
            await self._pause(began + at_ms / 1000 / self.options.pace)
        whole = limit_ms >= total_ms
        for word in words[told:] if whole else []:
            self._tell(opened, word)
        return whole

    async def _stream_text(self, opened: _Open, text: str) -> bool:
        budget = (
            None if self.plan.max_output_tokens is None else self.plan.max_output_tokens - self._text_tokens
        )
        for word in re.findall(r"\S+\s*", text):
            if budget is not None and text_tokens(opened.text + word) > budget:
                return False
            opened.text += word
            self.outbox.emit("response.output_text.delta", **self._ids(opened), delta=word)
            await self.clock.sleep(0.005)
        return True

    def _tell(self, opened: _Open, word: str) -> None:
        opened.text += word
        self.outbox.emit("response.output_audio_transcript.delta", **self._ids(opened), delta=word)

    def _count_audio(self, opened: _Open, ms: float) -> None:
        self.spoken_ms += ms
        opened.item.audio_ms += ms
        opened.item.audio_tokens = round(opened.item.audio_ms / AGENT_MS_PER_TOKEN)

    def _limit_ms(self, total_ms: float) -> float:
        if self.plan.max_output_tokens is None:
            return total_ms
        used = self._text_tokens + round(self.spoken_ms / AGENT_MS_PER_TOKEN)
        return min(total_ms, max(0, self.plan.max_output_tokens - used) * float(AGENT_MS_PER_TOKEN))

    async def _call(self, step: UseTool) -> None:
        arguments = orjson.dumps(step.arguments).decode()
        opened = self._open_item(
            {"type": "function_call", "name": step.name, "call_id": new_id("call"), "arguments": ""}
        )
        for start in range(0, len(arguments), _ARGUMENT_CHARS):
            delta = arguments[start : start + _ARGUMENT_CHARS]
            opened.text += delta
            self.outbox.emit(
                "response.function_call_arguments.delta",
                **self._ids(opened, content=False),
                call_id=opened.item.wire["call_id"],
                delta=delta,
            )
            await self.clock.sleep(0.01)
        self._close_item("completed")

    async def _pause(self, until: float) -> None:
        """Sleep to the scaled instant `until`, longer while the client does not read."""
        await self.clock.sleep(until - self.clock.now())
        await self.outbox.drained(_BACKLOG_FRAMES)


def _format(name: str) -> dict[str, Json]:
    return {"type": name, "rate": 24000} if name == "audio/pcm" else {"type": name}
