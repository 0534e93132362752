"""A caller of a live-call promise: rings the application as Twilio does, sends audio, keeps what is heard.

It interprets the TwiML that we answer with (Connect/Stream, Redirect, Say, Dial, Hangup, Reject), so that
what happens behind a lost media socket happens here too. Audio is played in real time on a virtual ear.
"""

import asyncio
import base64
import contextlib
import secrets
import time
import xml.etree.ElementTree as ET
from collections import deque
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import aiohttp
import orjson
import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.prove.live_account import ACCOUNT_SID, AUTH_TOKEN
from voice.bridge import clips

FRAME_S = 0.02
SILENCE = base64.b64encode(b"\xff" * 160).decode()
_TONE_20_MS = (b"\x10" * 10 + b"\x90" * 10) * 8
_QUIET = bytes([0xFF, 0xFE, 0xFD, 0xFC, 0x7F, 0x7E, 0x7D, 0x7C])
STAMP_CHARS = 12
_SAY_S = 2.0
OUR_NUMBER = "+14155550100"


@dataclass(slots=True)
class Sound:
    """Something that came to be played. `at`: when it came; `starts`, `ends`: when the ear has it."""

    at: float
    starts: float
    ends: float
    what: str
    """agent, say, or the name of one of our clips."""


def stamped(number: int) -> str:
    """A frame of near silence that can be told from all others: its first characters are unique."""
    mark = bytes(_QUIET[number >> (3 * place) & 7] for place in range(9))
    return base64.b64encode(mark + b"\xff" * 151).decode()


def signature(url: str, fields: dict[str, str]) -> dict[str, str]:
    """Twilio's header over a request."""
    from voice.telephony.signature import HEADER, sign

    return {HEADER: sign(url, fields, token=AUTH_TOKEN)}


class Phone:
    """One call of one caller. `run` rings and returns when the call is over at the carrier."""

    def __init__(
        self, base_url: str, remote: str, http: aiohttp.ClientSession, *, scale: float = 1.0
    ) -> None:
        self.remote = remote
        self.sid = "CA" + secrets.token_hex(16)
        self.sounds: list[Sound] = []
        self.streams = 0
        self.status = "ringing"
        self.ended_at = 0.0
        self.ended_by = ""
        self.answered_at = 0.0
        self.socket_closed_at = 0.0
        self.sent_at: dict[str, float] = {}
        """Of stamped frames, by their first characters."""
        self.stamps = False
        self.mute = False
        """Send no frames at all, the socket stays open."""
        self.frame_s = FRAME_S
        """Real ones have 20 ms. Longer ones, where many calls run faster than time, cost less."""
        self.leaves_socket_open = False
        """The carrier ends the call and never says so: no `stop`, no close, no callback."""
        self.connected_at = 0.0
        self.hang_up_refusals = 0
        """So many of our requests to hang up are answered with 500."""
        self.person = ""
        """How a `<Dial>` ends ("completed", "no-answer"); empty: nobody is told."""
        self.recording: dict[str, float] = {}
        """When the application had the recording started and stopped."""
        self.over = asyncio.Event()
        self.spoken_until = 0.0
        self._base, self._http, self._scale = base_url, http, scale
        self._loop = asyncio.get_running_loop()
        self._tone_frames = 0
        self._ws: ClientConnection | None = None
        self._stream_sid = ""
        self._until = 0.0
        self._marks: deque[tuple[float, str]] = deque()
        self._frames = 0
        self._clips: dict[str, str] = {clip.payload: name for name, clip in clips.load().items()}
        self._next_twiml: str | None = None

    # --- what a promise does with it ---

    def speak(self, seconds: float) -> None:
        """Talk from now on for so long."""
        self._tone_frames = int(seconds / self.frame_s)
        self.spoken_until = self._loop.time() + seconds / self._scale

    def wall(self, at: float) -> float:
        """An instant of this ear as seconds of the wall's clock."""
        return time.time() - self._loop.time() + at

    @property
    def sounding(self) -> bool:
        return self._until > self._loop.time()

    @property
    def plays_until(self) -> float:
        return self._until

    async def end(self, by: str) -> None:
        """The call ends at the carrier (somebody hung up)."""
        if self.ended_at:
            return
        self.ended_at, self.ended_by, self.status = self._loop.time(), by, "completed"
        self.over.set()
        if self.leaves_socket_open:
            self.mute = True
            return
        await self._leave_stream()
        await self._callback()

    async def redirect(self, twiml: str) -> None:
        """The application gave new instructions for the running call."""
        self._next_twiml = twiml
        await self._leave_stream()

    async def drop(self) -> None:
        """The end of everything, after a promise."""
        self.over.set()
        if self._ws is not None:
            self._ws.transport.abort()

    # --- the call ---

    async def run(self) -> None:
        fields = self._fields("ringing")
        document = await self._post("/twilio/voice", fields)
        self.status, self.answered_at = "in-progress", self._loop.time()
        while document and not self.ended_at:
            document = await self._follow(document)
        if not self.ended_at:
            await self.end("end of instructions")

    async def _follow(self, document: str) -> str:
        """Carry out one document; the next one, or nothing."""
        for verb in ET.fromstring(document):  # noqa: S314 - our own application's
            if self.ended_at:
                return ""
            match verb.tag:
                case "Connect":
                    await self._stream(verb[0])
                case "Say":
                    self._hear("say", _SAY_S)
                    await asyncio.sleep(_SAY_S / self._scale)
                case "Redirect":
                    return await self._post((verb.text or "").removeprefix(self._base), self._fields())
                case "Dial":
                    self._hear("person", _SAY_S)
                    await asyncio.sleep(_SAY_S / self._scale)
                    if not self.person:
                        return ""
                    path = verb.attrib["action"].removeprefix(self._base)
                    return await self._post(path, self._fields() | {"DialCallStatus": self.person})
                case "Hangup" | "Reject":
                    await self.end("twiml")
                    return ""
            if self._next_twiml is not None:
                instead, self._next_twiml = self._next_twiml, None
                return instead
        return ""

    async def _post(self, path: str, fields: dict[str, str]) -> str:
        url = self._base + path
        async with self._http.post(url, data=fields, headers=signature(url, fields)) as answer:
            return await answer.text() if answer.status == 200 else ""

    def _fields(self, status: str = "in-progress") -> dict[str, str]:
        return {
            "CallSid": self.sid,
            "AccountSid": ACCOUNT_SID,
            "From": self.remote,
            "To": OUR_NUMBER,
            "CallStatus": status,
            "ApiVersion": "2010-04-01",
            "Direction": "inbound",
        }

    async def _callback(self) -> None:
        fields = self._fields("completed") | {
            "CallDuration": str(max(1, round(self.ended_at - self.answered_at))),
            "SequenceNumber": "0",
            "Timestamp": formatdate(usegmt=True),
        }
        with contextlib.suppress(aiohttp.ClientError):
            await self._post("/twilio/status", fields)

    # --- the media stream ---

    async def _stream(self, stream: ET.Element) -> None:
        self.streams += 1
        self._stream_sid = "MZ" + secrets.token_hex(16)
        url = stream.attrib["url"]
        headers = signature(url, {})
        parameters = {item.attrib["name"]: item.attrib["value"] for item in stream}
        try:
            async with connect(
                url, compression=None, max_size=None, additional_headers=headers, ping_interval=None
            ) as ws:
                self._ws = ws
                await self._send(event="connected", protocol="Call", version="1.0.0")
                await self._send(**self.start_message(parameters))
                self.connected_at = self.connected_at or self._loop.time()
                pace = asyncio.create_task(self._pace())
                try:
                    async for frame in ws:
                        self._receive(orjson.loads(frame))
                finally:
                    pace.cancel()
        except (websockets.WebSocketException, OSError):
            pass
        self.socket_closed_at = self._loop.time()
        self._until = min(self._until, self._loop.time())
        self._ws = None

    def start_message(self, parameters: dict[str, str]) -> dict[str, Any]:
        start = {
            "accountSid": ACCOUNT_SID,
            "streamSid": self._stream_sid,
            "callSid": self.sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }
        return {"event": "start", "sequenceNumber": "1", "streamSid": self._stream_sid, "start": start}

    async def _leave_stream(self) -> None:
        ws = self._ws
        if ws is None:
            return
        with contextlib.suppress(websockets.WebSocketException, TimeoutError):
            async with asyncio.timeout(3):
                stop = {"accountSid": ACCOUNT_SID, "callSid": self.sid}
                await self._send(event="stop", sequenceNumber="9", streamSid=self._stream_sid, stop=stop)
                await ws.close()

    async def _pace(self) -> None:
        """A frame every 20 ms, and the marks whose audio has been played."""
        began, sent = self._loop.time(), 0
        while True:
            sent += 1
            await asyncio.sleep(max(0.0, began + sent * self.frame_s / self._scale - self._loop.time()))
            now = self._loop.time()
            while self._marks and self._marks[0][0] <= now:
                await self._return_mark(self._marks.popleft()[1])
            if not self.mute:
                await self._frame(now)

    async def _frame(self, now: float) -> None:
        self._frames += 1
        length = round(self.frame_s / FRAME_S)
        payload = base64.b64encode(b"\xff" * 160 * length).decode()
        if self._tone_frames > 0:
            self._tone_frames -= 1
            payload = base64.b64encode(_TONE_20_MS * length).decode()
        elif self.stamps:
            payload = stamped(self._frames)
            self.sent_at[payload[:STAMP_CHARS]] = now
        chunk = str(self._frames)
        media = {
            "track": "inbound",
            "chunk": chunk,
            "timestamp": str(self._frames * 20 * length),
            "payload": payload,
        }
        await self._send(event="media", sequenceNumber=chunk, streamSid=self._stream_sid, media=media)

    async def _send(self, **message: Any) -> None:
        if self._ws is not None:
            await self._ws.send(orjson.dumps(message).decode())

    async def _return_mark(self, name: str) -> None:
        await self._send(event="mark", sequenceNumber="5", streamSid=self._stream_sid, mark={"name": name})

    def _receive(self, message: dict[str, Any]) -> None:
        match message["event"]:
            case "media":
                payload = message["media"]["payload"]
                what = self._clips.get(payload) or self._rest_of(payload)
                self._hear(what, len(payload) * 3 / 4 / 8000)
            case "mark":
                self._marks.append((self._until, message["mark"]["name"]))
            case "clear":
                now = self._loop.time()
                for sound in self.sounds:
                    sound.ends = min(sound.ends, max(now, sound.starts))
                self._until = min(self._until, now)
                self._marks = deque((0.0, name) for _, name in self._marks)

    def _rest_of(self, payload: str) -> str:
        """A line of ours that goes on after it was silenced; anything else is the agent."""
        return next((name for known, name in self._clips.items() if known.endswith(payload)), "agent")

    def _hear(self, what: str, seconds: float) -> None:
        now = self._loop.time()
        starts = max(now, self._until)
        self._until = starts + seconds / self._scale
        self.sounds.append(Sound(now, starts, self._until, what))
