"""Realtime events and commands: the GA list, legacy names, missing fields, hostile frames."""

import json
import random
from typing import Any

import pytest

from voice.session import commands as cmd
from voice.session import events as ev
from voice.wire import openai_commands as oc
from voice.wire.openai_realtime import ServerEvents

parser = ServerEvents()
IDS = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}


def parse(type_: str, **fields: Any) -> object:
    return parser.parse(json.dumps({"type": type_, "event_id": "event_1", **fields}))


# --- what the server says -------------------------------------------------------------------------


@pytest.mark.parametrize("type_", ["response.output_audio.delta", "response.audio.delta"])
def test_audio(type_: str) -> None:
    got = parse(type_, **IDS, delta="A" * 216 + "", obfuscation="xx")
    assert got == ev.AudioDelta("resp_1", "item_1", 0, "A" * 216, 20.25)
    pcm = ServerEvents(bytes_per_ms=48).parse(json.dumps({"type": type_, **IDS, "delta": "AAAA" * 16}))
    assert isinstance(pcm, ev.AudioDelta)
    assert pcm.ms == 1.0


@pytest.mark.parametrize(
    ("type_", "fields", "expected"),
    [
        (
            "session.updated",
            {
                "session": {
                    "id": "sess_1",
                    "expires_at": 1750287018,
                    "audio": {
                        "input": {"format": {"type": "audio/pcmu"}},
                        "output": {"format": {"type": "audio/pcm", "rate": 24000}},
                    },
                }
            },
            ev.ModelReady("sess_1", 1750287018.0, input_format="audio/pcmu", output_format="audio/pcm"),
        ),
        ("session.updated", {}, ev.ModelReady("")),
        (
            "input_audio_buffer.speech_started",
            {"audio_start_ms": 1000, "item_id": "u"},
            ev.SpeechStarted("u", 1000),
        ),
        (
            "input_audio_buffer.speech_stopped",
            {"audio_end_ms": 2000, "item_id": "u"},
            ev.SpeechStopped("u", 2000),
        ),
        (
            "input_audio_buffer.committed",
            {"item_id": "u", "previous_item_id": None},
            ev.InputCommitted("u", None),
        ),
        ("input_audio_buffer.committed", {"item_id": "u"}, ev.InputCommitted("u", None)),
        ("input_audio_buffer.timeout_triggered", {"item_id": "u"}, ev.IdleTimeout("u")),
        (
            "conversation.item.added",
            {"previous_item_id": "p", "item": {"id": "i", "type": "message", "role": "user"}},
            ev.ItemAdded("i", "p", "message", "user"),
        ),
        (
            "conversation.item.created",
            {"item": {"id": "i", "type": "function_call"}},
            ev.ItemAdded("i", None, "function_call"),
        ),
        (
            "response.created",
            {"response": {"id": "r", "metadata": {"event_id": "r1", "n": 5}}},
            ev.ResponseCreated("r", {"event_id": "r1"}),
        ),
        ("response.created", {"response": {"id": "r", "metadata": None}}, ev.ResponseCreated("r")),
        ("response.output_audio.done", IDS, ev.AudioDone("resp_1", "item_1", 0)),
        (
            "response.output_audio_transcript.delta",
            {**IDS, "delta": "Hel"},
            ev.AgentTextDelta("resp_1", "item_1", 0, "Hel"),
        ),
        (
            "response.audio_transcript.done",
            {**IDS, "transcript": "Hello"},
            ev.AgentTextDone("resp_1", "item_1", 0, "Hello"),
        ),
        (
            "response.output_text.done",
            {**IDS, "text": "Hello"},
            ev.AgentTextDone("resp_1", "item_1", 0, "Hello"),
        ),
        (
            "conversation.item.input_audio_transcription.delta",
            {"item_id": "u", "delta": "Hi"},
            ev.CallerTextDelta("u", "Hi"),
        ),
        (
            "conversation.item.input_audio_transcription.completed",
            {"item_id": "u", "content_index": 0, "transcript": "Hi", "usage": {"type": "duration"}},
            ev.CallerTextDone("u", "Hi"),
        ),
        (
            "conversation.item.input_audio_transcription.failed",
            {"item_id": "u", "error": {"code": "audio_unintelligible"}},
            ev.CallerTextFailed("u", "audio_unintelligible"),
        ),
        (
            "error",
            {"error": {"type": "invalid_request_error", "code": "x", "message": "m", "event_id": "cfg"}},
            ev.ModelError("x", "m", None, "cfg", "invalid_request_error"),
        ),
        ("error", {}, ev.ModelError("", "")),
    ],
)
def test_each_known_type(type_: str, fields: dict[str, Any], expected: object) -> None:
    assert parse(type_, **fields) == expected


CALL = {"id": "fc", "type": "function_call", "call_id": "call_1", "name": "lookup", "arguments": '{"a":1}'}


def test_a_completed_function_call() -> None:
    expected = ev.ToolCalled("resp_1", "fc", "call_1", "lookup", '{"a":1}')
    for status in ({"status": "completed"}, {}):
        assert parse("response.output_item.done", **IDS, item={**CALL, **status}) == expected


@pytest.mark.parametrize(
    "item",
    [
        {**CALL, "status": "incomplete"},
        {**CALL, "call_id": ""},
        {"type": "message"},
        {},
        None,
        "x",
    ],
)
def test_other_items_are_no_calls(item: object) -> None:
    assert parse("response.output_item.done", **IDS, item=item) is None


def test_the_end_of_a_response_with_everything_and_with_nothing() -> None:
    got = parse(
        "response.done",
        response={
            "id": "r",
            "status": "failed",
            "status_details": {"type": "failed", "reason": None, "error": {"code": "rate_limit_exceeded"}},
            "usage": {"total_tokens": 5},
            "output": [{**CALL, "status": "completed"}, {**CALL, "status": "incomplete"}, None, "x"],
            "metadata": {"purpose": "tool"},
        },
    )
    assert got == ev.ResponseDone(
        "r",
        "failed",
        error_code="rate_limit_exceeded",
        usage={"total_tokens": 5},
        metadata={"purpose": "tool"},
        tool_calls=[ev.ToolCalled("r", "fc", "call_1", "lookup", '{"a":1}')],
    )
    assert parse("response.done", response={"id": "r"}) == ev.ResponseDone("r", "completed")
    canceled = parse(
        "response.done",
        response={"id": "r", "status": "cancelled", "status_details": {"reason": "turn_detected"}},
    )
    assert canceled == ev.ResponseDone("r", "cancelled", reason="turn_detected")


@pytest.mark.parametrize(
    "type_",
    ["session.created", "conversation.item.done", "rate_limits.updated", "response.content_part.added"],
)
def test_known_types_without_consequence(type_: str) -> None:
    assert parse(type_) is None


def test_unknown_types_are_named() -> None:
    assert parse("response.brand_new") == ev.UnknownEvent("model", "response.brand_new")


@pytest.mark.parametrize(
    "frame",
    ["", "{", "[]", "null", "5", "NaN", '"x"', "{}", '{"type":5}', '{"type":null}', "[" * 100_000,
     '{"type":"error","error":' + "1" * 5000 + "}", '"\\ud800"', b"\xff\xfe", b"\x00",
     '{"type":"response.output_audio.delta"}',
     '{"type":"response.output_audio.delta","item_id":"i","delta":"not base64!"}',
     '{"type":"response.output_audio.delta","item_id":"i","delta":"AA\\"A"}',
     '{"type":"response.created"}', '{"type":"response.done","response":[]}',
     '{"type":"input_audio_buffer.committed","item_id":7}', '{"type":"conversation.item.added","item":{}}'],
)  # fmt: skip
def test_what_cannot_be_read_is_a_value(frame: str | bytes) -> None:
    assert isinstance(parser.parse(frame), ev.BadMessage)


def test_fields_of_the_wrong_type_never_raise() -> None:
    """Every known type, with every field replaced by something else."""
    from voice.wire.openai_realtime import _AUDIO_DELTA, _READERS

    values: list[Any] = [None, 5, -1, 1.5, True, "x", [], {}, [{}], {"id": []}, {"id": "a", "error": 5}]
    keys = [
        "item", "response", "session", "error", "item_id", "response_id", "delta", "transcript", "text",
        "content_index", "audio_start_ms", "audio_end_ms", "previous_item_id", "arguments",
    ]  # fmt: skip
    rng = random.Random(1)
    for kind in [*_READERS, *_AUDIO_DELTA]:
        for _ in range(300):
            fields = {key: rng.choice(values) for key in rng.sample(keys, rng.randrange(len(keys)))}
            parser.parse(json.dumps({"type": kind, **fields}))


# --- what we say ----------------------------------------------------------------------------------

TOOL = {"type": "function", "name": "lookup", "description": "", "parameters": {"type": "object"}}


def body(**changes: Any) -> dict[str, Any]:
    config = oc.SessionConfig(
        **{"model": "gpt-realtime-2.1", "instructions": "Be kind.", "tools": (TOOL,), **changes}
    )
    message = json.loads(oc.session_update(config))
    assert (message["type"], message["event_id"]) == ("session.update", "cfg")
    session: dict[str, Any] = message["session"]
    assert session["type"] == "realtime"
    return session


def test_mulaw_has_no_rate_and_pcm_has_one() -> None:
    session = body()
    assert (
        session["audio"]["input"]["format"] == session["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    )
    pcm = body(audio_format="audio/pcm")
    assert pcm["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}


@pytest.mark.parametrize("model", ["gpt-realtime-2", "gpt-realtime-2.1", "gpt-realtime-2.1-mini"])
def test_reasoning_models_take_reasoning(model: str) -> None:
    session = body(model=model)
    assert session["reasoning"] == {"effort": "low"}
    assert session["parallel_tool_calls"] is True


@pytest.mark.parametrize("model", ["gpt-realtime-1.5", "gpt-realtime", "gpt-realtime-mini", "other"])
def test_other_models_are_not_offered_what_they_refuse(model: str) -> None:
    assert not {"reasoning", "parallel_tool_calls"} & set(body(model=model))


def test_optional_parts_are_left_out() -> None:
    session = body(transcription_model="", retention_ratio=None, tools=())
    assert "transcription" not in session["audio"]["input"]
    assert "noise_reduction" not in session["audio"]["input"]
    assert "truncation" not in session
    assert session["tools"] == []


def test_turn_detection_of_both_kinds() -> None:
    server = body(silence_duration_ms=600)["audio"]["input"]["turn_detection"]
    assert (server["type"], server["silence_duration_ms"]) == ("server_vad", 600)
    assert server["create_response"] is server["interrupt_response"] is True
    semantic = body(turn_detection="semantic_vad", eagerness="high")["audio"]["input"]["turn_detection"]
    assert semantic == {
        "type": "semantic_vad",
        "eagerness": "high",
        "create_response": True,
        "interrupt_response": True,
    }


def test_keywords_go_only_where_they_are_known() -> None:
    words = ("Tenex", "Ava")
    assert body(keywords=words)["audio"]["input"]["transcription"]["keywords"] == list(words)
    other = body(keywords=words, transcription_model="whisper-1", language="en")
    assert other["audio"]["input"]["transcription"] == {"model": "whisper-1", "language": "en"}


def test_every_command_is_one_message() -> None:
    assert json.loads(oc.append_audio(cmd.AppendAudio("AAAA"))) == {
        "type": "input_audio_buffer.append",
        "audio": "AAAA",
    }
    assert json.loads(oc.commit_audio(cmd.CommitAudio("c1")))["type"] == "input_audio_buffer.commit"
    assert json.loads(oc.create_response(cmd.CreateResponse("say", "r7", "Say it.", "none"))) == {
        "type": "response.create",
        "event_id": "r7",
        "response": {
            "metadata": {"purpose": "say", "event_id": "r7"},
            "instructions": "Say it.",
            "tool_choice": "none",
        },
    }
    assert set(json.loads(oc.create_response(cmd.CreateResponse("tool", "r8")))["response"]) == {"metadata"}
    assert json.loads(oc.cancel_response(cmd.CancelResponse("resp", "x1")))["response_id"] == "resp"
    assert json.loads(oc.truncate_item(cmd.TruncateItem("i", 1, 480, "t1"))) == {
        "type": "conversation.item.truncate",
        "event_id": "t1",
        "item_id": "i",
        "content_index": 1,
        "audio_end_ms": 480,
    }
    assert json.loads(oc.tool_output(cmd.SendToolOutput("call_1", '{"ok":1}', "o1")))["item"] == {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": '{"ok":1}',
    }
    item = json.loads(oc.insert_text(cmd.InsertText("system", "Fact \ud800", "note1")))["item"]
    assert (item["role"], item["id"], item["content"][0]["type"]) == ("system", "own_note1", "input_text")


def test_history_is_replayed_as_text_of_both_roles() -> None:
    items = [
        json.loads(m)["item"] for m in oc.history_items([("caller", "Hi."), ("agent", "Hello.")], attempt=2)
    ]
    assert [(i["role"], i["content"][0]) for i in items] == [
        ("user", {"type": "input_text", "text": "Hi."}),
        ("assistant", {"type": "output_text", "text": "Hello."}),
    ]
    assert len({i["id"] for i in items}) == 2
    assert all(i["id"].startswith("own_") and len(i["id"]) <= 32 for i in items)


def test_the_effective_format_is_compared_with_ours() -> None:
    config = oc.SessionConfig("m", "")
    ok = ev.ModelReady("s", input_format="audio/pcmu", output_format="audio/pcmu")
    assert oc.mismatch(config, ok) is None
    assert oc.mismatch(config, ev.ModelReady("s")) is None
    wrong = oc.mismatch(config, ev.ModelReady("s", input_format="audio/pcmu", output_format="audio/pcm"))
    assert wrong is not None
    assert "output" in wrong
