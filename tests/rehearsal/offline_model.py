"""The offline OpenAI server on a real port, and a client that speaks to it in raw frames."""

import asyncio
import base64
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import websockets
from aiohttp import web

from tenex.lib.clock import Clock
from voice.rehearsal.ears.port import Ears
from voice.rehearsal.model.options import Options
from voice.rehearsal.model.state import MODEL, OfflineModel
from voice.rehearsal.openai_server import build_app
from voice.rehearsal.scenario import CallerStep, Scenario
from voice.rehearsal.stage import SpokenLine, Stage

KEY = "sk-offline-0123456789"
SILENCE = b"\xff"
Event = dict[str, Any]


class ToneVoice:
    """40 ms of a steady byte a letter: lengths that a test can compute."""

    async def speak(self, text: str, audio_format: str) -> bytes:
        return b"\x20" * (len(text) * 40 * (48 if audio_format == "audio/pcm" else 8))


REMOTE = "+14155550101"


class Script:
    """One answered call on a stage: `("agent", steps)` and `("caller", text)` entries in order."""

    def __init__(self, entries: Sequence[tuple[str, Any]]) -> None:
        self.stage = Stage()
        script = [{who: what} for who, what in entries]
        scenario = Scenario.model_validate({"name": "test", "script": script})
        self.call = self.stage.enter(
            remote=REMOTE, local="+14155550100", direction="inbound", scenario=scenario
        )

    def begin_line(self) -> SpokenLine:
        """The carrier begins to play the caller's next line."""
        steps = enumerate(self.call.scenario.script)
        index, text = next(
            (at, step.say)
            for at, step in steps
            if at > self.call.caller_at and isinstance(step, CallerStep) and step.say
        )
        return self.call.begin_line(index, text, duration_ms=len(speech()) // 8)

    def say_next(self) -> None:
        """The caller's next line has been played."""
        self.call.end_line(self.begin_line())


class Server:
    def __init__(self, port: int, state: OfflineModel) -> None:
        self.state = state
        self.http = f"http://127.0.0.1:{port}"
        self.base_url = f"{self.http}/v1"
        self.ws = f"ws://127.0.0.1:{port}/v1/realtime"

    @property
    def truth(self) -> Event:
        """Of the newest session."""
        return dict(next(reversed(self.state.sessions.values())).truth.as_json())


@asynccontextmanager
async def serving(
    stage: Script | None = None,
    *,
    scale: float = 10.0,
    options: Options | None = None,
    ears: Ears | None = None,
) -> AsyncIterator[Server]:
    app = build_app(
        stage.stage if stage else None,
        ToneVoice(),
        api_key=KEY,
        clock=Clock(scale),
        options=options,
        ears=ears,
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Server(runner.addresses[0][1], app[MODEL])
    finally:
        await runner.cleanup()


class Client:
    def __init__(self, ws: websockets.ClientConnection) -> None:
        self.ws = ws
        self.seen: list[Event] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.ws.send(orjson.dumps({"type": kind, **fields}).decode())

    async def next(self) -> Event:
        event: Event = orjson.loads(await asyncio.wait_for(self.ws.recv(), 10))
        self.seen.append(event)
        return event

    async def until(self, kind: str, where: Callable[[Event], bool] = lambda _event: True) -> Event:
        """Read on until an event of this type comes; everything read stays in `seen`."""
        while True:
            event = await self.next()
            if event["type"] == kind and where(event):
                return event

    async def configure(self, **session: Any) -> Event:
        """Update the session; phone audio, a known caller, transcription, all overridable."""
        audio = {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {"model": "gpt-transcribe"},
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 500},
                **session.pop("input", {}),
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin", **session.pop("output", {})},
        }
        body = {"type": "realtime", "instructions": f"Caller number: {REMOTE}", "audio": audio, **session}
        await self.send("session.update", event_id="cfg", session=body)
        return await self.until("session.updated")

    async def error_of(self, kind: str, **fields: Any) -> Event:
        """Send something wrong; the `error` object that comes for it."""
        await self.send(kind, event_id="wrong", **fields)
        event = await self.until("error")
        error: Event = event["error"]
        assert error["event_id"] == "wrong"
        return error

    async def append(self, audio: bytes, *, chunk: int = 800) -> None:
        for start in range(0, len(audio), chunk):
            await self.send(
                "input_audio_buffer.append", audio=base64.b64encode(audio[start : start + chunk]).decode()
            )

    async def speak(self, *, tail_ms: int = 700) -> None:
        """Real speech (about 1.5 s) between silences, as fast as the socket takes it."""
        await self.append(SILENCE * 2400 + speech() + SILENCE * 8 * tail_ms)

    def kinds(self, *, since: str | None = None) -> list[str]:
        """Types seen so far without repeats in a row."""
        kinds = [event["type"] for event in self.seen]
        if since is not None:
            kinds = kinds[len(kinds) - 1 - kinds[::-1].index(since) :]
        return [kind for index, kind in enumerate(kinds) if index == 0 or kinds[index - 1] != kind]


@asynccontextmanager
async def connected(
    server: Server, *, model: str = "gpt-realtime-2.1", headers: dict[str, str] | None = None
) -> AsyncIterator[Client]:
    async with websockets.connect(
        f"{server.ws}?model={model}",
        additional_headers={"Authorization": f"Bearer {KEY}", **(headers or {})},
        max_size=None,
        compression=None,
        close_timeout=1,
    ) as ws:
        yield Client(ws)


@asynccontextmanager
async def transcribing(server: Server, query: str = "intent=transcription") -> AsyncIterator[Client]:
    async with websockets.connect(
        f"{server.ws}?{query}", additional_headers={"Authorization": f"Bearer {KEY}"}, compression=None
    ) as ws:
        yield Client(ws)


@functools.cache
def speech_pcm24() -> bytes:
    """One spoken sentence without a long pause and without silence around it, 24 kHz PCM16."""
    import numpy as np

    from voice.opening.packaged import speak

    wave = speak("Yes we need it next month.")
    loud = np.flatnonzero(np.abs(wave) > 0.02)
    wave = wave[loud[0] : loud[-1]]
    return bytes((np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes())


@functools.cache
def speech() -> bytes:
    """The same in 8 kHz µ-law."""
    import numpy as np
    import soxr

    from voice.rehearsal.model.audio import ulaw_decode

    wave = np.frombuffer(speech_pcm24(), "<i2").astype(np.float32)
    narrow = soxr.resample(wave, 24000, 8000).astype(np.int32)
    levels = np.array([ulaw_decode(code) for code in range(256)])
    order = np.argsort(levels, kind="stable")
    nearest = np.searchsorted(levels[order], narrow).clip(0, 255)
    return bytes(order[nearest].astype(np.uint8))
