"""What the model does in one response: things it says and tools it calls. And how it comes to know which."""

from dataclasses import dataclass, field
from typing import Protocol

from voice.rehearsal.model.shapes import Json


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class UseTool:
    name: str
    arguments: dict[str, Json] = field(default_factory=dict)


type Step = Say | UseTool


@dataclass(frozen=True, slots=True)
class Cue:
    """Why a response is made. `purpose` is the client's `metadata.purpose`, if it sends one."""

    purpose: str | None = None
    instructions: str | None = None
    """Instructions of this response alone (not the session's)."""
    metadata: dict[str, str] = field(default_factory=dict)
    out_of_band: bool = False
    caller_spoke: bool = False
    """The response follows a commit (voice detection), not a `response.create`."""
    idle: bool = False
    """The idle timeout made it."""
    tools: frozenset[str] = frozenset()
    """Names of the functions that may be called."""


class Mind(Protocol):
    """Decides what is heard and what is answered. Knows nothing of the protocol."""

    def meet(self, instructions: str) -> None:
        """The session has (new) instructions: find out which call this is."""

    def hear(self) -> str:
        """What the caller said in the audio that is being committed; `""` if nothing became whole."""

    def mid_line(self) -> bool:
        """The caller has begun a line and not finished it."""

    def answer(self, cue: Cue) -> list[Step]:
        """The steps of the response that starts now."""

    def cut_short(self, unspoken: list[Step]) -> None:
        """The response ended early; these steps were not begun."""

    def tool_result(self, name: str, output: str) -> None:
        """The client answered a function call."""


class Voice(Protocol):
    """Speech synthesis of the agent."""

    async def speak(self, text: str, audio_format: str) -> bytes:
        """Audio of `text` in `audio/pcmu`, `audio/pcma` or `audio/pcm` (24 kHz, 16 bit)."""
