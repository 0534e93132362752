"""The caller's end of a Media Stream: our websocket client to the application (twilio.md 3, 4, 5, 6)."""

import asyncio
import base64
import binascii
import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import orjson
import structlog

from voice.rehearsal import mulaw
from voice.rehearsal.carrier import twiml
from voice.rehearsal.carrier.line import Line
from voice.rehearsal.carrier.options import CarrierOptions
from voice.rehearsal.carrier.records import Books, CallRecord, StreamFacts, new_sid
from voice.rehearsal.carrier.webhooks import Webhooks

log = structlog.get_logger(__name__)

_MAX_MESSAGE_BYTES = 8 * 1024 * 1024
_MAX_WAITING = 3_000
"""Messages that wait for a socket which does not read (a minute of sound); newer frames are then lost."""
_SILENT_PAYLOAD = base64.b64encode(mulaw.SILENT_FRAME).decode()
_CONNECT_S = 10.0
_CLOSE_S = 2.0


class StreamFailed(Exception):
    """The socket could not be opened. `code` is the debugger's (twilio.md 5)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ProtocolBroken(Exception):
    """Strict mode: the application sent what it must not."""


@dataclass(frozen=True, slots=True)
class _Wrong:
    code: int
    message: str


class MediaStream:
    """One `<Connect><Stream>`. `run` returns when the application has closed the socket."""

    def __init__(
        self,
        *,
        verb: twiml.Stream,
        line: Line,
        call: CallRecord,
        books: Books,
        webhooks: Webhooks,
        options: CarrierOptions,
    ) -> None:
        self.sid = new_sid("MZ")
        self.name = verb.name or self.sid
        self._verb = verb
        self._line = line
        self._call = call
        self._books = books
        self._webhooks = webhooks
        self._options = options
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._out: deque[str] = deque()
        self._wake = asyncio.Event()
        self._sequence = 0
        self._chunk = 0
        self._stopped = False
        self._reported: set[int] = set()
        self._writer: asyncio.Task[None] | None = None
        self.facts = StreamFacts(self.sid)
        call.streams.append(self.facts)

    # --- life --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Open the socket and carry sound until the application closes it, or this task is cancelled.

        Raises:
            StreamFailed: it could not be opened.
            ProtocolBroken: in strict mode.
        """
        ws = self._ws = await self._open()
        self._webhooks.sockets.add(ws)
        self._put({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self._put(self._start_message(), numbered=True)
        self._writer = asyncio.get_running_loop().create_task(self._write(ws))
        self._line.tap = self
        self._status("stream-started")
        try:
            await self._read(ws)
            self.facts.closed_by = "app"
            self._writer.cancel()
            self._webhooks.sockets.discard(ws)
        finally:  # else it is cancelled, and `hang_up` follows
            self._line.tap = None
            self._line.playback.clear()
            self.facts.closed_by = self.facts.closed_by or "carrier"
            self.facts.close_code = ws.close_code if ws.closed else None
            self._status("stream-stopped")

    async def hang_up(self, *, abrupt: bool = False, zombie: bool = False) -> None:
        """The call has ended or goes on without this stream: `stop`, then close.

        `abrupt`: the socket is cut without a word. `zombie`: it stays open, silent.
        """
        ws = self._ws
        if ws is None or ws.closed or zombie:
            return
        if abrupt:
            sock = ws.get_extra_info("socket")
            if sock is not None:
                sock.shutdown(socket.SHUT_RDWR)
        else:
            stop = {"accountSid": self._options.account_sid, "callSid": self._call.sid}
            self._put({"event": "stop", "stop": stop}, numbered=True)
            self._stopped = True
            self._wake.set()
            for _ in range(50):  # the writer empties the queue first; a stuck socket gets a second
                if not self._out or ws.closed:
                    break
                await asyncio.sleep(0.02)
        if self._writer is not None:
            self._writer.cancel()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await ws.close()
        except (TimeoutError, aiohttp.ClientError, OSError):
            log.info("media socket was not closed in time", call_sid=self._call.sid)
        self.facts.close_code = None if abrupt else aiohttp.WSCloseCode.OK
        self._webhooks.sockets.discard(ws)

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        url = self._verb.url
        parts = urlsplit(url)
        http_url = urlunsplit(parts._replace(scheme={"wss": "https", "ws": "http"}[parts.scheme]))
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await self._webhooks.http().ws_connect(
                    http_url,
                    headers={"x-twilio-signature": self._webhooks.sign(url)},
                    max_msg_size=_MAX_MESSAGE_BYTES,
                    compress=0,
                    autoping=True,
                )
        except TimeoutError as exc:
            raise StreamFailed(31901, "no answer to the websocket handshake in time") from exc
        except aiohttp.WSServerHandshakeError as exc:
            raise StreamFailed(31920, f"the handshake was answered with {exc.status}, not 101") from exc
        except aiohttp.ClientConnectorCertificateError as exc:
            raise StreamFailed(31910, "the certificate is not trusted") from exc
        except aiohttp.ClientConnectorSSLError as exc:
            raise StreamFailed(31910, "TLS failed") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise StreamFailed(31902, f"connection refused ({type(exc).__name__})") from exc

    def fail(self, failure: StreamFailed) -> None:
        """Put a failed start into the debugger and tell the status callback."""
        self._books.alert(failure.code, str(failure), call_sid=self._call.sid, level="error")
        self._status("stream-error", error=str(failure))

    def _status(self, event: str, *, error: str = "") -> None:
        if not self._verb.status_callback:
            return
        form = {
            "AccountSid": self._options.account_sid,
            "CallSid": self._call.sid,
            "StreamSid": self.sid,
            "StreamName": self.name,
            "StreamEvent": event,
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if error:
            form["StreamError"] = error
        self._webhooks.notify(
            self._verb.status_callback,
            form,
            method=self._verb.status_callback_method,
            call_sid=self._call.sid,
        )

    # --- to the application ------------------------------------------------------------------------

    def _start_message(self) -> dict[str, object]:
        return {
            "event": "start",
            "start": {
                "accountSid": self._options.account_sid,
                "streamSid": self.sid,
                "callSid": self._call.sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": self._verb.parameters,
            },
        }

    def on_frame(self, frame: bytes) -> None:
        if len(self._out) > _MAX_WAITING:
            self.facts.frames_lost += 1
            self._chunk += 1
            return
        payload = _SILENT_PAYLOAD if frame is mulaw.SILENT_FRAME else base64.b64encode(frame).decode()
        self._sequence += 1
        self._chunk += 1
        self.facts.media_out = self._chunk
        at_ms = (self._chunk - 1) * mulaw.FRAME_MS
        self._out.append(
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound",'
            f'"chunk":"{self._chunk}","timestamp":"{at_ms}","payload":"{payload}"}},"streamSid":"{self.sid}"}}'
        )
        self._wake.set()

    def on_marks(self, names: list[str]) -> None:
        for name in names:
            self._put({"event": "mark", "mark": {"name": name}}, numbered=True)

    def on_digit(self, digit: str) -> None:
        self._put({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": digit}}, numbered=True)

    def _put(self, message: dict[str, object], *, numbered: bool = False) -> None:
        if self._stopped:
            return
        if numbered:
            self._sequence += 1
            message |= {"sequenceNumber": str(self._sequence), "streamSid": self.sid}
        self._out.append(orjson.dumps(message).decode())
        self._wake.set()

    async def _write(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        try:
            while not ws.closed:
                await self._wake.wait()
                self._wake.clear()
                while self._out:
                    await ws.send_str(self._out[0])
                    self._out.popleft()
        except (aiohttp.ClientError, ConnectionError):
            self._out.clear()  # the reader sees the end of the socket too

    # --- from the application ----------------------------------------------------------------------

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await ws.receive()
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    wrong = self._take(message.data)
                case aiohttp.WSMsgType.BINARY:
                    wrong = _Wrong(31950, "binary frame")
                case aiohttp.WSMsgType.ERROR:
                    wrong = _Wrong(31924, "websocket protocol error")
                case _:
                    self._closed(ws)
                    return
            if wrong is not None:
                self._complain(wrong)

    def _closed(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        if ws.close_code is None or ws.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE:
            self._books.alert(31903, "the connection broke", call_sid=self._call.sid, level="error")
        else:
            text = f"the server closed the socket with {ws.close_code}"
            self._books.alert(31921, text, call_sid=self._call.sid, level="notice")

    def _complain(self, wrong: _Wrong) -> None:
        """Each kind is reported once per stream; strict mode ends the call."""
        self.facts.violations += 1
        if wrong.code not in self._reported:
            self._reported.add(wrong.code)
            self._books.alert(wrong.code, wrong.message, call_sid=self._call.sid)
        if self._options.strict:
            raise ProtocolBroken(f"{wrong.code}: {wrong.message}")

    def _take(self, text: str) -> _Wrong | None:
        """Carry out one message; what is wrong with it, if anything is (it then has no effect)."""
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            return _Wrong(31951, "not JSON")
        if not isinstance(message, dict):
            return _Wrong(31951, "not a JSON object")
        if message.get("streamSid") != self.sid:
            return _Wrong(31951, "streamSid is missing or not this stream's")
        match message:
            case {"event": "media", "media": {"payload": str(payload), **inner}, **rest}:
                return _extra(rest, inner) or self._media(payload)
            case {"event": "mark", "mark": {"name": str(name), **inner}, **rest}:
                if (wrong := _extra(rest, inner)) is None:
                    self._mark(name)
                return wrong
            case {"event": "clear", **rest}:
                if (wrong := _extra(rest)) is None:
                    self._clear()
                return wrong
        return _Wrong(31951, f"unknown or incomplete message {str(message.get('event'))[:40]!r}")

    def _media(self, payload: str) -> _Wrong | None:
        try:
            sound = base64.b64decode(payload, validate=True)
        except (binascii.Error, ValueError):
            return _Wrong(31951, "media.payload is not base64")
        if not sound:
            return _Wrong(31951, "media.payload is empty")
        self._line.playback.add(sound)
        self.facts.media_in += 1
        self.facts.media_in_ms += len(sound) // mulaw.BYTES_PER_MS
        return None

    def _mark(self, name: str) -> None:
        self.facts.marks += 1
        if not self._line.playback.mark(name):
            self.on_marks([name])

    def _clear(self) -> None:
        self.facts.clears += 1
        self.on_marks(self._line.playback.clear())


def _extra(rest: Mapping[str, object], inner: Mapping[object, object] | None = None) -> _Wrong | None:
    """Additional members are an error in the real service (twilio.md 3)."""
    unknown = sorted(set(rest) - {"streamSid"}) + sorted(map(str, inner or {}))
    return _Wrong(31951, f"additional member {unknown[0]!r}") if unknown else None
