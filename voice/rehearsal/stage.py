"""Where the two sides of a rehearsal meet: the carrier tells what a caller said, the offline model asks.

In memory, one process, one event loop. The model hears *when* somebody speaks from the audio that the app
sends it; *what* was said it takes from here. Nothing here carries sound.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from voice.rehearsal.scenario import AgentAction, AgentStep, CallerStep, Json, Scenario, UseTool, fill_text


@dataclass(slots=True, eq=False)
class SpokenLine:
    """A caller's line on its way down the wire."""

    index: int
    """Of the step in the script."""
    text: str
    started_at: float
    """`loop.time()` of its first frame."""
    duration_ms: int
    finished_at: float | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)


class AgentCursor:
    """How far the agent has come in the script. It belongs to the call: a new model session goes on here."""

    def __init__(self, call: "StageCall") -> None:
        self._call = call
        self._step = 0
        self._action = 0
        self._heard = 0
        self.responding = 0
        """Responses that are being produced; the caller waits for them."""
        self.open_tool: str | None = None
        self.context: dict[str, Json] = {"last": None, "tools": {}}
        """What templates see; see `scenario.fill`."""
        self.tools_used: list[tuple[str, dict[str, Json]]] = []
        self.tool_at_ms: dict[str, int] = {}
        """First call of each tool, in ms since the answer."""
        self.said: list[str] = []
        self.fault_done = False

    # --- hearing -----------------------------------------------------------------------------------

    def hear(self) -> list[SpokenLine]:
        """Lines that began since the last call of this, oldest first; the agent now answers the last one.

        What was left of an interrupted agent step is skipped.
        """
        lines = self._call.spoken[self._heard :]
        if lines:
            self._heard = len(self._call.spoken)
            self.move_past(lines[-1].index)
        return lines

    def pending(self) -> list[SpokenLine]:
        """Lines that began and were not taken by `hear` yet."""
        return self._call.spoken[self._heard :]

    def lines_ahead(self, limit: int) -> list[tuple[int, str]]:
        """Index and text of the lines that the script has the caller say next, whether or not they did."""
        script = self._call.scenario.script[self._step :]
        lines = [
            (index, step.say)
            for index, step in enumerate(script, self._step)
            if isinstance(step, CallerStep) and step.say is not None
        ]
        return lines[:limit]

    def move_past(self, index: int) -> None:
        """The caller has said the line of step `index`: what stands before it is left out."""
        if index >= self._step:
            self._step, self._action = index + 1, 0

    # --- acting ------------------------------------------------------------------------------------

    def peek(self) -> AgentAction | None:
        """The next action, or None while it is the caller's turn (or the script is over)."""
        self._skip_silent_steps()
        step = self._current()
        return step.agent[self._action] if isinstance(step, AgentStep) else None

    def take(self) -> AgentAction | None:
        """Like `peek`, and go on to the next one."""
        action = self.peek()
        if action is None:
            return None
        self._action += 1
        step = self._current()
        if isinstance(step, AgentStep) and self._action >= len(step.agent):
            self._step, self._action = self._step + 1, 0
        if isinstance(action, UseTool):
            self.open_tool = action.tool
        return action

    def tool_called(self, name: str, args: dict[str, Json]) -> None:
        self.tools_used.append((name, args))
        self.tool_at_ms.setdefault(name, self._call.now_ms())
        self.open_tool = name

    def tool_answered(self, name: str, output: Json) -> None:
        """`output` is the parsed JSON (or the raw text) that the app returned."""
        self.context["last"] = output
        tools = self.context["tools"]
        if isinstance(tools, dict):
            tools[name] = output
        self.open_tool = None

    def fill(self, text: str) -> str:
        """A line with its holes filled from the tool outputs so far."""
        return fill_text(text, self.context)

    def begin_response(self) -> None:
        self.responding += 1

    def end_response(self) -> None:
        self.responding = max(0, self.responding - 1)

    @property
    def over(self) -> bool:
        """Nothing is left for the agent to do in the whole script."""
        script = self._call.scenario.script
        return not any(isinstance(step, AgentStep) for step in script[self._step :])

    def done_before(self, index: int) -> bool:
        """Everything that the agent says or does before step `index` has been done."""
        if self.responding or self.open_tool:
            return False
        return not any(isinstance(step, AgentStep) for step in self._call.scenario.script[self._step : index])

    def _current(self) -> AgentStep | CallerStep | None:
        script = self._call.scenario.script
        return script[self._step] if self._step < len(script) else None

    def _skip_silent_steps(self) -> None:
        """Key presses and silences are not heard as speech: they are passed once the caller began them."""
        while (step := self._current()) is not None and isinstance(step, CallerStep):
            if step.say is not None or self._step > self._call.caller_at:
                return
            self._step, self._action = self._step + 1, 0


@dataclass(slots=True, eq=False)
class StageCall:
    """One call between a remote number and ours, from the answer to the end."""

    id: str
    """Call sid."""
    remote: str
    local: str
    direction: str
    scenario: Scenario
    spoken: list[SpokenLine] = field(default_factory=list)
    caller_at: int = -1
    """Index of the last caller step that was begun."""
    now_ms: Callable[[], int] = field(default=lambda: 0)
    """Sound time since the answer, told by the carrier."""
    claimed: bool = False
    """A model session plays the agent of this call."""
    over: bool = False
    agent: AgentCursor = field(init=False)

    def __post_init__(self) -> None:
        self.agent = AgentCursor(self)

    # --- the carrier reports -----------------------------------------------------------------------

    def begin_step(self, index: int) -> None:
        self.caller_at = max(self.caller_at, index)

    def begin_line(self, index: int, text: str, duration_ms: int) -> SpokenLine:
        line = SpokenLine(index, text, asyncio.get_running_loop().time(), duration_ms)
        self.spoken.append(line)
        self.begin_step(index)
        return line

    def end_line(self, line: SpokenLine) -> None:
        line.finished_at = asyncio.get_running_loop().time()
        line.finished.set()


class Stage:
    """All calls that are being played. The carrier enters and leaves, the model claims."""

    def __init__(self) -> None:
        self._calls: dict[str, StageCall] = {}
        self._numbers = count(1)

    def __iter__(self) -> Iterator[StageCall]:
        return iter(list(self._calls.values()))

    def enter(
        self, *, remote: str, local: str, direction: str, scenario: Scenario, call_id: str | None = None
    ) -> StageCall:
        """A call was answered. `call_id` defaults to a local one (a model that plays without the carrier)."""
        call = StageCall(call_id or f"local-{next(self._numbers)}", remote, local, direction, scenario)
        self._calls[call.id] = call
        return call

    def join(self, call: StageCall) -> None:
        """Like `enter`, with a call that was prepared before."""
        self._calls[call.id] = call

    def leave(self, call: StageCall) -> None:
        call.over = True
        for line in call.spoken:
            line.finished.set()
        self._calls.pop(call.id, None)

    def get(self, call_id: str) -> StageCall | None:
        return self._calls.get(call_id)

    def find(self, instructions: str) -> StageCall | None:
        """The call that a model session with these instructions is about.

        By the remote number that stands in the instructions; else the only call that nobody has claimed.
        A call that is already claimed is found again by its number (a reconnect of the app).
        """
        by_number = [call for call in self._calls.values() if call.remote and call.remote in instructions]
        if by_number:
            return next((call for call in reversed(by_number) if not call.claimed), by_number[-1])
        free = [call for call in self._calls.values() if not call.claimed]
        return free[0] if len(free) == 1 else None

    def claim(self, instructions: str) -> StageCall | None:
        """`find`, and mark it as claimed."""
        call = self.find(instructions)
        if call is not None:
            call.claimed = True
        return call
