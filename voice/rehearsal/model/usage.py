"""Token counts of a response: caller audio 1 token per 100 ms, agent audio 1 per 50 ms, text about 4 letters.

Every response reads the whole conversation again; what an earlier response has read counts as cached, in
blocks of 64 (openai_realtime.md 6 and 13).
"""

from dataclasses import dataclass

import orjson

from voice.rehearsal.model.items import Item, text_tokens
from voice.rehearsal.model.shapes import Json

CALLER_MS_PER_TOKEN = 100
AGENT_MS_PER_TOKEN = 50
_CACHE_BLOCK = 64


@dataclass(slots=True)
class Meter:
    """Remembers how much of the context the provider has read before."""

    cached_text: int = 0
    cached_audio: int = 0

    def read(self, instructions: str, tools: Json, items: list[Item]) -> "Reading":
        """What this response reads."""
        text = text_tokens(instructions) + (text_tokens(orjson.dumps(tools).decode()) if tools else 0)
        audio = 0
        for item in items:
            text += item.text_tokens
            audio += item.audio_tokens
        cached_text = min(text, self.cached_text) // _CACHE_BLOCK * _CACHE_BLOCK
        cached_audio = min(audio, self.cached_audio) // _CACHE_BLOCK * _CACHE_BLOCK
        self.cached_text, self.cached_audio = text, audio
        return Reading(text, audio, cached_text, cached_audio)


@dataclass(frozen=True, slots=True)
class Reading:
    text: int
    audio: int
    cached_text: int
    cached_audio: int

    def usage(self, *, out_text: int, out_audio: int) -> dict[str, Json]:
        """The `usage` object of `response.done`."""
        read, written = self.text + self.audio, out_text + out_audio
        return {
            "total_tokens": read + written,
            "input_tokens": read,
            "output_tokens": written,
            "input_token_details": {
                "text_tokens": self.text,
                "audio_tokens": self.audio,
                "image_tokens": 0,
                "cached_tokens": self.cached_text + self.cached_audio,
                "cached_tokens_details": {
                    "text_tokens": self.cached_text,
                    "audio_tokens": self.cached_audio,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {"text_tokens": out_text, "audio_tokens": out_audio},
        }


def transcription_usage(model: str, audio_ms: float, text: str) -> dict[str, Json]:
    """Tokens for the gpt-4o transcribers, seconds for the others (openai_realtime.md 6)."""
    if not model.startswith("gpt-4o"):
        return {"type": "duration", "seconds": max(1, round(audio_ms / 1000))}
    heard, written = max(1, int(audio_ms // CALLER_MS_PER_TOKEN)), text_tokens(text)
    return {
        "type": "tokens",
        "input_tokens": heard,
        "output_tokens": written,
        "total_tokens": heard + written,
        "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
    }
