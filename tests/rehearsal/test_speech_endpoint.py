"""`POST /v1/audio/speech` of the offline server, by the vendor's own client."""

from pathlib import Path

import openai
import pytest

from voice.rehearsal.harness import Rehearsal


async def test_a_text_becomes_sound_and_a_wrong_wish_is_refused(tmp_path: Path) -> None:
    async with (
        Rehearsal(cache_dir=tmp_path, openai_key="sk-right") as rehearsal,
        openai.AsyncOpenAI(api_key="sk-right", base_url=rehearsal.openai_url, max_retries=0) as client,
    ):
        answer = await client.audio.speech.create(
            model="gpt-4o-mini-tts", voice="marin", input="Hello there.", response_format="pcm"
        )
        assert len(answer.content) > 24_000  # half a second of 24 kHz, 16 bit
        with pytest.raises(openai.BadRequestError, match="voice"):
            await client.audio.speech.create(
                model="gpt-4o-mini-tts", voice="nobody", input="Hello.", response_format="pcm"
            )
        with pytest.raises(openai.NotFoundError):
            await client.audio.speech.create(
                model="tts-9", voice="marin", input="Hello.", response_format="pcm"
            )
        with pytest.raises(openai.BadRequestError, match="input"):
            await client.audio.speech.create(
                model="tts-1", voice="marin", input="x" * 5000, response_format="pcm"
            )
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key="sk-wrong").audio.speech.create(
                model="tts-1", voice="marin", input="Hello.", response_format="pcm"
            )
