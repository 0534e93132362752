"""Twilio Media Streams, sans I/O: one text frame in, one value out; builders for what we may send.

Source: Twilio's "Media Streams - WebSocket messages" (bidirectional). Feeding never raises: a frame that
cannot be read, or may not come now, is a :class:`BadMessage`; `fatal` means that the socket should be closed.
Outgoing messages hold exactly the permitted members: an additional one is warning 31951.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from voice.session.events import (
    BadMessage,
    CallerAudio,
    DtmfPressed,
    MarkReturned,
    StreamStopped,
    UnknownEvent,
)
from voice.wire import g711

MAX_FRAME_CHARS: Final = 65_536
MAX_BAD_FRAMES: Final = 100
"""After so many unreadable frames on one stream the peer is not a carrier."""

_MAX_PARAMETERS = 32
_MAX_PARAMETER_CHARS = 1_024
_MAX_MARK_CHARS = 128
_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGITS = frozenset("0123456789*#ABCD")
_MEDIA_HEAD = '{"event":"media","sequenceNumber":"'
_MEDIA_FROM = len(_MEDIA_HEAD)
_PAYLOAD_KEY = '"payload":"'
_PLAIN_MARK = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


@dataclass(slots=True)
class Connected:
    """The socket is up; `start` comes next."""


@dataclass(slots=True)
class StreamStart:
    """The carrier's `start`: who claims to call. Nothing in it is proven before the token is checked."""

    stream_sid: str
    call_sid: str
    account_sid: str
    parameters: dict[str, str] = field(default_factory=dict)
    """`<Parameter>` elements of the TwiML, the token among them."""


TwilioMessage = (
    Connected
    | StreamStart
    | CallerAudio
    | MarkReturned
    | DtmfPressed
    | StreamStopped
    | UnknownEvent
    | BadMessage
)


class TwilioStream:
    """The incoming half of one media socket. Keeps only what order and identity need."""

    __slots__ = ("_bad", "_connected", "_media_key", "_media_to", "_stopped", "stream_sid")

    def __init__(self) -> None:
        self.stream_sid = ""
        self._connected = False
        self._stopped = False
        self._bad = 0
        self._media_key = "\0"  # matches nothing: no stream, no media
        self._media_to = 0

    def feed(self, frame: str | bytes) -> TwilioMessage:
        """The value of one text frame (as text, or as its UTF-8 bytes)."""
        # The frame as the carrier writes it: the payload is cut out where it stands and checked. Any other
        # order or spacing takes the long way, with the same result.
        if type(frame) is str and frame.startswith(_MEDIA_HEAD) and frame.endswith('"}}'):
            at = frame.find(self._media_key, _MEDIA_FROM, self._media_to)
            at = frame.find(_PAYLOAD_KEY, at) if at > 0 else -1
            if at > 0 and len(frame) <= MAX_FRAME_CHARS:
                payload = frame[at + len(_PAYLOAD_KEY) : -3]
                if g711.is_base64(payload):
                    return CallerAudio(payload, g711.base64_bytes(payload) // g711.BYTES_PER_MS)
        return self._feed_any(frame)

    def feed_binary(self) -> BadMessage:
        """A binary frame came; the carrier never sends one."""
        return BadMessage("carrier", "binary", fatal=True)

    def _feed_any(self, frame: str | bytes) -> TwilioMessage:
        if len(frame) > MAX_FRAME_CHARS:
            return BadMessage("carrier", "oversize", fatal=True)
        try:
            message = orjson.loads(frame)
        except ValueError:  # also depth, huge numbers, NaN and lone surrogates
            return self._reject("json")
        if not isinstance(message, dict):
            return self._reject("shape")
        event = message.get("event")
        if not isinstance(event, str):
            return self._reject("shape")
        if self._stopped:
            return self._reject("after-stop")
        if event == "connected":
            return self._on_connected()
        if event == "start":
            return self._on_start(message)
        return self._in_stream(event, message)

    def _in_stream(self, event: str, message: dict[str, Any]) -> TwilioMessage:
        known = event in {"media", "mark", "dtmf", "stop"}
        if not known:
            return UnknownEvent("carrier", event[:40])
        if not self.stream_sid:
            return BadMessage("carrier", "before-start", fatal=True)
        if message.get("streamSid") != self.stream_sid:
            return self._reject("stream-sid")
        if event == "stop":
            self._stopped = True
            self._media_key = "\0"
            return StreamStopped(clean=True)
        body = message.get(event)
        if not isinstance(body, dict):
            return self._reject("shape")
        if event == "media":
            return self._on_media(body)
        return self._on_mark(body) if event == "mark" else self._on_dtmf(body)

    def _on_connected(self) -> TwilioMessage:
        if self._connected or self.stream_sid:
            return self._reject("second-connected")
        self._connected = True
        return Connected()

    def _on_start(self, message: dict[str, Any]) -> TwilioMessage:
        if self.stream_sid:
            return BadMessage("carrier", "second-start", fatal=True)
        body = message.get("start")
        if not isinstance(body, dict):
            return BadMessage("carrier", "start-shape", fatal=True)
        sid = _sid(body.get("streamSid", message.get("streamSid")))
        call_sid = _sid(body.get("callSid"))
        if not sid or not call_sid or message.get("streamSid", sid) != sid:
            return BadMessage("carrier", "start-shape", fatal=True)
        if not _is_phone_audio(body.get("mediaFormat")):
            return BadMessage("carrier", "media-format", fatal=True)
        self.stream_sid = sid
        self._media_key = f'"streamSid":"{sid}","media":{{"track":"inbound",'
        self._media_to = _MEDIA_FROM + 24 + len(self._media_key)
        return StreamStart(
            stream_sid=sid,
            call_sid=call_sid,
            account_sid=_sid(body.get("accountSid")),
            parameters=_parameters(body.get("customParameters")),
        )

    def _on_media(self, body: dict[str, Any]) -> TwilioMessage:
        payload = body.get("payload")
        if not isinstance(payload, str):
            return self._reject("payload")
        if body.get("track", "inbound") != "inbound":
            return self._reject("track")
        return self._audio(payload)

    def _audio(self, payload: str) -> TwilioMessage:
        if not g711.is_base64(payload):
            return self._reject("payload")
        return CallerAudio(payload, g711.base64_bytes(payload) // g711.BYTES_PER_MS)

    def _on_mark(self, body: dict[str, Any]) -> TwilioMessage:
        name = body.get("name")
        if not isinstance(name, str) or len(name) > _MAX_MARK_CHARS:
            return self._reject("mark")
        return MarkReturned(name)

    def _on_dtmf(self, body: dict[str, Any]) -> TwilioMessage:
        digit = body.get("digit")
        if not isinstance(digit, str) or digit not in _DIGITS:
            return self._reject("dtmf")
        return DtmfPressed(digit)

    def _reject(self, reason: str) -> BadMessage:
        self._bad += 1
        return BadMessage("carrier", reason, fatal=self._bad > MAX_BAD_FRAMES)


def _sid(raw: object) -> str:
    """A name that may be written into a message as it stands, or empty."""
    return raw if isinstance(raw, str) and _SID.fullmatch(raw) else ""


def _is_phone_audio(media_format: object) -> bool:
    """A missing format is tolerated; a stated one must be 8 kHz mono µ-law, the only one there is."""
    if media_format is None:
        return True
    return (
        isinstance(media_format, dict)
        and media_format.get("encoding", "audio/x-mulaw") == "audio/x-mulaw"
        and str(media_format.get("sampleRate", 8000))[:8] == "8000"
        and str(media_format.get("channels", 1))[:8] == "1"
    )


def _parameters(raw: object) -> dict[str, str]:
    if not isinstance(raw, dict):
        return {}
    pairs = {
        key: value
        for key, value in raw.items()
        if isinstance(value, str) and len(key) <= 128 and len(value) <= _MAX_PARAMETER_CHARS
    }
    return pairs if len(pairs) <= _MAX_PARAMETERS else {}


def media(stream_sid: str, payload: str) -> str:
    """Play base64 µ-law of any length. Both arguments must be checked already (they are not escaped)."""
    return f'{{"event":"media","streamSid":"{stream_sid}","media":{{"payload":"{payload}"}}}}'


def mark(stream_sid: str, name: str) -> str:
    """Ask for `name` back when everything before it has been played (or cleared)."""
    if _PLAIN_MARK.fullmatch(name):
        return f'{{"event":"mark","streamSid":"{stream_sid}","mark":{{"name":"{name}"}}}}'
    return orjson.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}}).decode()


def clear(stream_sid: str) -> str:
    """Stop playback and empty the carrier's buffer; the pending marks come back at once."""
    return f'{{"event":"clear","streamSid":"{stream_sid}"}}'
