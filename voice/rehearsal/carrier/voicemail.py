"""<Record> and <Gather>: verbs that listen to the caller without a stream."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import numpy as np

from voice.rehearsal import mulaw
from voice.rehearsal.carrier import twiml
from voice.rehearsal.carrier.line import Line
from voice.rehearsal.carrier.params import RecordingPlan
from voice.rehearsal.carrier.records import CallbackPlan, RecordingRecord

if TYPE_CHECKING:
    from voice.rehearsal.carrier.call import LiveCall
    from voice.rehearsal.carrier.exchange import Exchange

_LOOK_S = 0.1


def _beep() -> bytes:
    """Half a second of 1 kHz, the tone before a message is recorded."""
    at = np.arange(mulaw.RATE_HZ // 2) / mulaw.RATE_HZ
    return mulaw.encode((np.sin(2 * np.pi * 1000 * at) * 8000).astype(np.int16))


async def record_message(
    exchange: "Exchange", live: "LiveCall", verb: twiml.Record, base_url: str
) -> dict[str, str]:
    """Record the caller until a key, the time limit or silence; the form for `action`."""
    line = live.line
    if verb.play_beep:
        await line.play(_beep())
    callback_url = urljoin(base_url, verb.status_callback) if verb.status_callback else ""
    callback = CallbackPlan(callback_url, verb.status_callback_method, verb.events)
    plan = RecordingPlan(1, "inbound", False, callback)
    recording = exchange.recorder.start(live, plan, source="RecordVerb")
    pressed: list[str] = []
    line.on_digit = lambda digit: pressed.append(digit) if digit in verb.finish_on_key else None
    line.remote_quiet_frames = 0
    try:
        while not pressed and not _message_over(line, recording, verb):
            await exchange.clock.sleep(_LOOK_S)
    except asyncio.CancelledError:
        if live.over and verb.action:  # the caller hung up: `action` is told all the same
            form = live.form() | _record_form(exchange, recording) | {"Digits": "hangup"}
            exchange.webhooks.notify(
                urljoin(base_url, verb.action), form, method=verb.method, call_sid=live.record.sid
            )
        raise
    finally:
        line.on_digit = None
    exchange.recorder.finish(live, recording)
    return _record_form(exchange, recording) | {"Digits": "".join(pressed)}


def _message_over(line: Line, recording: RecordingRecord, verb: twiml.Record) -> bool:
    recorded_s = len(recording.remote) / mulaw.RATE_HZ
    silent_s = line.remote_quiet_frames * mulaw.FRAME_MS / 1000
    return recorded_s >= verb.max_length_s or (verb.timeout_s > 0 and silent_s >= verb.timeout_s)


def _record_form(exchange: "Exchange", recording: RecordingRecord) -> dict[str, str]:
    return {
        "RecordingUrl": exchange.recording_url(recording),
        "RecordingSid": recording.sid,
        "RecordingDuration": str(recording.duration_s or 0),
    }


async def collect_digits(
    exchange: "Exchange", line: Line, verb: twiml.Gather, prompts: Callable[[], Awaitable[None]]
) -> str:
    """Keys pressed during the prompts or within the time-out after the last one."""
    keys: asyncio.Queue[str] = asyncio.Queue()
    line.on_digit = keys.put_nowait
    digits = ""
    speaking = asyncio.ensure_future(prompts())
    first = asyncio.ensure_future(keys.get())
    try:
        await asyncio.wait({speaking, first}, return_when=asyncio.FIRST_COMPLETED)
        speaking.cancel()
        while True:
            async with asyncio.timeout(exchange.clock.real_s(verb.timeout_s)):
                key = await first
            if key in verb.finish_on_key:
                return digits
            digits += key
            if verb.num_digits is not None and len(digits) >= verb.num_digits:
                return digits
            first = asyncio.ensure_future(keys.get())
    except TimeoutError:
        return digits
    finally:
        speaking.cancel()
        first.cancel()
        line.on_digit = None
