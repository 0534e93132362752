"""The websocket of a live call's sound, `/console/live/<call>/audio`: listen, and talk for the agent.

The page asks in text frames (`{"do": "listen" | "unlisten" | "take_over" | "give_back"}`) and sends the
operator's voice as binary ones: 8 kHz µ-law, silence too. What it gets are binary frames, first half the
caller's, second half ours, and `{"type": "refused", …}`. What became of the call is in its journal. Sound
that cannot be sent at once is dropped, the oldest first.
"""

import asyncio
import contextlib
import secrets
from collections import deque
from typing import Any, Final

import orjson
import structlog
from channels.consumer import AsyncConsumer
from channels.layers import get_channel_layer
from django.db import Error as DatabaseFault
from redis.exceptions import RedisError

from tenex.errors import Forbidden, TenexError
from tenex.pages import sockets
from tenex.pages.sockets import Door
from tenex.rest.off_loop import off_loop
from tenex.workspaces.principal import Principal
from voice.console.board import subscribed
from voice.models import Call
from voice.models.calls import LIVE
from voice.selectors import calls as read
from voice.services import control, operator

log = structlog.get_logger(__name__)

LEASE_S: Final = 10.0
_RENEW_S: Final = 3.0
_RETRY_S: Final = 1.0
_MOST_WAITING: Final = 5
"""Pieces of 200 ms that wait for a slow page."""
_MOST_VOICE_BYTES: Final = 8000
_MOST_NOTE: Final = 1000
CALL_OVER: Final = 4404


class AudioSocket(AsyncConsumer):  # type: ignore[misc]  # channels is not typed
    """One page's ears and mouth."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        try:
            door = sockets.door_of(scope)
            principal = await sockets.admit(door, "calls:read")
            call = await off_loop(read.bare)(principal.workspace, scope["url_route"]["kwargs"]["call_id"])
        except (TenexError, DatabaseFault) as exc:
            log.info("sound of a call refused", error=type(exc).__name__)
            await sockets.refuse(send)
            return
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        desk = _Desk(call, principal, send)
        try:
            code = await sockets.until_first(desk.read(receive), desk.check(door))
        finally:
            await desk.leave()
        await sockets.close(send, code)


class _Desk:
    """What one page does with one call."""

    def __init__(self, call: Call, principal: Principal, send: Any) -> None:
        self._call = call
        self._principal = principal
        self._send = send
        self._layer: Any = get_channel_layer()
        self._name = secrets.token_hex(8)
        """Names this microphone to the live session."""
        self._talks = False
        self._ears: list[asyncio.Task[None]] = []
        self._heard: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._news = asyncio.Event()

    async def read(self, receive: Any) -> None:
        """Until the page leaves."""
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            sound = message.get("bytes")
            if sound is not None:
                await self._speak(sound)
                continue
            try:
                asked = orjson.loads(message.get("text") or "null")
                await self._do(asked if isinstance(asked, dict) else {})
            except orjson.JSONDecodeError:
                await self._say("refused", detail="not understood")
            except TenexError as exc:
                await self._say("refused", detail=exc.detail, code=exc.code)

    async def _do(self, asked: dict[str, Any]) -> None:
        """
        Raises:
            TenexError: it cannot be done, or not by this person.
        """
        match asked.get("do"):
            case "listen":
                self._must_hold("live:listen")
                await off_loop(operator.listen)(self._call, actor=self._principal.actor)
                self._begin_to_listen()
                await self._say("listening")
            case "unlisten":
                self._stop_listening()
            case "take_over":
                self._must_hold("live:takeover")
                await off_loop(operator.take_over)(self._call, self._name, actor=self._principal.actor)
                self._talks = True
                await self._say("talking", desk=self._name)
            case "give_back":
                await self._give_back(str(asked.get("note", ""))[:_MOST_NOTE])

    def _must_hold(self, scope: str) -> None:
        if not self._principal.allows(scope):
            raise Forbidden(f"your role does not allow this ({scope})")

    async def _say(self, kind: str, **data: object) -> None:
        await self._send({"type": "websocket.send", "text": orjson.dumps({"type": kind, **data}).decode()})

    # --- mouth -----------------------------------------------------------------------------------

    async def _speak(self, sound: bytes) -> None:
        if self._talks and 0 < len(sound) <= _MOST_VOICE_BYTES:
            message = control.message("voice", desk=self._name, sound=sound)
            with contextlib.suppress(OSError, RedisError):
                await self._layer.group_send(control.group(self._call.pk), message)

    async def _give_back(self, note: str = "", *, lost: bool = False) -> None:
        if self._talks:
            self._talks = False
            give = off_loop(operator.give_back)
            await give(self._call, self._name, note=note, lost=lost, actor=self._principal.actor)

    # --- ears ------------------------------------------------------------------------------------

    def _begin_to_listen(self) -> None:
        if not self._ears:
            self._ears = [asyncio.create_task(work) for work in (self._ask(), self._hear(), self._pass_on())]

    def _stop_listening(self) -> None:
        for task in self._ears:
            task.cancel()
        self._ears = []

    async def _ask(self) -> None:
        while True:
            with contextlib.suppress(OSError, RedisError):
                message = control.message("listen", for_s=LEASE_S)
                await self._layer.group_send(control.group(self._call.pk), message)
            await asyncio.sleep(_RENEW_S)

    async def _hear(self) -> None:
        while True:
            try:
                async with subscribed(self._layer, control.sound_group(self._call.pk)) as name:
                    while True:
                        heard = await self._layer.receive(name)
                        self._heard.append(heard["caller"] + heard["agent"])
                        self._news.set()
            except (OSError, RedisError) as exc:
                log.warning("channel layer away", error=type(exc).__name__)
                await asyncio.sleep(_RETRY_S)

    async def _pass_on(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._heard:
                await self._send({"type": "websocket.send", "bytes": self._heard.popleft()})

    # --- the end ---------------------------------------------------------------------------------

    async def check(self, door: Door) -> int:
        """Until the session, the membership or the call ends; the close code."""
        workspace = self._principal.workspace
        while True:
            await asyncio.sleep(sockets.CHECK_S)
            needed = ["calls:read", *(["live:takeover"] if self._talks else [])]
            needed += ["live:listen"] if self._ears else []
            try:
                if not await sockets.may_go_on(door, self._principal, *needed):
                    return sockets.SESSION_OVER
                call = await off_loop(read.bare)(workspace, self._call.pk)
            except (TenexError, DatabaseFault):
                continue
            if call.status not in LIVE:
                return CALL_OVER

    async def leave(self) -> None:
        """The call is given back at once; if that cannot be told, the live session notices by itself."""
        self._stop_listening()
        try:
            await self._give_back(lost=True)
        except (TenexError, DatabaseFault) as exc:
            log.warning("call not given back", error=type(exc).__name__, call_id=str(self._call.pk))
