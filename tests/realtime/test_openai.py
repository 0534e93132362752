"""The Realtime client against a server on a real socket."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tests.realtime.fake_model import FakeModel, FakeSession, Message, confirming, fake_model, silent
from voice.realtime.openai import Endpoint, OpenAIConnection
from voice.realtime.port import ModelConnection, ModelUnavailable, ServerEvent
from voice.session.commands import AppendAudio, CreateResponse, TruncateItem
from voice.session.events import (
    AgentTextDelta,
    AudioDelta,
    AudioDone,
    ModelError,
    ModelLost,
    ModelReady,
    UnknownEvent,
)
from voice.wire.openai_commands import SessionConfig

CONFIG = SessionConfig(model="gpt-realtime-2.1", instructions="Be brief.")


class Heard:
    """Collects what a connection delivers."""

    def __init__(self) -> None:
        self.events: list[ServerEvent] = []
        self._news = asyncio.Event()

    def __call__(self, connection: ModelConnection, event: ServerEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def first[T](self, kind: type[T]) -> T:
        async with asyncio.timeout(5):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                self._news.clear()
                await self._news.wait()


class Client:
    def __init__(self, model: FakeModel) -> None:
        self.model = model
        self.heard = Heard()
        self.endpoint = Endpoint(
            model.url, "sk-test", connect_timeout_s=2, blackhole_s=0.6, safety_identifier="abc"
        )
        self.config = CONFIG
        self.connections: list[OpenAIConnection] = []

    def connection(self, attempt: int = 1) -> OpenAIConnection:
        made = OpenAIConnection(self.endpoint, self.config, attempt, self.heard)
        self.connections.append(made)
        return made

    async def live(self) -> tuple[OpenAIConnection, FakeSession]:
        connection = self.connection()
        await connection.open([])
        return connection, await self.model.session()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with fake_model() as model:
        made = Client(model)
        yield made
        for connection in made.connections:
            connection.close("test over")
        async with asyncio.timeout(3):  # every socket is closed, whatever the test did
            await model.all_closed()


async def test_handshake_carries_key_and_identifier_and_no_beta_header(client: Client) -> None:
    await client.live()
    request = client.model.requests[0]
    assert request.path == "/v1/realtime?model=gpt-realtime-2.1"
    assert request.headers["Authorization"] == "Bearer sk-test"
    assert request.headers["OpenAI-Safety-Identifier"] == "abc"
    assert "OpenAI-Beta" not in request.headers
    assert "Sec-WebSocket-Protocol" not in request.headers


async def test_ready_comes_with_session_updated_not_before(client: Client) -> None:
    client.model.on_message = silent
    opening = asyncio.create_task(client.connection(attempt=3).open([]))
    session = await client.model.session()
    await session.wait_for("session.update")
    assert client.heard.events == []
    await session.confirm(expires_at=4_000_000_000)
    await opening
    ready = await client.heard.first(ModelReady)
    assert (ready.attempt, ready.session_id) == (3, "sess_1")
    assert ready.expires_in_s is not None
    assert ready.expires_in_s > 0


async def test_audio_passes_untouched_both_ways(client: Client) -> None:
    connection, session = await client.live()
    payload = base64.b64encode(bytes(range(160))).decode()
    connection.carry_out(AppendAudio(payload))
    assert (await session.wait_for("input_audio_buffer.append"))["audio"] == payload
    await session.say(
        type="response.output_audio.delta", response_id="r", item_id="i", content_index=0, delta=payload
    )
    delta = await client.heard.first(AudioDelta)
    assert (delta.payload, delta.ms, delta.item_id) == (payload, 20.0, "i")


async def test_history_is_replayed_before_anything_else(client: Client) -> None:
    await client.connection().open([("caller", "Hello?"), ("agent", "Hi, this is Ava.")])
    session = await client.model.session()
    await session.wait_for("conversation.item.create", 2)
    items = [message["item"] for message in session.of("conversation.item.create")]
    assert [item["role"] for item in items] == ["user", "assistant"]
    assert items[1]["content"] == [{"type": "output_text", "text": "Hi, this is Ava."}]


async def test_commands_become_their_messages(client: Client) -> None:
    connection, session = await client.live()
    connection.carry_out(CreateResponse("greeting", "r1"))
    connection.carry_out(TruncateItem("item_1", 0, 480, "t1"))
    truncate = await session.wait_for("conversation.item.truncate")
    assert truncate["audio_end_ms"] == 480
    assert session.of("response.create")[0]["event_id"] == "r1"


async def test_unknown_types_binary_frames_and_rubbish_do_not_end_the_session(client: Client) -> None:
    _, session = await client.live()
    await session.say(type="response.brand_new.delta", delta="x")
    await session.socket.send(b"\x00\x01")
    await session.socket.send("{not json")
    await session.socket.send("[" * 100_000)
    await session.say(type="response.output_audio_transcript.delta", item_id="i", delta="Hi")
    await client.heard.first(AgentTextDelta)
    assert any(isinstance(event, UnknownEvent) for event in client.heard.events)
    assert not any(isinstance(event, ModelLost) for event in client.heard.events)


async def test_nothing_but_rubbish_is_a_lost_connection(client: Client) -> None:
    _, session = await client.live()
    for _ in range(30):
        await session.socket.send("{not json")
    lost = await client.heard.first(ModelLost)
    assert (lost.code, lost.retryable) == ("protocol_error", True)


async def test_a_message_in_fragments_is_one_message(client: Client) -> None:
    _, session = await client.live()
    text = json.dumps({"type": "response.output_audio_transcript.delta", "item_id": "i", "delta": "whole"})
    await session.socket.send([text[:10], text[10:30], text[30:]])
    assert (await client.heard.first(AgentTextDelta)).text == "whole"


async def test_a_delta_of_megabytes_arrives(client: Client) -> None:
    _, session = await client.live()
    payload = base64.b64encode(b"\xff" * 6_000_000).decode()
    await session.say(type="response.output_audio.delta", response_id="r", item_id="i", delta=payload)
    assert (await client.heard.first(AudioDelta)).payload == payload


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable"),
    [
        (401, {"error": {"message": "no", "type": "invalid_request_error", "code": "invalid_api_key"}},
         "invalid_api_key", False),
        (404, {"error": {"message": "no", "code": "model_not_found"}}, "model_not_found", False),
        (429, {"error": {"message": "no", "code": "insufficient_quota"}}, "insufficient_quota", False),
        (429, {"error": {"message": "no", "code": "rate_limit_exceeded"}}, "rate_limit_exceeded", True),
        (503, {}, "http_503", True),
        (403, {}, "forbidden", False),
    ],
)  # fmt: skip
async def test_refused_handshake_is_a_typed_error(
    client: Client, status: int, body: Message, code: str, retryable: bool
) -> None:
    client.model.refuse = (status, body)
    with pytest.raises(ModelUnavailable) as caught:
        await client.connection().open([])
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert caught.value.http_status == status


async def test_nobody_listens() -> None:
    connection = OpenAIConnection(Endpoint("http://127.0.0.1:9", "k"), CONFIG, 1, Heard())
    with pytest.raises(ModelUnavailable) as caught:
        await connection.open([])
    assert (caught.value.code, caught.value.retryable) == ("connect_failed", True)


async def test_no_session_updated_in_time(client: Client) -> None:
    client.model.on_message = silent
    client.endpoint = replace(client.endpoint, connect_timeout_s=0.3)
    with pytest.raises(ModelUnavailable) as caught:
        await client.connection().open([])
    assert caught.value.code == "connect_timeout"


async def test_server_that_accepts_tcp_and_says_nothing() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", "k", connect_timeout_s=0.3)
        connection = OpenAIConnection(endpoint, CONFIG, 1, Heard())
        with pytest.raises(ModelUnavailable) as caught:
            await connection.open([])
        assert caught.value.retryable


async def refuse_transcription(session: FakeSession, message: Message) -> None:
    if "transcription" in message.get("session", {}).get("audio", {}).get("input", {}):
        error = {
            "type": "invalid_request_error",
            "code": "invalid_value",
            "message": "Unsupported model.",
            "param": "session.audio.input.transcription.model",
            "event_id": message["event_id"],
        }
        await session.say(type="error", error=error)
    else:
        await confirming(session, message)


async def test_refused_transcription_is_given_up_not_the_call(client: Client) -> None:
    client.model.on_message = refuse_transcription
    await client.connection().open([])
    session = await client.model.session()
    updates = session.of("session.update")
    assert ["transcription" in update["session"]["audio"]["input"] for update in updates] == [True, False]
    await client.heard.first(ModelReady)


async def test_any_other_refusal_fails_the_start(client: Client) -> None:
    async def refuse(session: FakeSession, message: Message) -> None:
        error = {"type": "invalid_request_error", "code": "unknown_parameter", "param": "session.speed"}
        await session.say(type="error", error={**error, "message": "?", "event_id": message.get("event_id")})

    client.model.on_message = refuse
    with pytest.raises(ModelUnavailable) as caught:
        await client.connection().open([])
    assert (caught.value.code, caught.value.retryable) == ("unknown_parameter", False)


async def test_an_error_about_something_else_does_not_fail_the_start(client: Client) -> None:
    async def odd(session: FakeSession, message: Message) -> None:
        await session.say(type="error", error={"code": "x", "message": "y", "event_id": "other"})
        await confirming(session, message)

    client.model.on_message = odd
    await client.connection().open([])
    await client.heard.first(ModelReady)


async def test_wrong_audio_format_fails_the_start(client: Client) -> None:
    async def pcm(session: FakeSession, message: Message) -> None:
        await session.confirm("audio/pcm")

    client.model.on_message = pcm
    with pytest.raises(ModelUnavailable) as caught:
        await client.connection().open([])
    assert (caught.value.code, caught.value.retryable) == ("audio_format_mismatch", False)


@pytest.mark.parametrize(
    ("code", "reason", "expected", "retryable"),
    [
        (1001, "", "close_1001", True),
        (1011, "", "close_1011", True),
        (1000, "", "close_1000", True),
        (1008, "", "close_1008", False),
        (4000, "beta_api_shape_disabled", "beta_api_shape_disabled", False),
        (1008, "insufficient_quota", "insufficient_quota", False),
    ],
)
async def test_close_codes(client: Client, code: int, reason: str, expected: str, retryable: bool) -> None:
    connection, session = await client.live()
    await session.socket.close(code, reason)
    lost = await client.heard.first(ModelLost)
    assert (lost.code, lost.retryable, lost.attempt) == (expected, retryable, connection.attempt)


async def test_reset_connection_is_lost_at_once(client: Client) -> None:
    _, session = await client.live()
    session.socket.transport.abort()
    lost = await client.heard.first(ModelLost)
    assert (lost.code, lost.retryable) == ("close_1006", True)


@pytest.mark.parametrize(("code", "retryable"), [("session_expired", True), ("insufficient_quota", False)])
async def test_error_event_that_announces_the_end(client: Client, code: str, retryable: bool) -> None:
    _, session = await client.live()
    await session.say(type="error", error={"type": "invalid_request_error", "code": code, "message": "m"})
    lost = await client.heard.first(ModelLost)
    assert (lost.code, lost.retryable) == (code, retryable)


async def test_other_errors_are_events(client: Client) -> None:
    _, session = await client.live()
    await session.say(type="error", error={"code": "invalid_value", "message": "m", "event_id": "t1"})
    assert (await client.heard.first(ModelError)).client_event_id == "t1"


async def test_blackhole_is_noticed(client: Client) -> None:
    """The peer neither sends nor answers pings: lost after `blackhole_s`, not after TCP's minutes."""
    _, session = await client.live()
    session.socket.transport.pause_reading()
    loop = asyncio.get_running_loop()
    began = loop.time()
    lost = await client.heard.first(ModelLost)
    assert (lost.code, lost.retryable) == ("no_answer", True)
    assert loop.time() - began < 1.5
    session.socket.transport.abort()


async def test_a_quiet_server_that_answers_pings_is_kept(client: Client) -> None:
    await client.live()
    await asyncio.sleep(1.0)  # more than blackhole_s
    assert not any(isinstance(event, ModelLost) for event in client.heard.events)


async def test_nothing_is_delivered_after_close(client: Client) -> None:
    connection, session = await client.live()
    connection.close("call over")
    with contextlib.suppress(Exception):
        for _ in range(5):
            await session.say(type="response.output_audio_transcript.delta", item_id="i", delta="late")
    await session.socket.wait_closed()
    assert session.socket.close_code == 1000
    assert [type(event) for event in client.heard.events] == [ModelReady]


async def test_close_while_connecting_leaves_no_socket(client: Client) -> None:
    client.model.on_message = silent
    connection = client.connection()
    opening = asyncio.create_task(connection.open([]))
    session = await client.model.session()
    connection.close("hung up")
    with pytest.raises(ModelUnavailable):
        await opening
    await session.socket.wait_closed()


async def test_cancelled_open_leaves_no_socket(client: Client) -> None:
    client.model.on_message = silent
    opening = asyncio.create_task(client.connection().open([]))
    session = await client.model.session()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await session.socket.wait_closed()


async def test_server_that_ignores_our_close_is_dropped(client: Client) -> None:
    connection, session = await client.live()
    session.socket.transport.pause_reading()  # it never sees the close frame
    connection.close("call over")
    async with asyncio.timeout(3):
        assert connection._transport is not None
        await connection._transport.wait_disconnected()
    session.socket.transport.abort()


async def test_pcm24k_is_resampled_both_ways(client: Client) -> None:
    client.config = replace(CONFIG, audio_format="audio/pcm")
    connection, session = await client.live()
    update = session.of("session.update")[0]["session"]["audio"]
    assert update["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    frame = base64.b64encode(b"\x20" * 160).decode()
    for _ in range(50):
        connection.carry_out(AppendAudio(frame))
    connection.carry_out(CreateResponse("greeting", "r1"))
    await session.wait_for("response.create")
    pcm = b"".join(base64.b64decode(message["audio"]) for message in session.of("input_audio_buffer.append"))
    assert 24_000 * 2 * 0.95 < len(pcm) <= 24_000 * 2  # a second, less what the filter holds

    second: Any = base64.b64encode(bytes(24_000 * 2)).decode()
    ids = {"response_id": "r", "item_id": "i", "content_index": 0}
    await session.say(type="response.output_audio.delta", delta=second, **ids)
    await session.say(type="response.output_audio.done", **ids)
    await client.heard.first(AudioDone)
    deltas = [event for event in client.heard.events if isinstance(event, AudioDelta)]
    assert sum(len(base64.b64decode(delta.payload)) for delta in deltas) == pytest.approx(8000, abs=8)
    assert sum(delta.ms for delta in deltas) == pytest.approx(1000, abs=1)
