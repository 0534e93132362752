"""A bridge on a real port, a model on another, and phones that speak Media Streams."""

import asyncio
import base64
import json
import secrets
import socket
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import pytest
import uvicorn
from django.utils import timezone
from pytest_django import Settings as SettingsWrapper
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from crm.models import Lead
from tenex.server.media_protocol import MediaProtocol
from tenex.workspaces.models import Workspace
from tests.realtime.fake_model import FakeModel, FakeSession, fake_model
from voice.bridge import assembly, threads
from voice.models import Agent, AgentVersion, Call, CallStatus, Direction, PhoneNumber, VoiceProfile
from voice.services import live
from voice.services.live import CallContext

with warnings.catch_warnings():  # static files are collected at deployment only
    warnings.filterwarnings("ignore", message="No directory at")
    from tenex.asgi import application

SILENCE = base64.b64encode(b"\xff" * 160).decode()
Message = dict[str, Any]


@dataclass
class Result:
    output_json: str = '{"ok": true}'
    ok: bool = True
    effect: Literal["none", "end_call", "transfer", "opt_out"] = "none"
    effect_data: dict[str, Any] = field(default_factory=dict)


class Tools:
    """Tools whose every run a test decides about. Runs in threads."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str]] = []
        self.act: Callable[[str], Result] = lambda name: Result()

    def definitions(self, names: tuple[str, ...]) -> list[dict[str, Any]]:
        parameters = {"type": "object", "properties": {}, "additionalProperties": False}
        return [{"type": "function", "name": name, "parameters": parameters} for name in names]

    def run(self, call_id: Any, tool_call_id: str, name: str, arguments_json: str) -> Result:
        self.runs.append((name, arguments_json))
        return self.act(name)

    def time_out(self, call_id: Any, tool_call_id: str) -> Result:
        return Result('{"error": {"code": "timeout", "message": "given up"}}', ok=False)


class Control:
    """The carrier's REST side: records, and can fail."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.error: Exception | None = None
        self.news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def _note(self, what: str, value: str) -> None:
        self.asked.append((what, value))
        self._loop.call_soon_threadsafe(self.news.set)
        if self.error is not None:
            raise self.error

    def hang_up(self, context: CallContext, reason: str) -> None:
        self._note("hang_up", reason)

    def transfer(self, context: CallContext, number: str) -> None:
        self._note("transfer", number)

    def start_recording(self, context: CallContext) -> None:
        self._note("start_recording", context.call_sid)

    def stop_recording(self, context: CallContext) -> None:
        self._note("stop_recording", context.call_sid)


class PhoneClient:
    """The carrier's end of one media socket: plays nothing, returns marks when told."""

    def __init__(self, ws: ClientConnection, sid: str) -> None:
        self.ws = ws
        self.sid = sid
        self.received: list[Message] = []
        self._news = asyncio.Event()
        self._sent = 0
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for frame in self.ws:
                self.received.append(json.loads(frame))
                self._news.set()
        except ConnectionClosed:
            pass

    def of(self, event: str) -> list[Message]:
        return [message for message in self.received if message["event"] == event]

    async def wait_for(self, event: str, count: int = 1, timeout_s: float = 5.0) -> Message:
        async with asyncio.timeout(timeout_s):
            while len(self.of(event)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(event)[count - 1]

    async def send(self, **message: Any) -> None:
        await self.ws.send(json.dumps(message, separators=(",", ":")))

    async def start(self, token: str, call_sid: str) -> None:
        await self.send(event="connected", protocol="Call", version="1.0.0")
        media_format = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        start = {
            "accountSid": "AC1",
            "streamSid": self.sid,
            "callSid": call_sid,
            "tracks": ["inbound"],
            "mediaFormat": media_format,
            "customParameters": {"token": token},
        }
        await self.send(event="start", sequenceNumber="1", streamSid=self.sid, start=start)

    async def speak(self, frames: int = 1, payload: str = SILENCE) -> None:
        for _ in range(frames):
            self._sent += 1
            count = str(self._sent)
            media = {"track": "inbound", "chunk": count, "timestamp": "20", "payload": payload}
            await self.send(event="media", sequenceNumber=count, streamSid=self.sid, media=media)

    async def return_mark(self, name: str) -> None:
        await self.send(event="mark", sequenceNumber="5", streamSid=self.sid, mark={"name": name})

    async def return_marks(self) -> None:
        for mark in self.of("mark"):
            await self.return_mark(mark["mark"]["name"])

    async def stop(self) -> None:
        stop = {"accountSid": "AC1", "callSid": "CA1"}
        await self.send(event="stop", sequenceNumber="9", streamSid=self.sid, stop=stop)

    async def closed(self, timeout_s: float = 6.0) -> int | None:
        """Wait for the end of the socket; its close code."""
        async with asyncio.timeout(timeout_s):
            await self.ws.wait_closed()
        return self.ws.close_code


@dataclass
class World:
    model: FakeModel
    tools: Tools
    control: Control
    url: str

    async def call(self, **fields: Any) -> Call:
        """A ringing inbound call of a known lead."""
        return await asyncio.to_thread(threads.with_connection, lambda: make_call(**fields))

    async def token(self, call: Call) -> str:
        return await asyncio.to_thread(threads.with_connection, lambda: live.issue_token(call))

    async def orm[T](self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(threads.with_connection, work)

    @asynccontextmanager
    async def phone(self, *, token: str = "", **headers: str) -> AsyncIterator[PhoneClient]:
        """An open socket that has said nothing yet. `token`: in the address, of an account of one's own."""
        path = f"/twilio/media/{token}" if token else "/twilio/media"
        async with connect(
            f"{self.url}{path}", compression=None, max_size=None, additional_headers=headers
        ) as ws:
            client = PhoneClient(ws, f"MZ{secrets.token_hex(16)}")
            try:
                yield client
            finally:
                client._reader.cancel()

    @asynccontextmanager
    async def talking(self, **fields: Any) -> AsyncIterator["Talk"]:
        """A call whose stream and model session are up."""
        call = await self.call(**fields)
        async with self.phone() as phone:
            number = len(self.model.sessions) + 1
            await phone.start(await self.token(call), call.provider_sid or "")
            session = await self.model.session(number)
            await session.wait_for("session.update")
            yield Talk(self, call, phone, session)


@dataclass
class Talk:
    """One call under way."""

    world: World
    call: Call
    phone: PhoneClient
    session: FakeSession

    async def agent_says(self, ms: int = 400, *, response: str = "resp_1", item: str = "item_a") -> str:
        """A whole spoken answer; its payload."""
        payload = base64.b64encode(b"\x55" * (8 * ms)).decode()
        ids = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        say = self.session.say
        await say(type="response.created", response={"id": response, "metadata": await self._metadata()})
        message = {"id": item, "type": "message", "role": "assistant"}
        await say(type="conversation.item.added", previous_item_id=None, item=message)
        await say(type="response.output_audio_transcript.delta", **ids, delta="Hello there.")
        await say(type="response.output_audio.delta", **ids, delta=payload)
        await say(type="response.output_audio.done", **ids)
        await say(type="response.output_audio_transcript.done", **ids, transcript="Hello there.")
        usage = {"total_tokens": 10, "input_token_details": {"audio_tokens": 4}}
        done = {"id": response, "status": "completed", "usage": usage, "output": []}
        await say(type="response.done", response=done)
        return payload

    async def heard(self) -> None:
        """The phone has played everything: its marks are back, and the bridge has seen them."""
        await self.phone.wait_for("mark")
        await self.phone.return_marks()
        count = len(self.session.of("input_audio_buffer.append"))
        await self.phone.speak()  # behind the marks on the same socket
        await self.session.wait_for("input_audio_buffer.append", count + 1)

    async def _metadata(self) -> dict[str, str] | None:
        asked = self.session.of("response.create")
        metadata: dict[str, str] | None = asked[-1]["response"].get("metadata") if asked else None
        return metadata

    async def caller_says(self, text: str, *, item: str = "item_u", previous: str | None = None) -> None:
        say = self.session.say
        await say(type="input_audio_buffer.speech_started", item_id=item, audio_start_ms=100)
        await say(type="input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=900)
        await say(type="input_audio_buffer.committed", item_id=item, previous_item_id=previous)
        message = {"id": item, "type": "message", "role": "user"}
        await say(type="conversation.item.added", previous_item_id=previous, item=message)
        kind = "conversation.item.input_audio_transcription.completed"
        await say(type=kind, item_id=item, content_index=0, transcript=text)

    async def model_calls(self, name: str, *, call_id: str = "call_1") -> None:
        say = self.session.say
        await say(type="response.created", response={"id": "resp_t", "metadata": await self._metadata()})
        item = {"id": "item_f", "type": "function_call", "status": "completed", "call_id": call_id}
        item |= {"name": name, "arguments": "{}"}
        await say(type="response.output_item.done", response_id="resp_t", output_index=0, item=item)
        await say(type="response.done", response={"id": "resp_t", "status": "completed", "output": [item]})

    async def over(self) -> Call:
        """Wait until the live part has been written and given back; the fresh row."""
        async with asyncio.timeout(8):
            while True:
                row = await self.world.orm(lambda: Call.objects.get(pk=self.call.pk))
                if row.lease_until is None:
                    return row
                await asyncio.sleep(0.05)


def make_call(**fields: Any) -> Call:
    slug = secrets.token_hex(6)
    workspace = Workspace.objects.create(
        name="Acme", slug=slug, webhook_secret="s", time_zone="Europe/Berlin", transfer_number="+14155550199"
    )
    profile = VoiceProfile.objects.create(
        workspace=workspace, name="calm", greeting="Hi {{lead.first_name}}!"
    )
    agent = Agent.objects.create(workspace=workspace, name="Ava", slug="ava", profile=profile)
    version = AgentVersion.objects.create(
        agent=agent, number=1, system_prompt="You call for {{workspace.name}}.", tools=["lookup_lead"]
    )
    lead = Lead.objects.create(workspace=workspace, first_name="Maria", phone="+14155550101")
    number = PhoneNumber.objects.create(workspace=workspace, e164=f"+1415{int(slug[:6], 16) % 10**7:07d}")
    values: dict[str, Any] = {
        "workspace": workspace,
        "direction": Direction.INBOUND,
        "status": CallStatus.RINGING,
        "from_number": "+14155550101",
        "to_number": number.e164,
        "number": number,
        "lead": lead,
        "agent_version": version,
        "provider_sid": f"CA{secrets.token_hex(16)}",
        "placed_at": timezone.now() - timedelta(seconds=2),
    }
    return Call.objects.create(**(values | fields))


@pytest.fixture
def free_port() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


@pytest.fixture
async def world(
    transactional_db: None, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """Everything runs on this test's loop; afterwards nothing does."""
    settings.TWILIO_AUTH_TOKEN = settings.TWILIO_AUTH_TOKEN_SECONDARY = ""
    settings.TIME_SCALE = 1.0
    before = set(asyncio.all_tasks())
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    async with fake_model() as model:
        settings.OPENAI_BASE_URL = model.url
        tools, control = Tools(), Control()
        monkeypatch.setattr(assembly, "ports", assembly.Ports(tools=tools, control=control))
        config = uvicorn.Config(
            application, ws=MediaProtocol, ws_max_size=65_536, lifespan="on", log_config=None
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield World(model, tools, control, f"ws://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            await serving
            await model.all_closed()
    await _nothing_left(before)


async def _nothing_left(before: set["asyncio.Task[Any]"]) -> None:
    """No task of a call outlives it. (The channel layer keeps one receiver a loop.)"""
    for _ in range(5):
        left = [
            task
            for task in asyncio.all_tasks() - before - {asyncio.current_task()}
            if "RedisSingleShardConnection" not in repr(task.get_coro())
        ]
        if not left:
            return
        await asyncio.wait(left, timeout=1)
    raise AssertionError(f"left behind: {left}")


@pytest.fixture(scope="session", autouse=True)
def _threads_end() -> Iterator[None]:
    yield
    threads.shut_down()
