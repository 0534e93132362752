"""What each Realtime and transcription model takes (vendor's OpenAPI document and model pages). Pure.

One table, asked when a voice profile is saved and again when `session.update` is built: one key that a model
does not take and the whole update is refused.
"""

from dataclasses import dataclass
from typing import Final

VOICES: Final = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
EFFORTS: Final = ("minimal", "low", "medium", "high", "xhigh")
OFF: Final = "off"
"""As a profile's transcription model: no transcript of the caller."""


@dataclass(frozen=True, slots=True)
class RealtimeModel:
    """`name` is the family: dated versions (`…-2025-08-28`) are like it."""

    name: str
    efforts: tuple[str, ...] = ()
    """What `reasoning.effort` may be; empty: the model takes neither that nor `parallel_tool_calls`."""
    context_tokens: int = 32_000
    retired: str = ""
    """Day from which connections are refused (ISO date); empty: none is announced."""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class TranscriptionModel:
    name: str
    prompt: bool = True
    keywords: bool = False
    hears_turns: bool = True
    """In a session that only transcribes it takes turn detection; others are told of each turn's end."""


_REALTIME: Final = (
    RealtimeModel("gpt-realtime-2.1-mini", EFFORTS, 128_000),
    RealtimeModel("gpt-realtime-2.1", EFFORTS, 128_000),
    RealtimeModel("gpt-realtime-2", EFFORTS, 128_000),
    RealtimeModel("gpt-realtime-1.5"),
    RealtimeModel("gpt-realtime-mini", retired="2027-01-20"),
    RealtimeModel("gpt-realtime", retired="2027-01-20"),
    RealtimeModel("gpt-4o-realtime-preview", gone=True),
    RealtimeModel("gpt-4o-mini-realtime-preview", gone=True),
)
_TRANSCRIPTION: Final = (
    TranscriptionModel("gpt-transcribe", keywords=True),
    TranscriptionModel("gpt-live-transcribe", keywords=True, hears_turns=False),
    TranscriptionModel("gpt-realtime-whisper", prompt=False, hears_turns=False),
    TranscriptionModel("gpt-4o-transcribe-diarize", prompt=False),
    TranscriptionModel("gpt-4o-mini-transcribe"),
    TranscriptionModel("gpt-4o-transcribe"),
    TranscriptionModel("whisper-1"),
)
MODELS: Final = tuple(one for one in _REALTIME if not one.gone)
TRANSCRIBERS: Final = _TRANSCRIPTION


def model(name: str) -> RealtimeModel:
    """The table's entry for a model; one that it does not know takes only what all of them take.

    Families of other servers behind OPENAI_BASE_URL are such: nothing is assumed of them.
    """
    for one in _REALTIME:
        if name == one.name or _is_dated(name, one.name):
            return one
    return RealtimeModel(name)


def transcription(name: str) -> TranscriptionModel:
    """The table's entry for a transcription model; nothing is assumed of one that it does not know."""
    for one in _TRANSCRIPTION:
        if name == one.name or _is_dated(name, one.name):
            return one
    return TranscriptionModel(name, prompt=False)


def transcriber(chosen: str, usual: str) -> str:
    """Which model writes the caller's words down: the profile's, or the installation's; empty: none."""
    return "" if chosen == OFF else chosen or usual


def _is_dated(name: str, family: str) -> bool:
    day = name.removeprefix(family)
    return name.startswith(family) and len(day) == 11 and day[0] == "-" and day[1:].replace("-", "").isdigit()
