"""What the offline model hears and answers: the scenario's lines, and a little small talk around them.

It is a script and no intelligence. A response is made of the script's next `agent` entry whenever it is the
agent's turn; a response that the script does not expect (a re-prompt, a goodbye, a summary beside the call)
gets a stock line and leaves the script where it is. A line that is interrupted counts as said.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import orjson

from voice.rehearsal.model.shapes import Json
from voice.rehearsal.model.state import MindMaker
from voice.rehearsal.model.steps import Cue, Mind, Say, Step, UseTool

CLOSING = "Thank you very much for your time. Goodbye."
_STOCK = {
    "greeting": "Hello, thank you for calling. How can I help you?",
    "tool": "All right, that is done.",
    "reprompt": "Are you still there?",
    "goodbye": CLOSING,
    "whisper": "Of course.",
    "resume": "Sorry, the line was gone for a moment. Please go on.",
    "dtmf": "Thank you.",
}
_SMALL_TALK = (
    "Hello, thank you for calling. How can I help you?",
    "I see. May I ask what your name is?",
    "Thank you. And when would it suit you to talk to one of my colleagues?",
    "Very good, I have made a note of that. Is there anything else?",
)
"""The built-in conversation for clients that come without a scenario."""


class Part(Protocol):
    """One call's script, as the stage keeps it for both doubles."""

    @property
    def name(self) -> str:
        """The scenario's name."""

    def agent_is_next(self) -> bool:
        """The script expects the agent to speak now."""

    def agent_is_over(self) -> bool:
        """There are no agent entries left."""

    def take_agent(self) -> Sequence[object]:
        """The next agent entry: strings, or mappings with `say`, or with `tool` and `args`."""

    def take_spoken(self) -> str:
        """Text of the caller lines that became whole since it was last asked."""

    def speaking(self) -> bool:
        """The caller is in the middle of a line."""


class Stage(Protocol):
    """Both doubles' shared memory."""

    def part_for(self, instructions: str) -> Part | None:
        """The call that these session instructions belong to, if it can be told."""


class Minds(MindMaker):
    def __init__(self, stage: Stage | None) -> None:
        self._stage = stage

    def make(self) -> Mind:
        return ScriptedMind(self._stage)


class ScriptedMind:
    """A :class:`Mind` that follows a scenario, or the built-in conversation."""

    def __init__(self, stage: Stage | None) -> None:
        self._stage = stage
        self._part: Part | None = None
        self._pending: list[Step] = []
        """The rest of an agent entry, after a tool call: goes on when its output is there."""
        self._small_talk = list(_SMALL_TALK)
        self._closed = False
        self._last: Json = None
        self._open_calls = 0
        """Tool calls whose output has not come."""
        self._tool_answered = False

    @property
    def scenario(self) -> str | None:
        return None if self._part is None else self._part.name

    def meet(self, instructions: str) -> None:
        if self._part is None and self._stage is not None:
            self._part = self._stage.part_for(instructions)

    def hear(self) -> str:
        return "" if self._part is None else self._part.take_spoken()

    def mid_line(self) -> bool:
        return self._part is not None and self._part.speaking()

    def tool_result(self, name: str, output: str) -> None:
        try:
            self._last = orjson.loads(output)
        except orjson.JSONDecodeError:
            self._last = output
        self._open_calls = max(0, self._open_calls - 1)
        self._tool_answered = True

    def answer(self, cue: Cue) -> list[Step]:
        if cue.out_of_band:
            return [Say("Noted.")]
        if cue.purpose == "say":
            return [Say(_verbatim(cue))]
        if cue.idle or cue.purpose in ("reprompt", "goodbye"):
            return [Say(_STOCK[cue.purpose or "reprompt"])]
        if self._open_calls and not self._tool_answered:
            return [Say("One moment, please.")]
        after_tool, self._tool_answered = self._tool_answered, False
        if after_tool and not cue.purpose:
            cue = replace(cue, purpose="tool")
        return self._from_script(cue)

    def cut_short(self, unspoken: list[Step]) -> None:
        """An interrupted entry counts as said: what was left of it is not taken up again."""
        self._pending = []
        self._open_calls = 0
        if any(isinstance(step, UseTool) and step.name == "end_call" for step in unspoken):
            self._closed = False

    # --- the script ---------------------------------------------------------------------------------

    def _from_script(self, cue: Cue) -> list[Step]:
        if not self._pending:
            stock = self._refill(cue)
            if stock is not None:
                return stock
        return self._until_tool()

    def _refill(self, cue: Cue) -> list[Step] | None:
        """Take the next agent entry of the script; a stock answer instead if it is not its turn."""
        stock = _STOCK.get(cue.purpose or "")
        if self._part is not None and self._part.agent_is_next():
            self._pending = [_step(entry) for entry in self._part.take_agent()]
            return None
        if self._closed:
            return [Say("Goodbye.")]
        if cue.purpose == "tool" and stock:
            return [Say(stock)]
        if self._part is None and self._small_talk and cue.purpose in (None, "greeting"):
            self._pending = [Say(self._small_talk.pop(0))]
            return None
        if (self._part is None or self._part.agent_is_over()) and not stock:
            return self._close(cue)
        return [Say(stock or "Yes, please go on.")]

    def _until_tool(self) -> list[Step]:
        """Steps up to and with the first tool call; what follows needs its output."""
        steps: list[Step] = []
        while self._pending:
            step = self._pending.pop(0)
            match step:
                case Say(text):
                    steps.append(Say(str(fill(text, self._last))))
                case UseTool(name, arguments):
                    filled = {key: fill(value, self._last) for key, value in arguments.items()}
                    steps.append(UseTool(name, filled))
                    self._open_calls += 1
                    self._closed = self._closed or name == "end_call"
                    break
        return steps

    def _close(self, cue: Cue) -> list[Step]:
        """The script is over: say goodbye once, hang up if that is allowed, then only be polite."""
        self._closed = True
        closing: list[Step] = [Say(CLOSING)]
        if "end_call" in cue.tools:
            self._open_calls += 1
            closing.append(UseTool("end_call", {"reason": "conversation finished"}))
        return closing


def _step(entry: object) -> Step:
    match entry:
        case Say() | UseTool():
            return entry
        case str():
            return Say(entry)
        case {"say": str(text)}:
            return Say(text)
        case {"tool": str(name), **rest}:
            arguments = rest.get("args") or {}
            return UseTool(name, dict(arguments) if isinstance(arguments, dict) else {})
        case _:
            raise ValueError(f"not an agent step: {entry!r}")


def _verbatim(cue: Cue) -> str:
    """What `purpose: say` asks for: `metadata.text`, else the quoted part of the instructions, else all."""
    if text := cue.metadata.get("text"):
        return text
    instructions = cue.instructions or ""
    quoted = re.search(r"[\"“](.+)[\"”]", instructions, re.DOTALL)
    if quoted:
        return quoted.group(1).strip()
    return instructions.rpartition("\n")[2].strip() or "Yes."


_PLACEHOLDER = re.compile(r"\{\{\s*last((?:\.\w+)*)\s*\}\}")


def fill(value: Json, last: Json) -> Json:
    """Replace `{{ last.path.0.key }}` by that value of the last tool output (JSON).

    A value that is one placeholder and nothing else keeps the type of what it names. A path that leads
    nowhere becomes an empty string: a tool that is called with it must answer so.
    """
    match value:
        case str():
            whole = _PLACEHOLDER.fullmatch(value.strip())
            if whole:
                found = _follow(last, whole.group(1))
                return "" if found is None else found
            return _PLACEHOLDER.sub(lambda match: _as_text(_follow(last, match.group(1))), value)
        case list():
            return [fill(member, last) for member in value]
        case dict():
            return {key: fill(member, last) for key, member in value.items()}
        case _:
            return value


def _as_text(value: Json) -> str:
    return "" if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()


def _follow(value: Json, path: str) -> Json:
    for name in path.split(".")[1:]:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
