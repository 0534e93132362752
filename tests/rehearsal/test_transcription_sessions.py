"""Sessions that only transcribe: what the offline server refuses, and how operators' words go through one."""

import asyncio
import base64
from typing import Any

import pytest
import websockets

from tenex.lib.clock import Clock
from tests.rehearsal.offline_model import KEY, SILENCE, Server, serving, speech, transcribing
from voice.bridge.operator_words import WordsOfOperator
from voice.realtime.openai import Endpoint
from voice.realtime.port import ModelConnection, OnEvent
from voice.realtime.transcription import OpenAITranscription, config_of
from voice.session.events import OperatorWords
from voice.wire.openai_commands import SessionConfig

INPUT = {
    "format": {"type": "audio/pcmu"},
    "transcription": {"model": "gpt-transcribe"},
    "turn_detection": {"type": "server_vad", "silence_duration_ms": 500},
}


def update(**more: Any) -> dict[str, Any]:
    return {"type": "transcription", "audio": {"input": {**INPUT, **more}}}


async def test_it_begins_and_is_configured() -> None:
    async with serving() as server, transcribing(server) as client:
        session = (await client.next())["session"]
        assert (session["type"], session["object"]) == ("transcription", "realtime.transcription_session")
        assert "model" not in session
        assert "output" not in session["audio"]
        await client.send("session.update", session=update())
        told = (await client.until("session.updated"))["session"]
        assert told["audio"]["input"]["format"] == {"type": "audio/pcmu"}
        assert told["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500


async def test_it_takes_no_model() -> None:
    async with serving() as server:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with transcribing(server, "intent=transcription&model=gpt-realtime-2.1"):
                pass
        assert refused.value.response.status_code == 400


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"type": "realtime"}, "invalid_request_error", "session.type"),
        ({**update(), "instructions": "x"}, "unknown_parameter", "session.instructions"),
        ({**update(), "model": "gpt-realtime-2.1"}, "unknown_parameter", "session.model"),
        (
            update(turn_detection={"type": "server_vad", "create_response": True}),
            "unknown_parameter",
            "session.audio.input.turn_detection.create_response",
        ),
        (
            {"type": "transcription", "audio": {"output": {"voice": "marin"}}},
            "unknown_parameter",
            "session.audio.output",
        ),
        (
            update(transcription={"model": "gpt-realtime-whisper"}),
            "unsupported_parameter",
            "session.audio.input.turn_detection",
        ),
    ],
)
async def test_what_is_said_of_answers_is_refused(session: Any, code: str, param: str) -> None:
    async with serving() as server, transcribing(server) as client:
        error = await client.error_of("session.update", session=session)
        assert error["param"] == param
        assert code in (error["code"], error["type"])


@pytest.mark.parametrize("kind", ["response.create", "response.cancel"])
async def test_nobody_answers(kind: str) -> None:
    async with serving() as server, transcribing(server) as client:
        assert (await client.error_of(kind))["param"] == "type"


async def test_a_turn_is_heard_committed_and_written_down() -> None:
    async with serving() as server, transcribing(server) as client:
        server.state.dictation.extend(["I can offer ten per cent."])
        await client.send("session.update", session=update())
        await client.until("session.updated")
        await client.speak()
        done = await client.until("conversation.item.input_audio_transcription.completed")
        assert done["transcript"] == "I can offer ten per cent."
        kinds = client.kinds(since="session.updated")
        assert kinds[1:5] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
        ]
        await client.speak()
        failed = await client.until("conversation.item.input_audio_transcription.failed")
        assert failed["error"]["code"] == "audio_unintelligible", "nobody said what this was"


# --- ours -------------------------------------------------------------------------------------------


def words(server: Server, heard: list[OperatorWords], **config: Any) -> WordsOfOperator:
    settings = SessionConfig(model="gpt-realtime-2.1", instructions="You are Ava.", **config)

    def connect(on_event: OnEvent) -> ModelConnection:
        return OpenAITranscription(Endpoint(server.base_url, KEY), settings, on_event)

    return WordsOfOperator(connect, heard.append, Clock(10.0))


def pieces(sound: bytes) -> list[str]:
    return [base64.b64encode(sound[at : at + 800]).decode() for at in range(0, len(sound), 800)]


async def until(heard: list[OperatorWords], count: int) -> None:
    async with asyncio.timeout(10):
        while len(heard) < count:
            await asyncio.sleep(0.01)


async def test_what_an_operator_says_is_written_down_from_the_first_word() -> None:
    heard: list[OperatorWords] = []
    async with serving() as server:
        server.state.dictation.extend(["I can offer ten per cent.", "Shall we?"])
        mine = words(server, heard)
        mine.begin()
        for piece in pieces(SILENCE * 2400 + speech() + SILENCE * 5600):  # the session is not up yet
            mine.hear(piece)
        await until(heard, 1)
        for piece in pieces(speech() + SILENCE * 5600):
            mine.hear(piece)
        await until(heard, 2)
        mine.end()
        [truth] = [one.truth for one in server.state.transcriptions.values()]
        async with asyncio.timeout(5):
            while truth.open:
                await asyncio.sleep(0.01)
        assert "errors_sent" not in truth.lists, truth.lists
    assert [one.text for one in heard] == ["I can offer ten per cent.", "Shall we?"]
    assert all(one.ended_at >= one.began_at for one in heard)


async def test_the_last_words_are_waited_for_when_the_call_is_given_back_in_the_middle() -> None:
    heard: list[OperatorWords] = []
    async with serving() as server:
        server.state.dictation.append("One more thing.")
        mine = words(server, heard)
        mine.begin()
        for piece in pieces(SILENCE * 2400 + speech()):
            mine.hear(piece)
        async with asyncio.timeout(5):
            while not mine._speaking:
                await asyncio.sleep(0.01)
        mine.end()
        await until(heard, 1)
    assert heard[0].text == "One more thing."


async def test_without_a_server_the_call_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[OperatorWords] = []
    async with serving() as server:
        gone = server
    mine = words(gone, heard)
    mine.begin()
    mine.hear("//8=")
    async with asyncio.timeout(10):
        while mine._connection is not None:
            await asyncio.sleep(0.01)
    mine.hear("//8=")
    mine.end()
    mine.close()
    assert heard == []


@pytest.mark.parametrize(
    ("chosen", "used"),
    [("gpt-realtime-whisper", "gpt-transcribe"), ("", "gpt-transcribe"), ("whisper-1", "whisper-1")],
)
def test_it_is_a_model_that_hears_turns_by_itself(chosen: str, used: str) -> None:
    config = config_of(SessionConfig(model="m", instructions="", transcription_model=chosen))
    assert config.transcription_model == used
