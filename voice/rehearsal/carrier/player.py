"""The person on the phone: follows the `caller` steps of the scenario, one decision a frame."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto

import structlog

from voice.rehearsal import mulaw
from voice.rehearsal.carrier.line import Line, Utterance
from voice.rehearsal.carrier.options import CarrierOptions
from voice.rehearsal.scenario import AgentStep, Answer, CallerStep, ScenarioError
from voice.rehearsal.stage import SpokenLine, StageCall

log = structlog.get_logger(__name__)

_GAP_MS = 400
"""Quiet after the agent's turn before a person answers, if the script's agent tells when its turn is over."""
_GAP_UNSURE_MS = 900
"""The same if it does not (another model than the offline one)."""
_GAP_REAL_S = 0.08
"""At a high speed factor sockets need this much real time to bring the last words."""
_OPENING_MS = 700
_HELLO_MS = 260
"""From picking up to the first word of a person who answers a phone."""
_MACHINE_MS = 300
_KEY_MS = 250


class _Doing(Enum):
    WAITING = auto()
    SPEAKING = auto()
    SILENT = auto()
    PRESSING = auto()
    RENDERING = auto()
    DONE = auto()


class ScriptPlayer:
    """`tick` is called at the begin of every frame of the line."""

    def __init__(
        self,
        *,
        stage_call: StageCall,
        line: Line,
        options: CarrierOptions,
        render: Callable[[str], Awaitable[bytes]],
        hang_up: Callable[[], None],
    ) -> None:
        self._call = stage_call
        self._line = line
        self._options = options
        self._render = render
        self._hang_up = hang_up
        self._sounds: dict[int, bytes] = {}
        self._rendering: asyncio.Task[None] | None = None
        self._doing = _Doing.WAITING
        self._index = 0
        self._until_frame = 0
        self._keys = ""
        self._utterance: Utterance | None = None
        self._spoken: SpokenLine | None = None
        self._turn_frame = 0
        self._turn_heard_ms = 0
        self._turn_tools = 0
        self._gap_ms = max(_GAP_MS, int(_GAP_REAL_S * line.scale * 1000))
        self.finished = False

    async def prepare(self) -> None:
        """Render the lines that are known already; the rest is rendered when the agent's tools have run."""
        for index, step in enumerate(self._call.scenario.script):
            if isinstance(step, CallerStep) and step.say is not None and "{{" not in step.say:
                self._sounds[index] = await self._render(step.say)

    def tick(self) -> None:
        match self._doing:
            case _Doing.WAITING:
                self._wait()
            case _Doing.SPEAKING:
                if self._utterance is not None and self._utterance.done:
                    if self._spoken is not None:
                        self._call.end_line(self._spoken)
                    self._next()
            case _Doing.SILENT:
                if self._line.frames >= self._until_frame:
                    self._next()
            case _Doing.PRESSING:
                self._press()
            case _Doing.RENDERING | _Doing.DONE:
                pass

    # --- when --------------------------------------------------------------------------------------

    def _wait(self) -> None:
        script = self._call.scenario.script
        while self._index < len(script) and isinstance(script[self._index], AgentStep):
            self._index += 1
        if self._index >= len(script):
            self._farewell()
            return
        step = script[self._index]
        if isinstance(step, CallerStep) and self._may_begin(step):
            self._begin(step)

    def _quiet_ms(self) -> int:
        """How long our side has been silent in this turn."""
        return min(self._line.quiet_frames, self._line.frames - self._turn_frame) * mulaw.FRAME_MS

    def _may_begin(self, step: CallerStep) -> bool:
        quiet_ms = self._quiet_ms()
        heard_ms = self._line.heard_ms - self._turn_heard_ms
        if quiet_ms >= self._options.caller_patience_s * 1000:
            return True
        if step.barge_in_after_ms is not None and self._line.playing and heard_ms >= step.barge_in_after_ms:
            return True
        if step.during_tool is not None and step.during_tool in self._tools_of_turn():
            return True
        if self._index == 0 or not isinstance(self._call.scenario.script[self._index - 1], AgentStep):
            return self._may_go_on(quiet_ms)
        if self._call.claimed:
            return quiet_ms >= self._gap_ms and self._call.agent.done_before(self._index)
        return heard_ms > 0 and quiet_ms >= max(_GAP_UNSURE_MS, self._gap_ms)

    def _may_go_on(self, quiet_ms: int) -> bool:
        """The first step of a call, or one behind another of their own. A machine does not listen first."""
        here_ms = (self._line.frames - self._turn_frame) * mulaw.FRAME_MS
        if self._call.scenario.call.answer is not Answer.PERSON:
            return here_ms >= _MACHINE_MS
        return quiet_ms >= (_HELLO_MS if self._index == 0 else _OPENING_MS)

    def _tools_of_turn(self) -> set[str]:
        """Tools that were called since the person last did something; a fast one may be over already."""
        return {name for name, _ in self._call.agent.tools_used[self._turn_tools :]}

    def _farewell(self) -> None:
        """The script is over: hang up if our side does not do it in time."""
        self.finished = True
        agent_done = not self._call.claimed or self._call.agent.done_before(len(self._call.scenario.script))
        wait_s = self._options.farewell_s if agent_done else self._options.caller_patience_s
        if self._quiet_ms() >= wait_s * 1000:
            self._doing = _Doing.DONE
            self._hang_up()

    # --- what --------------------------------------------------------------------------------------

    def _begin(self, step: CallerStep) -> None:
        if step.say is not None:
            sound = self._sounds.get(self._index)
            if sound is not None:
                self._speak(step.say, sound)
            else:
                self._doing = _Doing.RENDERING
                self._rendering = asyncio.get_running_loop().create_task(self._render_now(step.say))
            return
        self._call.begin_step(self._index)
        if step.tone_hz is not None:
            self._utterance, self._spoken = self._line.say(mulaw.tone(step.tone_hz, step.tone_ms)), None
            self._doing = _Doing.SPEAKING
        elif step.silence_s is not None:
            self._silence(step.silence_s * 1000)
        elif step.dtmf is not None:
            self._keys = step.dtmf
            self._doing = _Doing.PRESSING
        else:
            self.finished = True
            self._doing = _Doing.DONE
            self._hang_up()

    async def _render_now(self, template: str) -> None:
        try:
            text = self._call.agent.fill(template)
        except ScenarioError as exc:
            log.warning("caller line cannot be filled", call_sid=self._call.id, problem=exc.detail)
            self._doing = _Doing.DONE
            self._hang_up()
            return
        self._speak(text, await self._render(text))

    def _speak(self, text: str, sound: bytes) -> None:
        self._utterance = self._line.say(sound)
        self._spoken = self._call.begin_line(self._index, text, len(sound) // mulaw.BYTES_PER_MS)
        self._doing = _Doing.SPEAKING

    def _press(self) -> None:
        if self._line.frames < self._until_frame:
            return
        if not self._keys:
            self._next()
            return
        self._line.press(self._keys[0])
        self._keys = self._keys[1:]
        self._until_frame = self._line.frames + _KEY_MS // mulaw.FRAME_MS

    def _silence(self, length_ms: float) -> None:
        self._until_frame = self._line.frames + int(length_ms / mulaw.FRAME_MS)
        self._doing = _Doing.SILENT

    def _next(self) -> None:
        self._index += 1
        self._turn_frame = self._line.frames
        self._turn_heard_ms = self._line.heard_ms
        self._turn_tools = len(self._call.agent.tools_used)
        self._doing = _Doing.WAITING
