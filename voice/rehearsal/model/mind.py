"""What the offline model hears and answers: the scenario's lines, and a little small talk around them.

What the caller said is told by the stage or, with ears, recognized and then looked for in the script.
It is a script and no intelligence. A response is made of the script's next `agent` actions whenever it is the
agent's turn; a response that the script does not expect (a re-prompt, a goodbye, a summary beside the call)
gets a stock line and leaves the script where it is. A line that is interrupted counts as said.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

import orjson

from tenex.lib.clock import Clock
from voice.rehearsal import scenario
from voice.rehearsal.ears import script_fit
from voice.rehearsal.model import small_talk
from voice.rehearsal.model.shapes import Json
from voice.rehearsal.model.steps import Break, Cue, Mind, Say, Step, Think, UseTool
from voice.rehearsal.scenario import AgentAction, ScenarioError
from voice.rehearsal.stage import AgentCursor, SpokenLine, Stage, StageCall

_WHOLE = 0.75
_EDGES_MS = 800
"""A line counts as heard when this part of its length was speech, less the silence at its two ends."""
_LINES_AHEAD = 3
"""How far recognized words may be ahead of the script: a caller whom nobody understood goes on."""
_PIECES = 3
_LAG_S = 0.2
"""The sound of a line reaches the model a little later than the carrier has sent it."""


class ScriptedMind:
    """A :class:`Mind` that follows a scenario, or the built-in conversation where there is none."""

    def __init__(self, stage: Stage | None, clock: Clock, players: "dict[str, ScriptedMind]") -> None:
        """`players`: who plays each call, by its id; shared by all minds of the server."""
        self.players = players
        self.problems: list[str] = []
        self.stage = stage
        self.clock = clock
        self.call: StageCall | None = None
        self.conversation = list(small_talk.CONVERSATION)
        self.closed = False
        """Goodbye has been said, or `end_call` was called."""
        self.tool_answered = False
        self._heard_ms = 0.0
        self.listens = False
        """Words are recognized here: what the stage tells of the caller's lines is not used."""
        self.puzzled = False
        """The caller spoke, and no word was understood."""
        self._pieces: list[str] = []
        """What was recognized since the last line that was found in the script."""
        self._begun: int | None = None

    @property
    def scenario(self) -> str | None:
        return None if self.call is None else self.call.scenario.name

    @property
    def cursor(self) -> AgentCursor | None:
        return None if self.call is None else self.call.agent

    def meet(self, instructions: str) -> None:
        """Find the call. One that was played before (a new session after a lost one) goes on where it was."""
        if self.call is None and self.stage is not None:
            self.call = self.stage.claim(instructions)

    @property
    def plays(self) -> bool:
        """This session is the one that plays its call; of two on one call, the last to hear or answer."""
        return self.call is not None and self.players.get(self.call.id) is self

    def _take_over(self) -> None:
        if self.call is None or self.plays:
            return
        if self.players.get(self.call.id) is not None:  # what the lost session had begun will not end
            self.call.agent.open_tool = None
            self.call.agent.responding = 0
        self.players[self.call.id] = self
        for call_id, mind in list(self.players.items()):
            if mind.call is not None and mind.call.over:
                del self.players[call_id]

    # --- hearing ------------------------------------------------------------------------------------

    def hear(self, speech_ms: float | None) -> str | None:
        self._take_over()
        pending = self._pending()
        if speech_ms is not None:
            self._heard_ms += speech_ms
            expected_ms = sum(_WHOLE * line.duration_ms - _EDGES_MS for line in pending)
            if pending and (pending[-1].finished_at is None or self._heard_ms < expected_ms):
                return None
        return self.hear_rest()

    async def line_over(self, wait_s: float) -> None:
        pending = self._pending()
        if not pending:
            return
        if pending[-1].finished_at is not None:  # sent, but not all of it has arrived here
            await self.clock.sleep(wait_s)
            return
        try:
            async with asyncio.timeout(self.clock.real_s(wait_s)):
                await pending[-1].finished.wait()
        except TimeoutError:
            return
        await self.clock.sleep(_LAG_S)

    def hear_rest(self) -> str:
        self._heard_ms = 0.0
        return "" if self.cursor is None else " ".join(line.text for line in self.cursor.hear())

    def understand(self, text: str) -> bool:
        self._take_over()
        self.listens, self.puzzled, self._begun = True, not text, None
        if self.cursor is None or not text:
            return False
        ahead = [script_fit.Line(*line) for line in self.cursor.lines_ahead(_LINES_AHEAD)]
        self._pieces = [*self._pieces, text][-_PIECES:]
        found = script_fit.find(" ".join(self._pieces), ahead) or script_fit.find(text, ahead)
        if found is None:
            return False
        if found.begun:
            self._begun = found.index
            return True
        self._pieces.clear()
        self.cursor.move_past(found.index)
        return False

    def settle(self) -> None:
        if self._begun is not None and self.cursor is not None:
            self._pieces.clear()
            self.cursor.move_past(self._begun)
            self._begun = None

    def lost_words(self, purpose: str | None) -> bool:
        """The caller has said what did not come here: while the session was lost, or on its way to its first
        word for longer than the app keeps sound. A script's caller does not say it again."""
        if self.listens or purpose not in ("resume", "greeting"):
            return False
        if purpose == "resume":
            return True
        pending = self._pending()
        if self.cursor is None or self.cursor.peek() is not None or not pending:
            return False
        over_at = pending[-1].finished_at
        return over_at is not None and self.clock.real_s(_LAG_S) < asyncio.get_running_loop().time() - over_at

    def _pending(self) -> list[SpokenLine]:
        return [] if self.cursor is None else self.cursor.pending()

    # --- answering ----------------------------------------------------------------------------------

    def tool_result(self, name: str, output: str) -> None:
        self.tool_answered = True
        if self.cursor is None:
            return
        try:
            parsed: Json = orjson.loads(output)
        except orjson.JSONDecodeError:
            parsed = output
        self.cursor.tool_answered(name, parsed)

    def answer(self, cue: Cue) -> "ScriptedAnswer":
        if not cue.out_of_band and cue.purpose is None and self.tool_answered:
            cue = replace(cue, purpose="tool")
        if not cue.out_of_band:
            self._take_over()
            self.tool_answered = False
        return ScriptedAnswer(self, cue)


class ScriptedAnswer:
    """One response: script actions one at a time, so that an interruption leaves the rest in the script."""

    def __init__(self, mind: ScriptedMind, cue: Cue) -> None:
        self._mind = mind
        self._cue = cue
        self._steps: Iterator[Step] | None = None
        if mind.cursor is not None and not cue.out_of_band:
            mind.cursor.begin_response()

    def next_step(self) -> Step | None:
        if self._steps is None:
            self._steps = self._all()
        return next(self._steps, None)

    def over(self, *, completed: bool) -> None:
        cursor = self._mind.cursor
        if cursor is None or self._cue.out_of_band or not self._mind.plays:
            return
        if not completed:
            cursor.open_tool = None
        cursor.end_response()

    # --- which steps --------------------------------------------------------------------------------

    def _all(self) -> Iterator[Step]:
        cue, mind = self._cue, self._mind
        if cue.out_of_band:
            yield Say(small_talk.BESIDE)
        elif cue.purpose == "say":
            yield Say(small_talk.verbatim(cue))
        elif cue.idle or cue.purpose in ("reprompt", "goodbye"):
            yield Say(small_talk.BY_PURPOSE[cue.purpose or "reprompt"])
        elif mind.cursor is None:
            yield from self._conversation()
        else:
            yield from self._script(mind.cursor)

    def _conversation(self) -> Iterator[Step]:
        """Without a scenario."""
        mind, purpose = self._mind, self._cue.purpose
        if mind.closed:
            yield Say(small_talk.FAREWELL)
        elif purpose in small_talk.BY_PURPOSE and purpose != "greeting":
            yield Say(small_talk.BY_PURPOSE[purpose])
        elif mind.puzzled and purpose is None:
            mind.puzzled = False
            yield Say(small_talk.PARDON)
        elif mind.conversation:
            yield Say(mind.conversation.pop(0))
        else:
            yield from self._close()

    def _script(self, cursor: AgentCursor) -> Iterator[Step]:
        purpose = self._cue.purpose
        if self._mind.lost_words(purpose):
            cursor.hear()
        if purpose == "resume":
            yield Say(small_talk.BY_PURPOSE["resume"])
        if cursor.open_tool is not None:
            yield Say(small_talk.PATIENCE)
            return
        acted = False
        while cursor.peek() is not None and (action := cursor.take()) is not None:
            step = self._step(cursor, action)
            if step is None:
                continue
            acted = True
            yield step
            if isinstance(step, UseTool):
                return
        if acted or purpose == "resume":
            return
        if self._mind.closed:
            yield Say(small_talk.FAREWELL)
        elif purpose in small_talk.BY_PURPOSE:
            yield Say(small_talk.BY_PURPOSE[purpose])
        elif self._mind.puzzled:
            self._mind.puzzled = False
            yield Say(small_talk.PARDON)
        elif cursor.over:
            yield from self._close()
        else:
            yield Say(small_talk.GO_ON)

    def _step(self, cursor: AgentCursor, action: AgentAction) -> Step | None:
        """The script's action as a step of ours; None (and a problem on record) if it cannot be done."""
        try:
            match action:
                case scenario.Say():
                    text = scenario.fill_text(action.say, cursor.context)
                    cursor.said.append(text)
                    return Say(text)
                case scenario.UseTool():
                    return self._tool(cursor, action)
                case scenario.Think():
                    return Think(action.think_s)
                case scenario.Fault():
                    if cursor.fault_done:
                        return None
                    cursor.fault_done = True
                    return Break(action.fault.value)
                case _:
                    assert_never(action)
        except ScenarioError as exc:
            cursor.open_tool = None
            self._mind.problems.append(str(exc))
            return None

    def _tool(self, cursor: AgentCursor, action: scenario.UseTool) -> Step | None:
        if action.tool not in self._cue.tools:
            cursor.open_tool = None
            self._mind.problems.append(f"the script calls '{action.tool}', which is not offered")
            return None
        arguments = scenario.fill(action.args, cursor.context)
        filled = arguments if isinstance(arguments, dict) else {}
        cursor.tool_called(action.tool, filled)
        self._mind.closed = self._mind.closed or action.tool == "end_call"
        return UseTool(action.tool, filled)

    def _close(self) -> Iterator[Step]:
        """The script is over: say goodbye once and hang up if that is allowed."""
        yield Say(small_talk.CLOSING)
        self._mind.closed = True
        if "end_call" in self._cue.tools:
            if self._mind.cursor is not None:
                self._mind.cursor.tool_called("end_call", {})
            yield UseTool("end_call", {"reason": "the conversation is finished"})


class Minds:
    """Makes the mind of each new session."""

    def __init__(self, stage: Stage | None, clock: Clock) -> None:
        self._stage = stage
        self._clock = clock
        self._players: dict[str, ScriptedMind] = {}

    def make(self) -> Mind:
        return ScriptedMind(self._stage, self._clock, self._players)
