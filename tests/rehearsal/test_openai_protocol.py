"""The offline Realtime server refuses what the real one refuses, and answers in its words."""

import base64

import pytest
import websockets
from openai import AsyncOpenAI

from tests.rehearsal.offline_model import KEY, SILENCE, connected, serving

MCP = {"type": "mcp", "server_label": "crm", "server_url": "https://mcp.example.com/mcp"}
TOOL = {
    "type": "function",
    "name": "end_call",
    "description": "",
    "parameters": {"type": "object", "properties": {}},
}


async def test_session_begins_with_the_default_configuration() -> None:
    async with serving() as server, connected(server) as client:
        session = (await client.next())["session"]
        assert session["object"] == "realtime.session"
        assert session["id"].startswith("sess_")
        assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
        assert session["audio"]["input"]["transcription"] is None
        assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"


async def test_update_returns_the_whole_effective_configuration() -> None:
    async with serving() as server, connected(server) as client:
        first = (await client.configure(tools=[TOOL]))["session"]
        await client.send("session.update", session={"type": "realtime", "instructions": "Other."})
        second = (await client.until("session.updated"))["session"]
        assert second == {**first, "instructions": "Other."}
        assert second["audio"]["output"]["format"] == {"type": "audio/pcmu"}
        assert second["tools"] == [TOOL]


@pytest.mark.parametrize(
    ("patch", "code", "param"),
    [
        ({"instructions": "x"}, "missing_required_parameter", "session.type"),
        ({"type": "realtime", "temperature": 0.8}, "unknown_parameter", "session.temperature"),
        ({"type": "realtime", "voice": "marin"}, "unknown_parameter", "session.voice"),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcmu", "rate": 8000}}}},
            "unknown_parameter",
            "session.audio.input.format.rate",
        ),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm"}}}},
            "missing_required_parameter",
            "session.audio.input.format.rate",
        ),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "integer_below_min_value",
            "session.audio.input.format.rate",
        ),
        (
            {"type": "realtime", "audio": {"input": {"format": "g711_ulaw"}}},
            "invalid_type",
            "session.audio.input.format",
        ),
        (
            {"type": "realtime", "audio": {"output": {"voice": "bob"}}},
            "invalid_value",
            "session.audio.output.voice",
        ),
        (
            {
                "type": "realtime",
                "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}},
            },
            "decimal_above_max_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {
                "type": "realtime",
                "audio": {"input": {"turn_detection": {"type": "semantic_vad", "threshold": 0.5}}},
            },
            "unknown_parameter",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {
                "type": "realtime",
                "audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 100}}},
            },
            "integer_below_min_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            {
                "type": "realtime",
                "audio": {"input": {"transcription": {"model": "whisper-1", "keywords": ["x"]}}},
            },
            "unsupported_parameter",
            "session.audio.input.transcription.keywords",
        ),
        (
            {"type": "realtime", "output_modalities": ["audio", "text"]},
            "invalid_value",
            "session.output_modalities",
        ),
        (
            {"type": "realtime", "tools": [{"type": "function", "function": {"name": "x"}}]},
            "missing_required_parameter",
            "session.tools[0].name",
        ),
        (
            {"type": "realtime", "tools": [{**TOOL, "strict": True}]},
            "unknown_parameter",
            "session.tools[0].strict",
        ),
        ({"type": "realtime", "tools": [TOOL, TOOL]}, "invalid_value", "session.tools"),
        ({"type": "realtime", "tools": [MCP, MCP]}, "invalid_value", "session.tools"),
        (
            {"type": "realtime", "tools": [{**MCP, "server_url": "http://mcp.example.com/mcp"}]},
            "invalid_value",
            "session.tools[0].server_url",
        ),
        (
            {"type": "realtime", "tools": [{**MCP, "server_url": "https://10.0.0.7/mcp"}]},
            "invalid_value",
            "session.tools[0].server_url",
        ),
        (
            {"type": "realtime", "tools": [{**MCP, "server_url": "https://localhost/mcp"}]},
            "invalid_value",
            "session.tools[0].server_url",
        ),
        (
            {
                "type": "realtime",
                "tools": [{**MCP, "authorization": "t", "headers": {"authorization": "Bearer t"}}],
            },
            "invalid_value",
            "session.tools[0].authorization",
        ),
        (
            {"type": "realtime", "tools": [{**MCP, "require_approval": "sometimes"}]},
            "invalid_value",
            "session.tools[0].require_approval",
        ),
        (
            {"type": "realtime", "tools": [{**MCP, "allowed_tools": {"names": ["x"]}}]},
            "unknown_parameter",
            "session.tools[0].allowed_tools.names",
        ),
        (
            {"type": "realtime", "tools": [{**MCP, "connector_id": "c"}]},
            "invalid_value",
            "session.tools[0]",
        ),
        (
            {"type": "realtime", "max_output_tokens": 5000},
            "integer_above_max_value",
            "session.max_output_tokens",
        ),
        ({"type": "realtime", "model": "gpt-realtime-1.5"}, "invalid_value", "session.model"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
    ],
)
async def test_wrong_update_changes_nothing(patch: dict[str, object], code: str, param: str) -> None:
    async with serving() as server, connected(server) as client:
        before = (await client.next())["session"]
        error = await client.error_of("session.update", session={**patch})
        assert (error["code"], error["param"]) == (code, param)
        await client.send("session.update", session={"type": "realtime"})
        assert (await client.until("session.updated"))["session"] == before
        assert [event["type"] for event in client.seen].count("session.updated") == 1


async def test_reasoning_is_for_reasoning_models() -> None:
    async with serving() as server:
        async with connected(server) as client:
            updated = await client.configure(reasoning={"effort": "low"}, parallel_tool_calls=True)
            assert updated["session"]["reasoning"] == {"effort": "low"}
        async with connected(server, model="gpt-realtime-1.5") as client:
            error = await client.error_of(
                "session.update", session={"type": "realtime", "reasoning": {"effort": "low"}}
            )
            assert error["code"] == "unsupported_parameter"


@pytest.mark.parametrize(
    ("model", "headers", "status", "code"),
    [
        ("gpt-realtime-2.1", {"Authorization": "Bearer sk-wrong"}, 401, "invalid_api_key"),
        ("gpt-4o-realtime-preview", {}, 404, "model_not_found"),
        ("", {}, 400, "missing_model"),
    ],
)
async def test_handshake_is_refused_in_json(
    model: str, headers: dict[str, str], status: int, code: str
) -> None:
    async with serving() as server:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with connected(server, model=model, headers=headers):
                pass
        response = refused.value.response
        assert response.status_code == status
        assert f'"code":"{code}"'.encode() in (response.body or b"")


async def test_beta_header_is_refused_after_the_upgrade() -> None:
    async with serving() as server, connected(server, headers={"OpenAI-Beta": "realtime=v1"}) as client:
        assert (await client.next())["error"]["code"] == "beta_api_shape_disabled"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await client.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4000


async def test_errors_leave_the_session_open() -> None:
    async with serving() as server, connected(server) as client:
        await client.configure()
        await client.ws.send("{not json")
        assert (await client.until("error"))["error"]["code"] == "invalid_event"
        assert (await client.error_of("no.such.event"))["code"] == "invalid_event"
        assert (await client.error_of("output_audio_buffer.clear"))["code"] == "invalid_event"
        error = await client.error_of("input_audio_buffer.append", audio="@@@")
        assert error["param"] == "audio"
        error = await client.error_of("response.create", response={"voice": "marin"})
        assert error["param"] == "response.voice"
        error = await client.error_of("response.create", response={"metadata": {"a": 1}})
        assert error["param"] == "response.metadata.a"
        assert (await client.error_of("response.cancel"))["code"] == "response_cancel_not_active"
        assert len(server.truth["errors_sent"]) == 7


async def test_items_are_kept_in_order_and_by_id() -> None:
    async with serving() as server, connected(server) as client:
        await client.configure()

        def text(item_id: str, role: str, kind: str) -> dict[str, object]:
            return {"id": item_id, "type": "message", "role": role, "content": [{"type": kind, "text": "hi"}]}

        await client.send("conversation.item.create", item=text("one", "user", "input_text"))
        assert (await client.until("conversation.item.added"))["previous_item_id"] is None
        await client.send("conversation.item.create", item=text("two", "assistant", "output_text"))
        assert (await client.until("conversation.item.done", lambda e: e["item"]["id"] == "two"))[
            "previous_item_id"
        ] == "one"
        await client.send(
            "conversation.item.create", item=text("zero", "system", "input_text"), previous_item_id="root"
        )
        added = await client.until("conversation.item.added", lambda e: e["item"]["id"] == "zero")
        assert added["previous_item_id"] is None

        duplicate = await client.error_of("conversation.item.create", item=text("one", "user", "input_text"))
        assert duplicate["param"] == "item.id"
        wrong_part = await client.error_of("conversation.item.create", item=text("x", "assistant", "text"))
        assert wrong_part["param"] == "item.content[0].type"
        nowhere = await client.error_of(
            "conversation.item.create", item=text("x", "user", "input_text"), previous_item_id="gone"
        )
        assert nowhere["code"] == "item_create_invalid_previous_item_id"
        unasked = await client.error_of(
            "conversation.item.create",
            item={"type": "function_call_output", "call_id": "call_x", "output": "{}"},
        )
        assert unasked["code"] == "invalid_tool_call_id"

        await client.send("conversation.item.retrieve", item_id="two")
        assert (await client.until("conversation.item.retrieved"))["item"]["role"] == "assistant"
        not_audio = await client.error_of(
            "conversation.item.truncate", item_id="two", content_index=0, audio_end_ms=0
        )
        assert not_audio["code"] == "item_truncate_invalid_item_id"
        await client.send("conversation.item.delete", item_id="two")
        assert (await client.until("conversation.item.deleted"))["item_id"] == "two"
        assert (await client.error_of("conversation.item.delete", item_id="two"))[
            "code"
        ] == "item_delete_invalid_item_id"
        assert (await client.error_of("conversation.item.retrieve", item_id="two"))["param"] == "item_id"


async def test_manual_commit_needs_a_tenth_of_a_second() -> None:
    async with serving() as server, connected(server) as client:
        await client.configure(input={"turn_detection": None})
        assert (await client.error_of("input_audio_buffer.commit"))[
            "code"
        ] == "input_audio_buffer_commit_empty"
        await client.append(SILENCE * 8 * 60)
        assert "60.00ms" in (await client.error_of("input_audio_buffer.commit"))["message"]
        await client.append(SILENCE * 8 * 60)
        await client.send("input_audio_buffer.commit")
        committed = await client.until("input_audio_buffer.committed")
        item = (await client.until("conversation.item.done"))["item"]
        assert item["id"] == committed["item_id"]
        assert item["content"] == [{"type": "input_audio", "transcript": None}]
        await client.append(SILENCE * 8 * 200)
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        assert (await client.error_of("input_audio_buffer.commit"))[
            "code"
        ] == "input_audio_buffer_commit_empty"
        assert "response.created" not in client.kinds()


async def test_append_is_limited_to_15_mib() -> None:
    async with serving() as server, connected(server) as client:
        await client.configure(input={"turn_detection": None})
        await client.send(
            "input_audio_buffer.append", audio=base64.b64encode(bytes(15 * 1024 * 1024)).decode()
        )
        assert (await client.error_of("input_audio_buffer.append", audio="A" * (20 * 1024 * 1024 + 8)))[
            "param"
        ] == "audio"
        assert server.truth["appended_ms"] == 15 * 1024 * 1024 // 8


async def test_official_sdk_connects_and_talks() -> None:
    async with serving() as server:
        client = AsyncOpenAI(api_key=KEY, base_url=server.base_url)
        async with client.realtime.connect(model="gpt-realtime-2.1") as connection:
            await connection.session.update(
                session={"type": "realtime", "output_modalities": ["text"], "instructions": "Be brief."}
            )
            await connection.response.create(response={"metadata": {"purpose": "greeting"}})
            text = ""
            async for event in connection:
                if event.type == "response.output_text.delta":
                    text += event.delta
                if event.type == "response.done":
                    assert event.response.status == "completed"
                    assert event.response.usage is not None
                    assert event.response.usage.output_tokens
                    break
            assert text == "Hello, thank you for calling. How can I help you?"
        models = {model.id: model async for model in client.models.list()}
        assert models["gpt-realtime"].shutdown_date == "2027-01-20"
        assert models["gpt-realtime-2.1"].shutdown_date is None
        await client.close()


async def test_hosted_mcp_tools_as_documented_are_taken() -> None:
    tool = {
        **MCP,
        "authorization": "secret",
        "headers": {"X-Tenant": "7"},
        "allowed_tools": {"tool_names": ["find_customer"], "read_only": True},
        "require_approval": {"never": {"tool_names": ["find_customer"]}},
    }
    async with serving() as server, connected(server) as client:
        await client.configure(tools=[tool, {**MCP, "server_label": "other", "allowed_tools": ["x"]}])
