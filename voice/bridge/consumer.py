"""The media sockets of calls: the carrier's, `wss://…/twilio/media`, and `wss://…/sessions/media/<token>`.

A Channels consumer that does not use Channels' dispatch: that costs a thread hop a frame, in the one thread
that all `sync_to_async` work shares. Frames are read in a loop of its own, messages of the channel layer are
received in a task beside it, and no row is touched on this path.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from typing import Any, Final

import structlog
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, WebSocketScope
from channels.consumer import AsyncConsumer
from channels.layers import get_channel_layer
from django.conf import settings

from tenex.lib.clock import Clock
from tenex.rest import origins
from tenex.server import drain
from tenex.server.media_protocol import EXTENSION
from voice.bridge import assembly, orders, tally, threads
from voice.bridge.phone import Phone
from voice.bridge.runner import Runner
from voice.bridge.tap import Tap, taps_of
from voice.bridge.writer import CallWriter
from voice.services import accounts, control, live
from voice.services.live import CallContext, StreamRefused
from voice.session.events import BadMessage, CallerAudio, Drain, OperatorVoice, StreamStopped, UnknownEvent
from voice.telephony import signature
from voice.wire.twilio_media import Connected, StreamStart, TwilioMessage, TwilioStream

log = structlog.get_logger(__name__)

START_WAIT_S: Final = 4.0
"""From the open socket to a `start` with a good token: so that such a socket is closed within 5 s."""
MAX_UNPROVEN: Final = 1000
"""Sockets of this process that have not shown a token yet."""
_CLOSE_WAIT_S: Final = 2.0
_LAYER_RETRY_S: Final = 2.0
POLICY_VIOLATION: Final = 1008
_LEFT: Final = frozenset({1000, 1001, 1005})
"""Close codes of a client that meant it: normal, page gone, none given."""
_MAX_REASON: Final = 100
"""A close frame has room for 123 bytes of it."""

Deliver = Callable[[Callable[[str], None]], None]

_unproven = 0


class MediaConsumer(AsyncConsumer):  # type: ignore[misc]  # channels is not typed
    """One socket: handshake, token, the live call, the end."""

    async def __call__(
        self, scope: WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        refusal = await self.refusal(scope)
        if refusal is not None:
            _refused(refusal)
            await send(_close(POLICY_VIOLATION))  # before accept: HTTP 403, the TwiML goes on
            return
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        stream = TwilioStream()
        context = await _prove(stream, receive, lambda start: self.open(scope, start))
        if context is None:
            await send(_close(POLICY_VIOLATION))
            return
        with drain.live_calls.held():
            await _LiveCall(context, stream, receive, send, _deliver(scope)).run()

    async def refusal(self, scope: WebSocketScope) -> str | None:
        """Why this socket is not even accepted, or None.

        A token in the address names a call of an account that is not that of the settings. Only then are rows
        read, in a thread: such a token is made by us, and good for a minute.
        """
        token = _address_token(scope)
        if token:
            return live.forged(token) or _too_busy() or await _not_signed_for(token, scope)
        if settings.TWILIO_AUTH_TOKEN and not signature.genuine_socket(
            scope["path"], _signature(scope), tokens=accounts.tokens(None)
        ):
            return "signature"
        return _too_busy()

    def open(self, scope: WebSocketScope, start: StreamStart) -> CallContext:
        """Take the call that `start` proves a right to. In a thread.

        Raises:
            StreamRefused: it proves none.
        """
        token, signed_for = start.parameters.get("token", ""), _address_token(scope)
        if signed_for and signed_for != token:
            raise StreamRefused(extra={"reason": "other-token"})
        return live.open_stream(
            token, start.call_sid, start.stream_sid, _owner(start.stream_sid), own_account=bool(signed_for)
        )


class SessionConsumer(MediaConsumer):
    """The socket of a provisioned session: a browser's, or that of somebody else's phone network.

    It speaks as the carrier does. Its right is the token in its address, looked at before it is accepted and
    burnt at `start`; a page's origin must be ours or one of the settings.
    """

    async def refusal(self, scope: WebSocketScope) -> str | None:
        fault = live.forged(_address_token(scope))
        if fault:
            return fault
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get(b"origin")
        if origin is not None and not (
            origins.is_known(origin) or origins.is_same_host(origin, headers.get(b"host", ""))
        ):
            return "origin"  # a client that sends none is no browser, and no page can make a browser do so
        return _too_busy()

    def open(self, scope: WebSocketScope, start: StreamStart) -> CallContext:
        owner = _owner(secrets.token_hex(8))  # the client makes up its `streamSid`, perhaps twice the same
        return live.open_stream(_address_token(scope), "", start.stream_sid, owner, by_carrier=False)


def _refused(reason: object) -> None:
    log.warning("media socket refused", reason=reason)
    tally.socket_refused(reason)


def _address_token(scope: Any) -> str:
    return str(scope["url_route"]["kwargs"].get("token", ""))


def _owner(stream: str) -> str:
    """Who has the call's lease: this process, with this one stream."""
    return f"{socket.gethostname()[:24]}:{os.getpid()}:{stream}"


def _close(code: int, reason: str | None = None) -> Any:
    return {"type": "websocket.close", "code": code, "reason": reason}


def _deliver(scope: WebSocketScope) -> Deliver | None:
    """Our own server's shorter way in for frames; None on any other server."""
    offered: Any = (scope.get("extensions") or {}).get(EXTENSION) or {}
    deliver: Deliver | None = offered.get("deliver")
    return deliver


def _too_busy() -> str | None:
    """Why this process takes no socket now, or None."""
    if drain.is_draining():
        return "draining"
    if drain.live_calls.count >= settings.MAX_CALLS_PER_PROCESS:
        return "full"
    if _unproven >= MAX_UNPROVEN:
        return "too many unproven"
    return None


def _signature(scope: WebSocketScope) -> str:
    for name, value in scope["headers"]:
        if name.lower() == b"x-twilio-signature":
            return value.decode("latin-1")
    return ""


async def _not_signed_for(token: str, scope: WebSocketScope) -> str | None:
    """Why the account of the token's call did not send this socket, or None."""
    global _unproven  # noqa: PLW0603 - a count of this process
    given, path = _signature(scope), scope["path"]
    if not given:
        return "signature"
    _unproven += 1
    try:
        async with asyncio.timeout(START_WAIT_S):
            genuine = await asyncio.get_running_loop().run_in_executor(
                threads.openers(),
                lambda: threads.with_connection(lambda: live.genuine_for(token, path, given)),
            )
    except TimeoutError:
        return "busy"
    except Exception:
        log.exception("media stream could not be opened")
        return "failed"
    finally:
        _unproven -= 1
    return None if genuine else "signature"


async def _prove(
    stream: TwilioStream, receive: ASGIReceiveCallable, open_call: Callable[[StreamStart], CallContext]
) -> CallContext | None:
    """Read `connected` and `start`, take the call; None if this socket has no right to one."""
    global _unproven  # noqa: PLW0603 - a count of this process
    _unproven += 1
    try:
        async with asyncio.timeout(START_WAIT_S):
            start = await _read_start(stream, receive)
        if start is None:
            return None
        return await asyncio.get_running_loop().run_in_executor(
            threads.openers(), lambda: threads.with_connection(lambda: open_call(start))
        )
    except TimeoutError:
        _refused("no start")
    except StreamRefused as exc:
        _refused(exc.extra.get("reason"))
    except Exception:
        log.exception("media stream could not be opened")
        tally.socket_refused("failed")
    finally:
        _unproven -= 1
    return None


async def _read_start(stream: TwilioStream, receive: ASGIReceiveCallable) -> StreamStart | None:
    for _ in range(16):
        message = await receive()
        if message["type"] != "websocket.receive":
            return None
        text = message.get("text")
        event = stream.feed(text) if text is not None else stream.feed_binary()
        if isinstance(event, StreamStart):
            return event
        if not isinstance(event, Connected | UnknownEvent):
            _refused(getattr(event, "reason", "order"))
            return None
    return None


class _LiveCall:
    """A socket that has proven its call."""

    def __init__(
        self,
        context: CallContext,
        stream: TwilioStream,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        deliver: Deliver | None,
    ) -> None:
        self._deliver = deliver
        self._context = context
        self._stream = stream
        self._receive = receive
        self._send = send
        self._clock = Clock(settings.TIME_SCALE)
        self._runner: Runner | None = None
        self._closing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._phone = Phone(send, context.stream_sid, self._on_broken)
        self.tap: Tap | None = None
        """Set while somebody watches or listens."""

    async def run(self) -> None:
        """Until the machine has finished and everything is written. Nothing of the call is left behind."""
        context = self._context
        log.info("live call begins", **self._fields(), resumed=context.resumed)
        writer = CallWriter(context, self._on_lost_call)
        reason = "media-lost"
        try:
            reason = await self._talk(writer)
        except Exception:
            log.exception("live call failed", **self._fields())
        finally:
            if self._runner is not None:
                self._runner.abandon()
            self.close(reason)
            if self._closing is not None:
                await asyncio.wait({self._closing})
            self._phone.stop()
            taps_of(asyncio.get_running_loop()).drop(context.call_id)
            for task in self._tasks:
                task.cancel()
            written = await asyncio.shield(writer.finish(reason))
            log.info("live call over", **self._fields(), reason=reason, written=written)

    async def _talk(self, writer: CallWriter) -> str:
        """The call itself; why it ended. It goes on after the socket is gone: the last words may come."""
        runner = self._runner = await assembly.build(
            self._context,
            self._clock,
            phone=self._phone,
            writer=writer,
            close_stream=self.close,
            hang_up=self.hang_up,
        )
        reading = self._start(self._read(runner))
        self._start(self._read_commands(runner))
        runner.start()
        reason = await runner.finished
        self.close(reason)
        await asyncio.wait({reading}, timeout=_CLOSE_WAIT_S)
        return reason

    def _start(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- frames of the carrier -----------------------------------------------------------------------

    async def _read(self, runner: Runner) -> None:
        """Frames until the socket is over. Our own server calls `on_text` itself."""
        parse, feed = self._stream.feed, runner.feed

        def on_text(text: str) -> None:
            event = parse(text)
            if type(event) is CallerAudio:
                if self.tap is not None:
                    self.tap.caller(event.payload)
                feed(event)
            else:
                self._on_rare(runner, event)

        if self._deliver is not None:
            self._deliver(on_text)
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                feed(Drain() if drain.is_draining() else StreamStopped(clean=self._has_left(message)))
                return
            text = message.get("text")
            if text is not None:
                on_text(text)
            else:
                self._on_rare(runner, self._stream.feed_binary())

    def _on_rare(self, runner: Runner, event: TwilioMessage) -> None:
        if self._closing is not None or isinstance(event, Connected | StreamStart):
            return
        runner.feed(event)
        if isinstance(event, BadMessage) and event.fatal:
            log.warning("media socket closed", reason=event.reason, **self._fields())
            self.close("bad messages", POLICY_VIOLATION)
            runner.feed(StreamStopped(clean=False))

    def _has_left(self, message: Any) -> bool:
        """Whether the end of the socket is the end of the call: never the carrier's, which says `stop`.

        A page that closes it, or is closed, has left. Without a close frame (no `reason`) it was lost.
        """
        return not self._context.by_carrier and message.get("code") in _LEFT and "reason" in message

    def hang_up(self, reason: str) -> None:
        """End a call that no carrier has."""
        self.close(reason)
        if self._runner is not None:
            self._runner.feed(StreamStopped(clean=True))

    def close(self, reason: str, code: int = 1000) -> None:
        """Close the media socket; the carrier goes on with the TwiML behind it. Others are told why."""
        if self._closing is None:
            log.debug("media socket is closed by us", reason=reason, **self._fields())
            told = None if self._context.by_carrier else reason[:_MAX_REASON]
            self._closing = self._start(self._close(code, told))

    async def _close(self, code: int, reason: str | None) -> None:
        try:
            async with asyncio.timeout(_CLOSE_WAIT_S):
                await self._send(_close(code, reason))
        except Exception as exc:  # the peer was faster, or does not read
            log.debug("media socket was closed already", error=type(exc).__name__)
            _abort(self._send)

    def _on_broken(self, why: str) -> None:
        """The peer does not read or is gone."""
        log.warning("media socket broken", reason=why, **self._fields())
        self.close(why)
        if self._runner is not None:
            self._runner.feed(StreamStopped(clean=False))

    def _on_lost_call(self) -> None:
        """The database says that the call is over, or that another process has it."""
        log.warning("live call is not ours any more", **self._fields())
        if self._runner is not None:
            self._runner.feed(StreamStopped(clean=True))

    # --- commands from other processes ---------------------------------------------------------------

    async def _read_commands(self, runner: Runner) -> None:
        """Over the channel layer, at most once by contract; without it the call goes on."""
        layer: Any = get_channel_layer()
        context = self._context
        groups = (control.group(context.call_id), control.calls_group(context.workspace_id))
        while layer is not None:
            name = ""
            try:
                name = await layer.new_channel()
                for group in groups:
                    await layer.group_add(group, name)
                while True:
                    self._on_command(runner, await layer.receive(name))
            except asyncio.CancelledError:
                for group in groups:
                    await _leave(layer, group, name)
                raise
            except Exception as exc:
                log.warning("channel layer away", error=type(exc).__name__, **self._fields())
                await asyncio.sleep(_LAYER_RETRY_S)

    def _on_command(self, runner: Runner, message: dict[str, Any]) -> None:
        command = message.get("command")
        if command not in ("watch", "listen"):
            event = orders.event_of(message)
            if event is not None:
                runner.feed(event)
            if isinstance(event, OperatorVoice):
                runner.operator_voice(event)
        elif self._closing is None:
            asked = message.get("data", {}).get("for_s")
            taps_of(asyncio.get_running_loop()).lease(
                self._context.call_id,
                self._context.workspace_id,
                (self, self._phone),
                sound=command == "listen",
                for_s=float(asked) if isinstance(asked, int | float) else 0.0,
            )

    def _fields(self) -> dict[str, str]:
        return {"call_id": str(self._context.call_id), "workspace_id": str(self._context.workspace_id)}


async def _leave(layer: Any, group: str, name: str) -> None:
    try:
        async with asyncio.timeout(_LAYER_RETRY_S):
            await layer.group_discard(group, name)
    except Exception as exc:
        log.debug("channel layer away", error=type(exc).__name__)


def _abort(send: ASGISendCallable) -> None:
    """Drop the connection of a peer that reads nothing: a polite close would wait for it for ever.

    ASGI has no word for it; uvicorn's `send` is a method of the protocol that owns the transport.
    """
    # uvloop's transports are no asyncio.Transport: only their methods tell them.
    abort = getattr(getattr(getattr(send, "__self__", None), "transport", None), "abort", None)
    if abort is not None:
        abort()
