"""Whole turns with the offline model: hearing, answering, tools, interruption, time-outs."""

import asyncio
import base64
from typing import Any

import orjson
import pytest
import websockets

from tests.rehearsal.offline_model import (
    SILENCE,
    Client,
    Script,
    Server,
    connected,
    serving,
    speech,
    speech_pcm24,
)
from voice.rehearsal.model.options import Options

TOOLS = [
    {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}}
    for name in ("list_free_slots", "book_meeting", "end_call")
]
HELLO = "Hello, this is Ava."


async def spoken(client: Client) -> dict[str, Any]:
    """The response that is made next, when it is done."""
    done = await client.until("response.done")
    response: dict[str, Any] = done["response"]
    return response


def said(response: dict[str, Any]) -> str:
    return " ".join(
        part.get("transcript", "") for item in response["output"] for part in item.get("content", [])
    )


async def answer_tool(client: Client, response: dict[str, Any], output: dict[str, Any]) -> None:
    call = next(item for item in response["output"] if item["type"] == "function_call")
    item = {
        "type": "function_call_output",
        "call_id": call["call_id"],
        "output": orjson.dumps(output).decode(),
    }
    await client.send("conversation.item.create", item=item)
    await client.send("response.create", response={"metadata": {"purpose": "tool"}})


async def test_one_spoken_turn_in_the_documented_order() -> None:
    stage = Script([("agent", HELLO), ("caller", "Yes we need it next month."), ("agent", "Very good.")])
    async with serving(stage) as server, connected(server) as client:
        await client.configure()
        await client.send("response.create", response={"metadata": {"purpose": "greeting"}})
        assert said(await spoken(client)) == HELLO
        client.seen.clear()
        stage.say_next()
        await client.speak()
        assert said(await spoken(client)) == "Very good."
        kinds = [kind for kind in client.kinds() if "transcription" not in kind]
        deltas = {"response.output_audio_transcript.delta", "response.output_audio.delta"}
        assert [kind for kind in kinds if kind not in deltas] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "rate_limits.updated",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
        assert deltas <= set(kinds)
        started, stopped = (
            next(e for e in client.seen if e["type"].endswith(f"speech_{x}")) for x in ("started", "stopped")
        )
        assert started["item_id"] == stopped["item_id"]
        # Speech begins after 300 ms of silence, less the padding; it ends 500 ms after its last sound.
        assert started["audio_start_ms"] <= 250
        assert 300 + len(speech()) / 8 <= stopped["audio_end_ms"] <= 300 + len(speech()) / 8 + 620
        transcript = await transcript_of(client, stopped["item_id"])
        assert transcript["transcript"] == "Yes we need it next month."
        assert transcript["usage"]["type"] == "duration"


async def transcript_of(client: Client, item_id: str) -> dict[str, Any]:
    kind = "conversation.item.input_audio_transcription.completed"
    for event in client.seen:
        if event["type"] == kind and event["item_id"] == item_id:
            return event
    return await client.until(kind, lambda event: event["item_id"] == item_id)


async def test_audio_is_whole_and_faster_than_real_time() -> None:
    stage = Script([("agent", HELLO * 10)])
    async with serving(stage, scale=1.0) as server, connected(server) as client:
        await client.configure()
        began = asyncio.get_running_loop().time()
        await client.send("response.create")
        response = await spoken(client)
        took_s = asyncio.get_running_loop().time() - began
        audio = b"".join(
            base64.b64decode(e["delta"]) for e in client.seen if e["type"] == "response.output_audio.delta"
        )
        length_s = len(HELLO) * 10 * 0.040
        assert len(audio) == round(length_s * 8000)
        assert length_s / 10 < took_s < length_s / 3
        usage = response["usage"]
        assert usage["output_token_details"]["audio_tokens"] == round(length_s * 20)
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        words = "".join(
            e["delta"] for e in client.seen if e["type"] == "response.output_audio_transcript.delta"
        )
        assert words == HELLO * 10


async def test_tools_and_templates() -> None:
    stage = Script(
        [
            (
                "agent",
                [
                    "One moment.",
                    {"tool": "list_free_slots", "args": {"days": 5}},
                    {"tool": "book_meeting", "args": {"slot_id": "{{ last.slots.0.id }}"}},
                    {"say": "Booked for {{ last.at }}."},
                ],
            )
        ]
    )
    async with serving(stage) as server, connected(server) as client:
        await client.configure(tools=TOOLS)
        await client.send("response.create")
        first = await spoken(client)
        call = first["output"][1]
        assert said(first) == "One moment."
        assert (call["name"], call["arguments"], call["status"]) == (
            "list_free_slots",
            '{"days":5}',
            "completed",
        )
        kinds = client.kinds()
        assert kinds.index("response.function_call_arguments.delta") < kinds.index(
            "response.function_call_arguments.done"
        )
        await answer_tool(client, first, {"slots": [{"id": "s-7"}]})
        second = await spoken(client)
        assert second["output"][0]["arguments"] == '{"slot_id":"s-7"}'
        await answer_tool(client, second, {"at": "Monday at ten"})
        assert said(await spoken(client)) == "Booked for Monday at ten."
        assert [fact["name"] for fact in server.truth["tool_outputs"]] == ["list_free_slots", "book_meeting"]


async def test_script_ends_with_a_goodbye_and_end_call_once() -> None:
    async with serving(Script([("agent", HELLO)])) as server, connected(server) as client:
        await client.configure(tools=TOOLS)
        await client.send("response.create")
        await spoken(client)
        await client.speak()
        closing = await spoken(client)
        assert closing["output"][1]["name"] == "end_call"
        await answer_tool(client, closing, {"ok": True})
        assert [item["type"] for item in (await spoken(client))["output"]] == ["message"]
        await client.speak()
        assert [item["type"] for item in (await spoken(client))["output"]] == ["message"]


async def test_a_tool_that_is_not_offered_is_not_called() -> None:
    stage = Script([("agent", [{"tool": "list_free_slots"}, "Sorry."])])
    async with serving(stage) as server, connected(server) as client:
        await client.configure()
        await client.send("response.create")
        await spoken(client)
        assert server.truth["problems"] == ["the script calls 'list_free_slots', which is not offered"]


async def test_unexpected_responses_leave_the_script_alone() -> None:
    stage = Script([("agent", HELLO), ("caller", "Hm."), ("agent", "Second.")])
    async with serving(stage) as server, connected(server) as client:
        await client.configure()

        async def ask(**response: Any) -> str:
            await client.send("response.create", response=response)
            return said(await spoken(client))

        assert await ask(metadata={"purpose": "greeting"}) == HELLO
        assert await ask(metadata={"purpose": "reprompt"}) == "Are you still there?"
        assert (
            await ask(metadata={"purpose": "say"}, instructions='Say exactly: "It is ten."') == "It is ten."
        )
        exactly = "Say exactly the following, word for word, and nothing else: We open at nine."
        assert await ask(metadata={"purpose": "say"}, instructions=exactly) == "We open at nine."
        assert "Goodbye" in await ask(metadata={"purpose": "goodbye"})
        stage.say_next()
        await client.speak()
        assert said(await spoken(client)) == "Second."


async def test_caller_interrupts_the_agent() -> None:
    stage = Script([("agent", [HELLO * 20, {"tool": "end_call"}]), ("caller", "Wait."), ("agent", "Yes?")])
    async with serving(stage, scale=1.0) as server, connected(server) as client:
        await client.configure(tools=TOOLS)
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        stage.say_next()
        await client.speak()
        cancelled = await spoken(client)
        assert cancelled["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert [item["status"] for item in cancelled["output"]] == ["incomplete"]
        assert client.kinds(since="input_audio_buffer.speech_started")[1:] == [
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
        item_id = cancelled["output"][0]["id"]
        sent_ms = sum(
            len(base64.b64decode(e["delta"])) // 8
            for e in client.seen
            if e["type"] == "response.output_audio.delta"
        )
        error = await client.error_of(
            "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=sent_ms + 1
        )
        assert error["message"] == f"Audio content of {sent_ms}ms is already shorter than {sent_ms + 1}ms"
        await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=200)
        await client.until("conversation.item.truncated")
        await client.send("conversation.item.retrieve", item_id=item_id)
        item = (await client.until("conversation.item.retrieved"))["item"]
        assert "transcript" not in item["content"][0]
        assert "Yes?" in said(await spoken(client))
        assert server.truth["truncations"] == [{"item_id": item_id, "audio_end_ms": 200}]


async def test_no_interruption_when_it_is_switched_off() -> None:
    stage = Script([("agent", HELLO * 5), ("caller", "Wait."), ("agent", "Yes?")])
    async with serving(stage, scale=2.0) as server, connected(server) as client:
        detection = {"type": "server_vad", "silence_duration_ms": 300, "interrupt_response": False}
        await client.configure(input={"turn_detection": detection})
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.speak()
        error = (await client.until("error"))["error"]
        assert error["code"] == "conversation_already_has_active_response"
        assert (await spoken(client))["status"] == "completed"


async def test_client_cancels_and_cannot_create_twice() -> None:
    async with serving(Script([("agent", HELLO * 20)]), scale=1.0) as server, connected(server) as client:
        await client.configure()
        await client.send("response.create")
        response_id = (await client.until("response.created"))["response"]["id"]
        error = await client.error_of("response.create")
        assert error["code"] == "conversation_already_has_active_response"
        assert response_id in error["message"]
        await client.send("response.create", response={"conversation": "none", "output_modalities": ["text"]})
        beside = (await client.until("response.created"))["response"]
        assert beside["conversation_id"] is None
        await client.until("response.done", lambda event: event["response"]["id"] == beside["id"])
        await client.send("response.cancel")
        done = await spoken(client)
        assert (done["id"], done["status_details"]["reason"]) == (response_id, "client_cancelled")
        assert (await client.error_of("response.cancel"))["code"] == "response_cancel_not_active"


async def test_voice_is_frozen_after_the_first_sound() -> None:
    async with serving() as server, connected(server) as client:
        await client.configure()
        await client.configure(output={"voice": "cedar"})
        await client.send("response.create")
        await spoken(client)
        session = {"type": "realtime", "audio": {"output": {"voice": "ash"}}}
        assert (await client.error_of("session.update", session=session))["code"] == "cannot_update_voice"


async def test_token_limit_cuts_the_line() -> None:
    async with serving(Script([("agent", HELLO * 4)])) as server, connected(server) as client:
        await client.configure(max_output_tokens=20)
        await client.send("response.create")
        response = await spoken(client)
        assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
        assert response["output"][0]["status"] == "incomplete"
        assert response["usage"]["output_token_details"]["audio_tokens"] == 20


async def test_pcm_24k_both_ways() -> None:
    stage = Script([("caller", "Yes."), ("agent", "Fine.")])
    async with serving(stage) as server, connected(server) as client:
        pcm = {"format": {"type": "audio/pcm", "rate": 24000}}
        await client.configure(input=pcm, output=pcm)
        stage.say_next()
        silence = bytes(2 * 24 * 700)
        await client.append(silence[:14400] + speech_pcm24() + silence, chunk=4801)  # odd pieces on purpose
        assert said(await spoken(client)) == "Fine."
        audio = b"".join(
            base64.b64decode(e["delta"]) for e in client.seen if e["type"] == "response.output_audio.delta"
        )
        assert len(audio) == len("Fine.") * 40 * 48


async def test_noise_and_silence_are_not_speech() -> None:
    async with serving() as server, connected(server) as client:
        await client.configure()
        await client.append(SILENCE * 16000 + b"\xfe\x7e\xff\x7f" * 4000 + SILENCE * 8000)
        await client.send("conversation.item.retrieve", item_id="x")  # everything before it has been judged
        await client.until("error")
        assert "input_audio_buffer.speech_started" not in client.kinds()


async def test_semantic_detection_waits_by_eagerness() -> None:
    async with serving() as server:
        ends = {}
        for eagerness in ("low", "high"):
            async with connected(server) as client:
                detection = {"type": "semantic_vad", "eagerness": eagerness, "create_response": False}
                await client.configure(input={"turn_detection": detection})
                await client.speak(tail_ms=2500)
                ends[eagerness] = (await client.until("input_audio_buffer.speech_stopped"))["audio_end_ms"]
        assert ends["low"] - ends["high"] == 1100


async def test_idle_timeout_prompts_the_caller() -> None:
    async with (
        serving(Script([("agent", HELLO), ("caller", {"silence_s": 60})]), scale=50.0) as server,
        connected(server) as client,
    ):
        detection = {"type": "server_vad", "idle_timeout_ms": 5000}
        await client.configure(input={"turn_detection": detection})
        await client.append(SILENCE * 1600)
        await client.send("response.create")
        await spoken(client)
        triggered = await client.until("input_audio_buffer.timeout_triggered")
        committed = await client.until("input_audio_buffer.committed")
        assert committed["item_id"] == triggered["item_id"]
        assert said(await spoken(client)) == "Are you still there?"


async def test_a_breath_in_a_line_is_not_an_answer() -> None:
    stage = Script([("caller", "One. Two."), ("agent", "I see.")])
    async with serving(stage, scale=1.0) as server, connected(server) as client:
        await client.configure()
        line = stage.begin_line()
        await client.speak()
        await client.until("response.created")
        await client.speak(tail_ms=0)
        assert (await spoken(client))["output"] == []  # taken back before a word was said
        stage.call.end_line(line)
        await client.append(SILENCE * 8 * 700)
        assert said(await spoken(client)) == "I see."
        assert [fact["text"] for fact in server.truth["heard"]] == ["", "One. Two."]


async def test_silence_at_the_end_of_a_line_only_delays_the_answer() -> None:
    stage = Script([("caller", "One."), ("agent", "I see.")])
    async with serving(stage, scale=1.0) as server, connected(server) as client:
        await client.configure()
        line = stage.begin_line()
        await client.speak()
        await client.until("response.created")
        stage.call.end_line(line)
        assert said(await spoken(client)) == "I see."
        item_id = server.truth["heard"][0]["item_id"]
        assert (await transcript_of(client, item_id))["transcript"] == "One."


async def test_a_new_session_goes_on_where_the_old_one_was_lost() -> None:
    script = [
        ("agent", ["First.", {"fault": "rst"}, "Second."]),
        ("caller", "Yes we need it next month."),
        ("agent", "Third."),
    ]
    stage = Script(script)
    async with serving(stage) as server:
        async with connected(server) as client:
            await client.configure()
            await client.send("response.create", response={"metadata": {"purpose": "greeting"}})
            await client.until("response.output_item.done")
            with pytest.raises(websockets.ConnectionClosedError):
                await spoken(client)
        await wait_closed(server)
        async with connected(server) as client:
            await client.configure()
            await client.send("response.create", response={"metadata": {"purpose": "resume"}})
            assert said(await spoken(client)).endswith("Second.")
            stage.say_next()
            await client.speak()
            assert said(await spoken(client)) == "Third."
            assert server.truth["scenario"] == "test"


async def test_session_ends_at_the_cap() -> None:
    options = Options(max_session_s=5.0)
    async with serving(scale=50.0, options=options) as server, connected(server) as client:
        assert (await client.until("error"))["error"]["code"] == "session_expired"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await client.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001


async def test_many_sessions_at_once() -> None:
    stage_less = serving(scale=5.0)
    async with stage_less as server:

        async def one() -> str:
            async with connected(server) as client:
                await client.configure()
                await client.speak()
                return said(await spoken(client))

        answers = await asyncio.gather(*(one() for _ in range(25)))
        assert set(answers) == {"Hello, thank you for calling. How can I help you?"}
        await wait_closed(server)
        assert not server.state.open_sessions


async def wait_closed(server: Server) -> None:
    for _ in range(100):
        if not server.state.open_sessions:
            return
        await asyncio.sleep(0.02)
