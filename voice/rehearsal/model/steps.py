"""What the model does in one response: things it says and tools it calls. And how it comes to know which."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from voice.rehearsal.model.shapes import Json


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class UseTool:
    name: str
    arguments: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Think:
    """Nothing happens for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Break:
    """The script makes the connection fail here; `kind` as in the scenario grammar."""

    kind: str


type Step = Say | UseTool | Think | Break


@dataclass(frozen=True, slots=True)
class Cue:
    """Why a response is made. `purpose` is the client's `metadata.purpose`, if it sends one."""

    purpose: str | None = None
    instructions: str | None = None
    """Instructions of this response alone (not the session's)."""
    metadata: dict[str, str] = field(default_factory=dict)
    out_of_band: bool = False
    idle: bool = False
    """The idle timeout made it."""
    tools: frozenset[str] = frozenset()
    """Names of the functions that may be called."""


class Answering(Protocol):
    """One response in the making: asked for its next step when the one before is done."""

    def next_step(self) -> Step | None:
        """None: the response is complete."""

    def over(self, *, completed: bool) -> None:
        """The response has ended, wholly or early. Called once."""


class Mind(Protocol):
    """Decides what is heard and what is answered. Knows nothing of the protocol."""

    @property
    def problems(self) -> list[str]:
        """Where the script did not fit the session: a tool is not offered, a value is not there."""

    @property
    def scenario(self) -> str | None:
        """Name of the script that is played, if any."""

    def meet(self, instructions: str) -> None:
        """The session has (new) instructions: find out which call this is."""

    def hear(self, speech_ms: float | None) -> str | None:
        """What the caller said in the audio that is committed now; `""` if that was no line of the script.

        `speech_ms` is how long they spoke in it, as far as that is known. None: they are in the middle of
        a line and only drew breath; nothing is taken.
        """

    async def line_over(self, wait_s: float) -> None:
        """Wait until the line that is being spoken is over, at most `wait_s` of the rehearsal's clock."""

    def hear_rest(self) -> str:
        """After :meth:`line_over`: what was said, whether or not it seemed whole."""

    def understand(self, text: str) -> bool:
        """Words that were recognized; `""`: none. True: they seem to be the beginning of a line only."""

    def settle(self) -> None:
        """What :meth:`understand` took for a beginning was all: it is answered as it stands."""

    def answer(self, cue: Cue) -> Answering:
        """A response begins."""

    def tool_result(self, name: str, output: str) -> None:
        """The client answered a function call."""


@runtime_checkable
class Voice(Protocol):
    """Speech synthesis of the agent."""

    async def speak(self, text: str, audio_format: str) -> bytes:
        """Audio of `text` in `audio/pcmu`, `audio/pcma` or `audio/pcm` (24 kHz, 16 bit)."""
