"""The model's end of the load: a Realtime-like server that speaks in turns and interrupts itself.

Asked for the greeting it speaks at once. A turn of five seconds: the caller begins to speak
(`speech_started`, into the answer that still plays), then stops and gets an answer of four seconds in deltas
of 200 ms at twice real time, with its transcript. Every eighth answer calls a tool first. The audio, in and
out, carries the instant at which it was sent; the greeting's first piece that of `session.updated`.
"""

import asyncio
import base64
from array import array
from collections.abc import Callable
from typing import Any, Final

import orjson
import picows

TURN_S: Final = 5.0
DELTA_MS: Final = 200
DELTAS: Final = 20
GREETING_DELTAS: Final = 3
STAMP_CHARS: Final = 12
_SPREAD: Final = 0.6180339887
"""Of a turn between one call and the next: whatever their number, they lie evenly over it."""
_REST: Final = base64.b64encode(bytes([0x7F]) * (DELTA_MS * 8 - 9)).decode("ascii")
_WORDS: Final = ("certainly", "we", "can", "find", "a", "time", "that", "suits", "you", "well.")


def stamp(call: int, now_us: int) -> str:
    """12 base64 characters: nine bytes of 'audio' that carry an instant and a call."""
    return base64.b64encode(now_us.to_bytes(6, "big") + call.to_bytes(3, "big")).decode("ascii")


def unstamp(text: str) -> tuple[int, int]:
    """(call, microseconds) of :func:`stamp`."""
    raw = base64.b64decode(text)
    return int.from_bytes(raw[6:], "big"), int.from_bytes(raw[:6], "big")


class Samples:
    """Latencies in microseconds, and whether they count now."""

    def __init__(self) -> None:
        self.measuring = False
        self.caller_to_model = array("q")
        self.model_to_caller = array("q")
        self.clear = array("q")
        self.first_audio = array("q")
        """`session.updated` sent to the call's first sound, of every call, measured or not."""
        self.missed_clears = 0


class Session(picows.WSListener):  # type: ignore[misc,unused-ignore]
    """One model session."""

    def __init__(self, samples: Samples, now_us: Callable[[], int], interrupted: dict[int, int]) -> None:
        self._samples = samples
        self._now_us = now_us
        self._interrupted = interrupted
        self._transport: Any = None
        self._call = -1
        self._turn = 0
        self._talk: asyncio.Task[None] | None = None
        self._answering = False
        self._asked = 0
        self._updated_us = 0
        self._greeting: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: Any) -> None:
        self._transport = transport

    def on_ws_disconnected(self, transport: Any) -> None:
        self._transport = None
        for task in (self._talk, self._greeting):
            if task is not None:
                task.cancel()

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()
            return
        if frame.msg_type != picows.WSMsgType.TEXT:
            return
        text = frame.get_payload_as_ascii_text() if frame.payload_size < 600 else ""
        if text.startswith('{"type":"input_audio_buffer.append"'):
            at = text.index('"audio":"') + 9
            call, sent_us = unstamp(text[at : at + STAMP_CHARS])
            if self._samples.measuring:
                self._samples.caller_to_model.append(self._now_us() - sent_us)
            if self._talk is None:
                self._call = call
                self._talk = asyncio.get_running_loop().create_task(self._converse())
            return
        self._on_request(orjson.loads(frame.get_payload_as_bytes()))

    def _on_request(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "session.update":
            session = {**message["session"], "id": "sess_bench", "object": "realtime.session"}
            self._updated_us = self._now_us()
            self._say("session.updated", session=session)
        elif kind == "response.create":
            self._on_create(message)

    def _on_create(self, message: dict[str, Any]) -> None:
        """The greeting is spoken; all else that the application asks for itself has nothing to say."""
        if self._answering:
            code = "conversation_already_has_active_response"
            self._say("error", error={"code": code, "message": code, "event_id": message.get("event_id")})
            return
        self._asked += 1
        body = {"id": f"resp_own{self._asked}", "metadata": message.get("response", {}).get("metadata")}
        self._say("response.created", response={**body, "status": "in_progress"})
        if self._asked == 1 and self._turn == 0:
            self._answering = True
            self._greeting = asyncio.get_running_loop().create_task(self._greet(body["id"]))
            return
        self._say("response.done", response={**body, "status": "completed", "output": [], "usage": None})

    def _say(self, kind: str, **fields: Any) -> None:
        if self._transport is not None:
            event = {"type": kind, "event_id": "event_bench", **fields}
            self._transport.send(picows.WSMsgType.TEXT, orjson.dumps(event))

    async def _greet(self, response: str) -> None:
        await self._speak(response, 0, GREETING_DELTAS, self._updated_us)

    async def _converse(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        begin = now + (self._call * _SPREAD * TURN_S - now) % TURN_S
        while True:
            turn = self._turn = self._turn + 1
            await asyncio.sleep(max(0.0, begin + (turn - 1) * TURN_S - loop.time()))
            item = f"item_u{turn}"
            if self._call in self._interrupted and self._samples.measuring:
                self._samples.missed_clears += 1
            self._interrupted[self._call] = self._now_us()
            self._say("input_audio_buffer.speech_started", item_id=item, audio_start_ms=turn * 5000)
            await asyncio.sleep(1.2)
            self._caller_said(item, turn)
            await asyncio.sleep(0.2)
            await self._answer(turn)

    def _caller_said(self, item: str, turn: int) -> None:
        self._say("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=turn * 5000 + 1200)
        self._say("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        message = {"id": item, "type": "message", "role": "user", "status": "completed", "content": []}
        self._say("conversation.item.added", previous_item_id=None, item=message)
        self._say("conversation.item.done", previous_item_id=None, item=message)
        self._say(
            "conversation.item.input_audio_transcription.completed",
            item_id=item,
            content_index=0,
            transcript="Could you tell me when somebody is free next week?",
            usage={"type": "duration", "seconds": 2},
        )

    async def _answer(self, turn: int) -> None:
        response = f"resp_{turn}"
        self._answering = True
        self._say("response.created", response={"id": response, "status": "in_progress", "metadata": None})
        limits = [{"name": "tokens", "limit": 1_000_000, "remaining": 999_000, "reset_seconds": 0.1}]
        self._say("rate_limits.updated", rate_limits=limits)
        if turn % 8 == 0:
            self._call_tool(response, turn)
        await self._speak(response, turn, DELTAS)

    async def _speak(self, response: str, turn: int, deltas: int, first_us: int = 0) -> None:
        """So many pieces of sound with words, and the end of the response; the first may carry an instant."""
        item = f"item_a{turn}"
        ids = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        message: dict[str, Any] = {"id": item, "type": "message", "role": "assistant", "content": []}
        self._say("response.output_item.added", response_id=response, output_index=0, item=message)
        self._say("conversation.item.added", previous_item_id=f"item_u{turn}", item=message)
        self._say("response.content_part.added", **ids, part={"type": "audio", "transcript": ""})
        loop = asyncio.get_running_loop()
        begin, said = loop.time(), ""
        for number in range(deltas):
            await asyncio.sleep(max(0.0, begin + number * DELTA_MS / 2000 - loop.time()))
            word = _WORDS[number % len(_WORDS)] + " "
            said += word
            self._say("response.output_audio_transcript.delta", **ids, delta=word)
            payload = stamp(max(0, self._call), first_us or self._now_us()) + _REST
            first_us = 0
            self._say("response.output_audio.delta", **ids, delta=payload)
        self._say("response.output_audio.done", **ids)
        self._say("response.output_audio_transcript.done", **ids, transcript=said)
        self._say("response.content_part.done", **ids, part={"type": "audio", "transcript": said})
        message = {
            **message,
            "status": "completed",
            "content": [{"type": "output_audio", "transcript": said}],
        }
        self._say("response.output_item.done", response_id=response, output_index=0, item=message)
        self._say("conversation.item.done", previous_item_id=f"item_u{turn}", item=message)
        self._answering = False
        self._done(response, [message])

    def _call_tool(self, response: str, turn: int) -> None:
        call = {
            "id": f"item_f{turn}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{turn}",
            "name": "lookup_lead",
            "arguments": "{}",
        }
        self._say("response.output_item.added", response_id=response, output_index=1, item=call)
        self._say("response.output_item.done", response_id=response, output_index=1, item=call)

    def _done(self, response: str, output: list[dict[str, Any]]) -> None:
        usage = {
            "total_tokens": 253,
            "input_tokens": 132,
            "output_tokens": 121,
            "input_token_details": {"text_tokens": 119, "audio_tokens": 13, "cached_tokens": 64},
            "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
        }
        body = {"id": response, "status": "completed", "output": output, "usage": usage, "metadata": None}
        self._say("response.done", response=body)
