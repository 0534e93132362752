"""The OpenAI Realtime API (GA) on raw frames.

One text frame is one JSON object, both ways; no subprotocol, and never the beta header (the socket would be
closed with 4000). Sources: the vendor's OpenAPI document and WebSocket guide. The codec is
:mod:`voice.wire.openai_realtime`; here are sockets, time-outs and what each way of failing means.
"""

import asyncio
import ssl
import time
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from typing import Final, assert_never
from urllib.parse import quote

import orjson
import picows
import structlog

from voice.realtime.port import Capabilities, History, ModelCommand, ModelUnavailable, OnEvent, ServerEvent
from voice.session.commands import (
    AppendAudio,
    CancelResponse,
    CommitAudio,
    CreateResponse,
    InsertText,
    SendToolOutput,
    TruncateItem,
)
from voice.session.events import AudioDelta, AudioDone, BadMessage, ModelError, ModelLost, ModelReady
from voice.wire import g711, openai_commands, resample
from voice.wire.model_access import ModelAccess
from voice.wire.openai_commands import SessionConfig
from voice.wire.openai_realtime import ServerEvents

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""`append.audio` may have 15 MiB; nothing is said of the largest delta."""
MAX_UNSENT_BYTES: Final = 4 * 1024 * 1024
_MAX_BAD_MESSAGES: Final = 20
_CLOSE_WAIT_S: Final = 1.0

FATAL_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "invalid_api_key",
        "account_deactivated",
        "billing_hard_limit_reached",
        "billing_hard_limit",
        "model_not_found",
        "beta_api_shape_disabled",
        "unsupported_country_region_territory",
    }
)
"""Trying again cannot help."""
_OVER_CODES: Final = FATAL_CODES | {"session_expired"}
"""`error` events after which the server is going to close."""
_RETRYABLE_CLOSES: Final = frozenset({1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015})

CAPABILITIES: Final = Capabilities(
    can_truncate=True,
    can_cancel=True,
    server_vad=True,
    interrupts=True,
    responds=True,
    transcribes_caller=True,
    max_session_s=3600.0,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to connect."""

    base_url: str
    """`https://api.openai.com/v1` or any compatible server; http(s) or ws(s)."""
    api_key: str = field(repr=False)
    connect_timeout_s: float = 5.0
    """From the first packet to `session.updated`."""
    blackhole_s: float = 2.7
    """A socket that neither sends nor answers a ping for so long is lost."""
    safety_identifier: str = ""
    """A stable hash of the other party, never the number itself."""
    organization: str = ""
    project: str = ""

    def url(self, model: str) -> str:
        """The address of a session with `model`."""
        base = self.base_url.rstrip("/")
        if base.startswith("http"):
            base = "ws" + base.removeprefix("http")
        return f"{base}/realtime?model={quote(model, safe='')}"

    def transcription_url(self) -> str:
        """The address of a session that only writes down what it hears."""
        return self.url("").partition("?")[0] + "?intent=transcription"

    def headers(self) -> dict[str, str]:
        found = ModelAccess(self.base_url, self.api_key, self.organization, self.project).headers()
        if self.safety_identifier:
            found["OpenAI-Safety-Identifier"] = self.safety_identifier
        return found


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the authorities takes tens of milliseconds of the event loop."""
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class OpenAIRealtime:
    """A :class:`~voice.realtime.port.ModelProvider` for one call."""

    endpoint: Endpoint
    config: SessionConfig
    capabilities: Capabilities = CAPABILITIES

    def connection(self, attempt: int, on_event: OnEvent) -> "OpenAIConnection":
        return OpenAIConnection(self.endpoint, self.config, attempt, on_event)


class _State(Enum):
    NEW = "new"
    CONFIGURING = "configuring"
    LIVE = "live"
    OVER = "over"


class OpenAIConnection(picows.WSListener):
    """One session. Frames are handled in the socket's own callback: no queue, no task, no thread."""

    def __init__(self, endpoint: Endpoint, config: SessionConfig, attempt: int, on_event: OnEvent) -> None:
        self.attempt = attempt
        self._endpoint = endpoint
        self._config = config
        self._on_event = on_event
        self._state = _State.NEW
        self._transport: picows.WSTransport | None = None
        self._ready: asyncio.Future[None] | None = None
        self._history: History = []
        self._parts = bytearray()
        self._bad = 0
        self._heard = False
        self._pinged = False
        self._watch: asyncio.TimerHandle | None = None
        self._watch_at = 0.0
        self._congested = False
        self._last_error = ""
        self._close_code = 0
        self._close_reason = ""
        pcm = config.audio_format == "audio/pcm"
        self._parse = ServerEvents(g711.PCM24K_BYTES_PER_MS if pcm else g711.BYTES_PER_MS).parse
        self._to_model = resample.PhoneToModel() if pcm else None
        self._to_phone = resample.ModelToPhone() if pcm else None
        self._speaking = ("", 0)

    @property
    def is_live(self) -> bool:
        """Configured and not over."""
        return self._state is _State.LIVE

    # --- coming up -------------------------------------------------------------------------------

    async def open(self, history: History) -> None:
        """See :class:`voice.realtime.port.ModelConnection`."""
        if self._state is not _State.NEW:
            raise ModelUnavailable("closed", retryable=False)
        ready = self._ready = asyncio.get_running_loop().create_future()
        self._history = history
        try:
            async with asyncio.timeout(self._endpoint.connect_timeout_s):
                await self._connect()
                await ready
        except TimeoutError as exc:
            raise ModelUnavailable("connect_timeout", retryable=True) from exc
        finally:
            if not self.is_live:
                self.close("not opened")
            if ready.done() and not ready.cancelled():
                ready.exception()  # seen, also if a time-out was faster
            self._ready = None

    async def _connect(self) -> None:
        url = self._address()
        try:
            await picows.ws_connect(
                lambda: self,
                url,
                ssl_context=_tls() if url.startswith("wss") else None,
                websocket_handshake_timeout=self._endpoint.connect_timeout_s,
                extra_headers=self._endpoint.headers(),
                max_frame_size=MAX_MESSAGE_BYTES,
                max_redirects=0,
            )
        except picows.WSHandshakeError as exc:
            raise _refusal(exc) from exc
        except picows.WSError as exc:
            raise ModelUnavailable("handshake_failed", retryable=True, detail=type(exc).__name__) from exc
        except ssl.SSLCertVerificationError as exc:
            raise ModelUnavailable("tls_certificate", retryable=False, detail=exc.verify_message) from exc
        except OSError as exc:
            raise ModelUnavailable("connect_failed", retryable=True, detail=type(exc).__name__) from exc

    def _address(self) -> str:
        return self._endpoint.url(self._config.model)

    def _settings(self) -> str:
        """The frame that configures the session."""
        return openai_commands.session_update(self._config)

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        if self._state is _State.OVER:  # closed while connecting
            transport.disconnect(graceful=False)
            return
        self._transport = transport
        self._state = _State.CONFIGURING
        self._send(self._settings())
        tick_s = self._endpoint.blackhole_s / 3
        loop = asyncio.get_running_loop()
        self._watch_at = loop.time() + tick_s
        self._watch = loop.call_later(tick_s, self._on_watch, loop, tick_s)

    def _on_configuring(self, event: ServerEvent) -> None:
        if isinstance(event, ModelReady):
            self._on_ready(event)
        elif isinstance(event, ModelError):
            if event.code in FATAL_CODES:
                self._lost(event.code, detail=event.message)
            elif event.client_event_id in {openai_commands.SESSION_UPDATE_ID, None}:
                self._on_refused(event)

    def _on_refused(self, error: ModelError) -> None:
        """The configuration was refused. Without the caller's transcript a call is better than no call."""
        about = f"{error.param or ''} {error.message}"
        if self._config.transcription_model and "transcription" in about:
            log.warning("model refused the transcription settings", code=error.code, param=error.param)
            self._config = replace(self._config, transcription_model="", keywords=())
            self._send(self._settings())
            return
        # The message names our own keys and values, no content of the call.
        log.error("model refused the session", code=error.code, param=error.param, detail=error.message[:300])
        self._lost(error.code or "session_refused", retryable=False, detail=error.param or "")

    def _on_ready(self, ready: ModelReady) -> None:
        wrong = openai_commands.mismatch(self._config, ready)
        if wrong is not None:
            self._lost("audio_format_mismatch", retryable=False, detail=wrong)
            return
        for frame in openai_commands.history_items(self._history, attempt=self.attempt):
            self._send(frame)
        self._history = []
        self._state = _State.LIVE
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)
        ready.attempt = self.attempt
        if ready.expires_at is not None:
            ready.expires_in_s = ready.expires_at - time.time()
        self._on_event(self, ready)

    # --- frames in -------------------------------------------------------------------------------

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self._heard = True
        kind = frame.msg_type
        if kind == picows.WSMsgType.TEXT and frame.fin:
            self._on_message(frame.get_payload_as_bytes())
        elif kind in (picows.WSMsgType.TEXT, picows.WSMsgType.CONTINUATION):
            self._on_part(frame)
        elif kind == picows.WSMsgType.CLOSE:
            payload = frame.get_payload_as_bytes()
            self._close_code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            self._close_reason = payload[2:].decode("utf-8", "replace")[:200]
            if not transport.is_close_frame_sent:
                transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()
        elif kind == picows.WSMsgType.BINARY:
            self._on_bad()

    def _on_part(self, frame: picows.WSFrame) -> None:
        """A fragment. The server sends none today, but proxies may."""
        if frame.msg_type == picows.WSMsgType.TEXT:
            self._parts.clear()
        if len(self._parts) + frame.payload_size > MAX_MESSAGE_BYTES:
            self._lost("message_too_big", retryable=True)
            return
        self._parts += frame.get_payload_as_bytes()
        if frame.fin:
            message = bytes(self._parts)
            self._parts.clear()
            self._on_message(message)

    def _on_message(self, message: bytes) -> None:
        event = self._parse(message)
        if event is None or self._state is _State.OVER:
            return
        if self._to_phone is not None and isinstance(event, AudioDelta | AudioDone):
            self._on_pcm(self._to_phone, event)
            return
        if isinstance(event, BadMessage):
            self._on_bad()
        elif isinstance(event, ModelError):
            self._last_error = event.code
            if event.code in _OVER_CODES and self._state is _State.LIVE:
                self._lost(event.code, detail=event.message)
                return
        if self._state is _State.LIVE:
            self._on_event(self, event)
        else:
            self._on_configuring(event)

    def _on_pcm(self, stream: resample.ModelToPhone, event: AudioDelta | AudioDone) -> None:
        """24 kHz PCM to µ-law. What the filter holds back comes with the end of the item."""
        part = (event.item_id, event.content_index)
        if isinstance(event, AudioDone):
            payload, ms = stream.flush()
            if payload and part == self._speaking:
                self._on_event(self, AudioDelta(event.response_id, *part, payload, ms))
            self._on_event(self, event)
            return
        if part != self._speaking:
            stream.clear()
            self._speaking = part
        payload, ms = stream.feed(event.payload)
        if payload:
            self._on_event(self, AudioDelta(event.response_id, *part, payload, ms))

    def _on_bad(self) -> None:
        self._bad += 1
        if self._bad > _MAX_BAD_MESSAGES:
            self._lost("protocol_error", retryable=True)

    # --- frames out ------------------------------------------------------------------------------

    def carry_out(self, command: ModelCommand) -> None:
        """See :class:`voice.realtime.port.ModelConnection`."""
        if self._state is not _State.LIVE:
            return
        match command:
            case AppendAudio():
                self._append(command)
            case CreateResponse():
                self._send(openai_commands.create_response(command))
            case CancelResponse():
                self._send(openai_commands.cancel_response(command))
            case TruncateItem():
                self._send(openai_commands.truncate_item(command))
            case SendToolOutput():
                self._send(openai_commands.tool_output(command))
            case InsertText():
                self._send(openai_commands.insert_text(command))
            case CommitAudio():
                self._send(openai_commands.commit_audio(command))
            case _:
                assert_never(command)

    def _append(self, command: AppendAudio) -> None:
        if self._congested:  # audio that comes late is worth nothing
            return
        if self._to_model is not None:
            payload = self._to_model.feed(command.payload)
            if not payload:
                return
            command = AppendAudio(payload)
        self._send(openai_commands.append_audio(command))

    def _send(self, frame: str) -> None:
        transport = self._transport
        if transport is None or transport.is_disconnected:
            return
        transport.send(picows.WSMsgType.TEXT, frame)
        if self._congested and transport.underlying_transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._lost("congested", retryable=True)

    def pause_writing(self) -> None:
        self._congested = True

    def resume_writing(self) -> None:
        self._congested = False

    # --- the end ---------------------------------------------------------------------------------

    def _on_watch(self, loop: asyncio.AbstractEventLoop, tick_s: float) -> None:
        """Three ticks without a sign of life: heard nothing, pinged, still nothing."""
        stalled = loop.time() > self._watch_at + tick_s / 2
        if self._heard or stalled:  # if this process slept, the silence is ours
            self._heard = self._pinged = False
        elif self._pinged:
            self._lost("no_answer", retryable=True)
            return
        elif self._transport is not None:
            self._pinged = True
            self._transport.send_ping()
        self._watch_at = loop.time() + tick_s
        self._watch = loop.call_later(tick_s, self._on_watch, loop, tick_s)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        if self._state is _State.OVER:
            return
        code = self._last_error if self._last_error in _OVER_CODES else self._code_of_close()
        self._lost(code, detail=self._close_reason)

    def _code_of_close(self) -> str:
        for code in _OVER_CODES:
            if code in self._close_reason:
                return code
        return f"close_{self._close_code or 1006}"

    def _lost(self, code: str, *, retryable: bool | None = None, detail: str = "") -> None:
        """The connection is over and it was not us who wanted that."""
        if self._state is _State.OVER:
            return
        if retryable is None:
            closed = self._close_code or 1006
            retryable = code not in FATAL_CODES and (code == "session_expired" or closed in _RETRYABLE_CLOSES)
        was = self._state
        self._finish(graceful=False)
        if was is _State.LIVE:
            self._on_event(self, ModelLost(code, retryable, detail[:200], attempt=self.attempt))
        elif self._ready is not None and not self._ready.done():
            self._ready.set_exception(ModelUnavailable(code, retryable=retryable, detail=detail[:200]))

    def close(self, reason: str) -> None:
        """See :class:`voice.realtime.port.ModelConnection`."""
        if self._state is _State.OVER:
            return
        self._finish(graceful=True)
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(ModelUnavailable("closed", retryable=False, detail=reason))

    def _finish(self, *, graceful: bool) -> None:
        self._state = _State.OVER
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        transport = self._transport
        if transport is None or transport.is_disconnected:
            return
        if not graceful:
            transport.disconnect(graceful=False)
            return
        if not transport.is_close_frame_sent:
            transport.send_close(picows.WSCloseCode.OK)
        # The server answers with its own close frame; a dead one must not keep the socket.
        asyncio.get_running_loop().call_later(_CLOSE_WAIT_S, transport.disconnect, False)


def _refusal(exc: picows.WSHandshakeError) -> ModelUnavailable:
    """A handshake that was answered with something other than 101, or with nothing readable."""
    response = getattr(exc, "response", None)
    if response is None:
        return ModelUnavailable("handshake_failed", retryable=True, detail=str(exc)[:200])
    status = int(response.status)
    code = ""
    try:
        body = orjson.loads(getattr(exc, "raw_body", None) or b"")
        error = body.get("error") if isinstance(body, dict) else None
        code = str(error.get("code") or error.get("type") or "") if isinstance(error, dict) else ""
    except ValueError:
        pass
    default = {401: "invalid_api_key", 403: "forbidden", 404: "model_not_found", 429: "rate_limit_exceeded"}
    code = code or default.get(status, f"http_{status}")
    retryable = code not in FATAL_CODES and (status == 429 or status >= 500 or status == 408)
    return ModelUnavailable(code, retryable=retryable, http_status=status)
