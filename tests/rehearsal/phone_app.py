"""A small application for the carrier to call: answers TwiML, takes callbacks, talks on the media socket."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson
from aiohttp import WSMsgType, web
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from voice.rehearsal.carrier.options import ACCOUNT_SID, AUTH_TOKEN, CarrierOptions, NumberSetup
from voice.rehearsal.carrier.records import CallRecord
from voice.rehearsal.harness import Rehearsal
from voice.rehearsal.scenario import OUR_NUMBER, Scenario

CACHE = Path(__file__).resolve().parents[2] / "var" / "speech"
PERSON = "+14155550142"
TALK = b"\x10" * 160
"""One frame of something that is not silence."""

type Socket = Callable[["Peer"], Awaitable[None]]


@dataclass
class Hook:
    """One request of the carrier."""

    path: str
    form: dict[str, str]
    signed: bool


@dataclass
class Peer:
    """The application's end of a media stream."""

    ws: web.WebSocketResponse
    signed: bool
    got: list[dict[str, Any]] = field(default_factory=list)

    async def next(self, event: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """The next message of this kind; all are kept in `got`.

        Raises:
            ConnectionError: the stream ended first.
        """
        async with asyncio.timeout(timeout_s):
            async for message in self.ws:
                if message.type is WSMsgType.TEXT:
                    self.got.append(orjson.loads(message.data))
                    if self.got[-1]["event"] == event:
                        return self.got[-1]
        raise ConnectionError(f"the stream ended before {event!r}")

    async def until_closed(self, timeout_s: float = 30.0) -> None:
        async with asyncio.timeout(timeout_s):
            async for message in self.ws:
                if message.type is WSMsgType.TEXT:
                    self.got.append(orjson.loads(message.data))

    @property
    def sid(self) -> str:
        return next(str(m["streamSid"]) for m in self.got if m["event"] == "start")

    async def say(self, sound: bytes, mark: str = "") -> None:
        payload = base64.b64encode(sound).decode()
        await self.send({"event": "media", "streamSid": self.sid, "media": {"payload": payload}})
        if mark:
            await self.mark(mark)

    async def mark(self, name: str) -> None:
        await self.send({"event": "mark", "streamSid": self.sid, "mark": {"name": name}})

    async def clear(self) -> None:
        await self.send({"event": "clear", "streamSid": self.sid})

    async def send(self, message: dict[str, Any]) -> None:
        await self.ws.send_str(orjson.dumps(message).decode())

    def of(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.got if message["event"] == event]

    @property
    def heard(self) -> bytes:
        return b"".join(base64.b64decode(m["media"]["payload"]) for m in self.of("media"))


class App:
    """`twiml` maps a path to a document (or a status to fail with); `on_stream` plays the agent."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.hooks: list[Hook] = []
        self.peers: list[Peer] = []
        self.twiml: dict[str, str | int] = {}
        self.on_stream: Socket = Peer.until_closed
        self.failures: list[BaseException] = []
        self._validator = RequestValidator(AUTH_TOKEN)

    @property
    def ws_url(self) -> str:
        return self.base_url.replace("http", "ws", 1) + "/media"

    def connect(self, after: str = "<Hangup/>", action: str = "", **parameters: str) -> str:
        """TwiML that opens a stream."""
        given = "".join(f'<Parameter name="{k}" value="{v}"/>' for k, v in parameters.items())
        attribute = f' action="{action}"' if action else ""
        callback = f'statusCallback="{self.base_url}/stream-status"'
        return (
            f'<Response><Connect{attribute}><Stream url="{self.ws_url}" {callback}>{given}</Stream></Connect>'
            f"{after}</Response>"
        )

    def forms(self, path: str) -> list[dict[str, str]]:
        return [hook.form for hook in self.hooks if hook.path == path]

    async def http(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        url = self.base_url + request.path_qs
        signature = request.headers.get("X-Twilio-Signature", "")
        self.hooks.append(Hook(request.path, form, self._validator.validate(url, form, signature)))
        answer = self.twiml.get(request.path)
        if answer is None:
            return web.Response(status=204)
        if isinstance(answer, int):
            return web.Response(status=answer)
        return web.Response(text=answer, content_type="text/xml")

    async def media(self, request: web.Request) -> web.WebSocketResponse:
        signature = request.headers.get("X-Twilio-Signature", "")
        signed = self._validator.validate(self.ws_url, {}, signature)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        peer = Peer(ws, signed)
        self.peers.append(peer)
        try:
            await self.on_stream(peer)
        except Exception as exc:
            self.failures.append(exc)
        await ws.close()
        return ws


class Sdk(TwilioHttpClient):  # type: ignore[misc]
    """Twilio's own client, pointed at another address (twilio.md 16)."""

    def __init__(self, base: str) -> None:
        super().__init__(timeout=10)
        self._base = urlsplit(base)

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(url)._replace(scheme=self._base.scheme, netloc=self._base.netloc)
        return super().request(method, urlunsplit(parts), *args, **kwargs)


class Stand:
    """Carrier, application and SDK of one test."""

    def __init__(self, rehearsal: Rehearsal, app: App) -> None:
        self.rehearsal = rehearsal
        self.app = app
        self.exchange = rehearsal.exchange
        self._client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=Sdk(rehearsal.carrier_url))

    async def sdk[T](self, work: Callable[[Client], T]) -> T:
        return await asyncio.to_thread(work, self._client)

    async def refused(self, work: Callable[[Client], object]) -> TwilioRestException:
        """The error that the SDK raises."""
        try:
            await self.sdk(work)
        except TwilioRestException as exc:
            return exc
        raise AssertionError("it was not refused")

    def call_in(self, *script: dict[str, Any], **call: Any) -> CallRecord:
        return self.rehearsal.call_in(play(*script, **call))

    async def ended(self, sid: str) -> CallRecord:
        record = await self.rehearsal.ended(sid)
        assert not self.app.failures, self.app.failures
        assert all(hook.signed for hook in self.app.hooks)
        return record

    async def talking(self) -> Peer:
        """The media stream of the only call, once it carries sound."""
        async with asyncio.timeout(10):
            while not (self.app.peers and self.app.peers[0].of("media")):
                await asyncio.sleep(0.01)
        return self.app.peers[0]

    async def in_progress(self, sid: str) -> None:
        async with asyncio.timeout(10):
            while self.exchange.books.calls[sid].status != "in-progress":
                await asyncio.sleep(0.01)

    def codes(self, sid: str) -> list[int]:
        return [alert.code for alert in self.exchange.books.alerts if alert.call_sid == sid]


def play(*script: dict[str, Any], **call: Any) -> Scenario:
    """A scenario of a test; calls connect at once."""
    call = {"from": PERSON, "ring_s": 0} | call
    return Scenario.model_validate({"name": "test", "call": call, "script": list(script)})


@asynccontextmanager
async def standing(speed: float = 8.0, **options: Any) -> AsyncIterator[Stand]:
    runner: web.AppRunner | None = None
    app = App("")
    server = web.Application()
    server.router.add_get("/media", app.media)
    server.router.add_post("/{path:.*}", app.http)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    app.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    number = NumberSetup(
        OUR_NUMBER, f"{app.base_url}/voice", f"{app.base_url}/fallback", f"{app.base_url}/status"
    )
    settings = CarrierOptions(numbers=(number,), **{"calls_per_second": 100.0} | options)
    try:
        async with Rehearsal(speed=speed, options=settings, cache_dir=CACHE) as rehearsal:
            yield Stand(rehearsal, app)
    finally:
        await runner.cleanup()
