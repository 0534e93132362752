"""One call that is alive: its status, its line, the script of the person, its end."""

import asyncio
from typing import TYPE_CHECKING

import structlog

from voice.rehearsal import speech
from voice.rehearsal.carrier import shapes
from voice.rehearsal.carrier.line import Line
from voice.rehearsal.carrier.player import ScriptPlayer
from voice.rehearsal.carrier.records import CallRecord, CallStatus, StatusEntry, utc_now
from voice.rehearsal.carrier.stream import MediaStream
from voice.rehearsal.scenario import Answer, Scenario
from voice.rehearsal.stage import StageCall

if TYPE_CHECKING:
    from voice.rehearsal.carrier.exchange import Exchange

log = structlog.get_logger(__name__)

_EVENT_OF = {
    CallStatus.INITIATED: "initiated",
    CallStatus.RINGING: "ringing",
    CallStatus.IN_PROGRESS: "answered",
}
_USUAL_SIP_CODE = {Answer.NO_ANSWER: 480, Answer.BUSY: 486, Answer.FAILED: 404}
_STATUS_OF = {
    Answer.NO_ANSWER: CallStatus.NO_ANSWER,
    Answer.BUSY: CallStatus.BUSY,
    Answer.FAILED: CallStatus.FAILED,
}


class LiveCall:
    """Owned by the exchange; everything runs in its event loop."""

    def __init__(self, exchange: "Exchange", record: CallRecord, scenario: Scenario) -> None:
        self.exchange = exchange
        self.record = record
        self.scenario = scenario
        self.line = Line(exchange.clock, record)
        self.stage_call: StageCall | None = None
        self.stream: MediaStream | None = None
        self.ended = asyncio.Event()
        self.answered_at_s: float | None = None
        self.time_limit_s: float | None = None
        self._player: ScriptPlayer | None = None
        self._life: asyncio.Task[None] | None = None
        self._talk: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()

    # --- status ------------------------------------------------------------------------------------

    def move(self, status: CallStatus, *, report: bool = True) -> None:
        """Write down a status and tell the callback about it, if it wants to know."""
        record = self.record
        now = utc_now()
        if status is not CallStatus.INITIATED:
            record.status = status
        record.date_updated = now
        record.history.append(StatusEntry(status, now, self.exchange.clock.now()))
        event = "completed" if status.terminal else _EVENT_OF.get(status, "")
        if not report or event not in record.callback.events:
            return
        recordings = self.exchange.books.recordings_of(record.sid)
        recording = next((item for item in recordings if item.source == "OutboundAPI"), None)
        form = shapes.status_form(
            record, self.exchange.options.account_sid, status, at=now, recording=recording
        )
        if recording is not None and status.terminal:
            form["RecordingUrl"] = self.exchange.recording_url(recording)
        self.exchange.webhooks.notify(
            record.callback.url, form, method=record.callback.method, call_sid=record.sid
        )

    @property
    def over(self) -> bool:
        return self.record.status.terminal

    def form(self) -> dict[str, str]:
        """Fields of a request for instructions."""
        form = shapes.call_form(self.record, self.exchange.options.account_sid)
        if self.record.answered_by and self.record.amd_duration_ms is not None:
            form["AnsweredBy"] = self.record.answered_by
            form["MachineDetectionDuration"] = str(self.record.amd_duration_ms)
        return form

    # --- life --------------------------------------------------------------------------------------

    def start(self, life: asyncio.Task[None]) -> None:
        self._life = life
        life.add_done_callback(self._broken)

    def spawn(self, task: asyncio.Task[None]) -> None:
        """Keep a helper task until it is done or the call is over."""
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def prepare(self) -> None:
        """Render what the person will say, before anybody waits for it."""
        stage_call = StageCall(
            self.record.sid, self.record.remote, self.record.local, self.record.direction, self.scenario
        )
        voice = speech.caller_voice(self.record.remote)
        if self.scenario.call.answer is not Answer.PERSON and self.record.direction != "inbound":
            voice = speech.MACHINE
        self._player = ScriptPlayer(
            stage_call=stage_call,
            line=self.line,
            options=self.exchange.options,
            render=lambda text: self.exchange.speech.mulaw(text, voice),
            hang_up=lambda: self.end(CallStatus.COMPLETED, by="caller"),
        )
        stage_call.now_ms = lambda: self.line.elapsed_ms
        self.stage_call = stage_call
        await self._player.prepare()

    def answer(self) -> None:
        """The call is up: sound flows from here on. Needs `prepare`."""
        if self.answered_at_s is not None or self.over or self._player is None or self.stage_call is None:
            return
        self.answered_at_s = self.exchange.clock.now()
        self.record.start_time = utc_now()
        self.exchange.stage.join(self.stage_call)
        self.line.on_tick = self._player.tick
        self.spawn(asyncio.get_running_loop().create_task(self.line.run()))
        self.move(CallStatus.IN_PROGRESS)
        if self.time_limit_s is not None:
            self.spawn(asyncio.get_running_loop().create_task(self._limit(self.time_limit_s)))

    async def _limit(self, seconds: float) -> None:
        await self.exchange.clock.sleep(seconds)
        self.end(CallStatus.COMPLETED, by="carrier")

    def talk(self, task: asyncio.Task[None]) -> None:
        """Follow these instructions now; others that were being followed are given up."""
        if self._talk is not None and self._talk is not asyncio.current_task():
            self._talk.cancel()
        self.close_stream()
        self._talk = task
        task.add_done_callback(self._broken)

    def _broken(self, task: asyncio.Task[None]) -> None:
        """A mistake of the rehearsal itself (the exchange logs it) must not leave a call open for ever."""
        if not task.cancelled() and task.exception() is not None:
            self.end(CallStatus.FAILED, by="carrier", sip_code=500)

    def close_stream(self) -> None:
        """End the media stream, if there is one: `stop`, then the socket is closed, in the background."""
        stream, self.stream = self.stream, None
        if stream is None:
            return
        dice = self.exchange.dice
        abrupt = self.over and dice.strikes(dice.faults.stream_abrupt)
        zombie = self.over and dice.strikes(dice.faults.stream_zombie)
        self.exchange.spawn(stream.hang_up(abrupt=abrupt, zombie=zombie))

    def end(self, status: CallStatus, *, by: str, sip_code: int | None = None) -> None:
        """The call is over, for whatever reason; only the first reason counts."""
        if self.over:
            return
        record = self.record
        record.end_time = utc_now()
        record.hung_up_by = by
        record.sip_code = sip_code
        up_s = 0.0 if self.answered_at_s is None else self.exchange.clock.now() - self.answered_at_s
        record.duration_s = round(up_s)
        record.status = status
        self.line.close()
        if self.stage_call is not None:
            self._remember(self.stage_call)
            self.exchange.stage.leave(self.stage_call)
        for recording in list(self.line.recordings):
            self.exchange.recorder.finish(self, recording)
        self.move(status)
        self.close_stream()
        current = asyncio.current_task()
        for task in (self._talk, self._life, *self._background):
            if task is not None and task is not current:
                task.cancel()
        self.ended.set()
        log.info("call ended", call_sid=record.sid, status=status.value, by=by)

    def fail_unanswered(self) -> None:
        """Nobody picked up, as the scenario says."""
        answer = self.scenario.call.answer
        code = self.scenario.call.sip_code or _USUAL_SIP_CODE.get(answer, 480)
        self.end(_STATUS_OF.get(answer, CallStatus.NO_ANSWER), by="carrier", sip_code=code)

    def _remember(self, stage_call: StageCall) -> None:
        self.record.caller_lines = [line.text for line in stage_call.spoken]
        self.record.tools = [name for name, _ in stage_call.agent.tools_used]
        self.record.tool_at_ms = dict(stage_call.agent.tool_at_ms)
        self.record.agent_lines = list(stage_call.agent.said)
        self.record.script_done = self._player is not None and self._player.finished
