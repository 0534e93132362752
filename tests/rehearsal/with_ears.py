"""Real recognition: `make test-ears` installs the extra and runs this. It is no part of `make test`."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytest_asyncio

from tests.rehearsal.offline_model import SILENCE, Script, connected, serving
from voice.rehearsal import mulaw, scenario, speech
from voice.rehearsal.ears import measure
from voice.rehearsal.ears.port import NotRecognized
from voice.rehearsal.ears.whisper import WhisperEars
from voice.rehearsal.speech import Speech, caller_voice

LINE = "Yes, two minutes are fine. We are looking for a way to ship faster."
HEARD = "Yes, two minutes are fine. We are looking for a way to ship faster."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ears() -> AsyncIterator[WhisperEars]:
    async with WhisperEars(processes=1) as made:
        yield made


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_packaged_callers_are_understood(ears: WhisperEars, tmp_path: Path) -> None:
    chosen = [scenario.load(name) for name in ("outbound-opt-out", "inbound-qualified", "barge-in")]
    lines = [line async for line in measure.lines(ears, chosen, tmp_path)]
    assert len(lines) >= 11
    assert measure.total(lines).errors.rate < 0.05


async def test_noise_hum_and_clicks_are_no_words(ears: WhisperEars) -> None:
    random = np.random.default_rng(1)
    seconds = np.arange(24_000) / 8000
    clicks = np.zeros(24_000)
    clicks[::4000] = 30_000
    sounds = [random.normal(0, loudness, 24_000) for loudness in (30, 300, 3000)]
    sounds += [8000 * np.sin(2 * np.pi * 440 * seconds), clicks, np.zeros(24_000)]
    for sound in sounds:
        heard = await ears.recognize(mulaw.encode(sound.astype(np.int16)), "audio/pcmu")
        assert heard.text == ""
    assert (await ears.recognize(b"", "audio/pcmu")).text == ""


@pytest.mark.parametrize("audio_format", ["audio/pcmu", "audio/pcm"])
async def test_a_turn_over_the_socket(ears: WhisperEars, tmp_path: Path, audio_format: str) -> None:
    """Nobody tells the model what is said: transcript and answer come from the sound."""
    voices = Speech(tmp_path)
    script = Script([("caller", LINE), ("agent", "Good.")])
    wide = audio_format == "audio/pcm"
    wire = {"type": audio_format, "rate": 24000} if wide else {"type": audio_format}
    voice = caller_voice(script.call.remote)
    sound = await (voices.pcm24(LINE, voice) if wide else voices.mulaw(LINE, voice))
    silence = bytes(48) if wide else SILENCE * 8
    async with serving(script, scale=1.0, ears=ears) as server, connected(server) as client:
        await client.configure(input={"format": wire})
        await client.append(silence * 400 + sound + silence * 700, chunk=4800)
        completed = await client.until("conversation.item.input_audio_transcription.completed")
        assert completed["transcript"] == HEARD
        done = await client.until("response.done")
        assert done["response"]["output"][0]["content"][0]["transcript"] == "Good."
    voices.close()


async def test_several_at_once_and_a_recognizer_that_dies(ears: WhisperEars, tmp_path: Path) -> None:
    voices = Speech(tmp_path)
    sound = await voices.mulaw(LINE, speech.CALLERS[1])
    voices.close()
    heard = await asyncio.gather(*(ears.recognize(sound, "audio/pcmu") for _ in range(4)))
    assert {entry.text for entry in heard} == {HEARD}
    [child] = [
        child
        for child in psutil.Process().children()
        if child.pid in {process.pid for process in ears._pool._processes.values()}
    ]
    asked = asyncio.ensure_future(ears.recognize(sound, "audio/pcmu"))
    await asyncio.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(NotRecognized, match="died"):
        await asked
    assert (await ears.recognize(sound, "audio/pcmu")).text == HEARD
