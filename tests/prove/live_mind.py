"""What the offline model of a live-call promise hears and says: as much as the promise needs, no scenario."""

import re
from collections.abc import Callable, Iterator

from voice.rehearsal.model.mind import Minds
from voice.rehearsal.model.shapes import Json
from voice.rehearsal.model.steps import Cue, Mind, Say, Step

_CALLER = re.compile(r"Caller number: (\+\d+)")
_LETTER_MS = 40

Script = Callable[["PlainMind", Cue], list[Step]]


def talk(mind: "PlainMind", cue: Cue) -> list[Step]:
    """A sentence of about two seconds, whatever was asked."""
    return [Say(f"This is what I say, number {mind.answers:04d}, and that is it.")]


class PlainMind:
    """One session's mind: a :class:`voice.rehearsal.model.steps.Mind` that asks a function what to do."""

    def __init__(self, script: Script) -> None:
        self.problems: list[str] = []
        self.scenario: str | None = None
        self.remote = ""
        """The caller's number, out of the instructions: which call this session is of."""
        self.answers = 0
        self.heard = 0
        self.outputs: list[tuple[str, str]] = []
        """(tool, output)"""
        self._script = script

    def meet(self, instructions: str) -> None:
        found = _CALLER.search(instructions)
        self.remote = found.group(1) if found else self.remote

    def hear(self, speech_ms: float | None) -> str | None:
        self.heard += 1
        return f"The caller's line {self.heard}."

    async def line_over(self, wait_s: float) -> None:
        return

    def hear_rest(self) -> str:
        return ""

    def understand(self, text: str) -> bool:
        return False

    def settle(self) -> None:
        return

    def answer(self, cue: Cue) -> "_Answer":
        self.answers += 1
        return _Answer(iter(self._script(self, cue)))

    def tool_result(self, name: str, output: str) -> None:
        self.outputs.append((name, output))


class _Answer:
    def __init__(self, steps: Iterator[Step]) -> None:
        self._steps = steps

    def next_step(self) -> Step | None:
        return next(self._steps, None)

    def over(self, *, completed: bool) -> None:
        return


class PlainMinds(Minds):
    """Makes them, and keeps them for the promise to look into."""

    def __init__(self, script: Script, kind: type[PlainMind] = PlainMind) -> None:
        self.made: list[PlainMind] = []
        self._plain_script, self._kind = script, kind

    def make(self) -> Mind:
        mind = self._kind(self._plain_script)
        self.made.append(mind)
        return mind


class ToneVoice:
    """A steady tone, 40 ms a letter: no synthesizer, and lengths that can be computed."""

    async def speak(self, text: str, audio_format: str) -> bytes:
        if audio_format == "audio/pcm":
            return b"\x00\x10" * (len(text) * _LETTER_MS * 24)
        return b"\x20" * (len(text) * _LETTER_MS * 8)


def as_json(values: dict[str, str]) -> dict[str, Json]:
    """Tool arguments, for the type checker."""
    return dict(values)
