"""The offline model with its real voice: what it says is speech to its own ears, in every format."""

import base64
from pathlib import Path

import pytest
from aiohttp import web

from tenex.lib.clock import Clock
from tests.rehearsal.offline_model import KEY, SILENCE, Server, connected
from voice.rehearsal.model.agent_voice import AgentVoice
from voice.rehearsal.model.audio import BYTES_PER_MS, Framer
from voice.rehearsal.model.state import MODEL
from voice.rehearsal.model.vad import SpeechBegan, TurnDetector
from voice.rehearsal.openai_server import build_app
from voice.rehearsal.speech import Speech


@pytest.mark.parametrize("audio_format", ["audio/pcmu", "audio/pcma", "audio/pcm"])
async def test_every_format_is_heard_as_speech(tmp_path: Path, audio_format: str) -> None:
    speech = Speech(tmp_path)
    sound = await AgentVoice(speech).speak("Good morning, this is Ava.", audio_format)
    assert 1000 < len(sound) / BYTES_PER_MS[audio_format] < 4000
    detector = TurnDetector(threshold=0.5, prefix_padding_ms=0, silence_duration_ms=500)
    changes = [detector.push(frame, 20 * at) for at, frame in enumerate(Framer(audio_format).push(sound), 1)]
    assert any(isinstance(change, SpeechBegan) for change in changes)
    speech.close()


async def test_two_offline_models_understand_each_other(tmp_path: Path) -> None:
    """The agent's rendered greeting, fed back as caller audio, makes a turn of its length."""
    speech = Speech(tmp_path)
    app = build_app(None, speech, api_key=KEY, clock=Clock(5))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = Server(runner.addresses[0][1], app[MODEL])
    try:
        async with connected(server) as client:
            await client.configure()
            await client.send("response.create", response={"metadata": {"purpose": "reprompt"}})
            await client.until("response.done")
            deltas = [e["delta"] for e in client.seen if e["type"] == "response.output_audio.delta"]
            sound = b"".join(base64.b64decode(delta) for delta in deltas)
            await client.append(SILENCE * 4000 + sound + SILENCE * 8000)
            started = await client.until("input_audio_buffer.speech_started")
            stopped = await client.until("input_audio_buffer.speech_stopped")
            heard_ms = stopped["audio_end_ms"] - started["audio_start_ms"] - 500 - 300
            assert 0.4 * len(sound) / 8 < heard_ms <= len(sound) / 8 + 60
    finally:
        await runner.cleanup()
        speech.close()
