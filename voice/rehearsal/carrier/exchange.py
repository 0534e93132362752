"""The carrier's switchboard: makes calls, takes calls, keeps the calls-per-second queue."""

import asyncio
from collections import Counter
from collections.abc import Coroutine

import structlog

from tenex.lib.clock import Clock
from tenex.lib.phone import mask
from voice.rehearsal import scenario as scenarios
from voice.rehearsal.carrier import shapes
from voice.rehearsal.carrier.call import LiveCall
from voice.rehearsal.carrier.faults import Dice
from voice.rehearsal.carrier.interpreter import Interpreter
from voice.rehearsal.carrier.options import CarrierOptions
from voice.rehearsal.carrier.params import CreateCall, Instructions
from voice.rehearsal.carrier.recorder import Recorder
from voice.rehearsal.carrier.records import (
    Books,
    CallbackPlan,
    CallRecord,
    CallStatus,
    RecordingRecord,
    new_sid,
    utc_now,
)
from voice.rehearsal.carrier.shapes import Refused
from voice.rehearsal.carrier.webhooks import Webhooks
from voice.rehearsal.scenario import Answer, CallPart, Scenario
from voice.rehearsal.speech import Speech
from voice.rehearsal.stage import Stage

log = structlog.get_logger(__name__)

_CLOSE_S = 3.0

NOBODY = Scenario(name="nobody", title="Rings and nobody answers", call=CallPart(answer=Answer.NO_ANSWER))


class Exchange:
    """Everything that is not HTTP. One event loop, no threads but the ones of `Speech`."""

    def __init__(self, *, options: CarrierOptions, clock: Clock, stage: Stage, speech: Speech) -> None:
        self.options = options
        self.clock = clock
        self.stage = stage
        self.speech = speech
        self.books = Books(options.numbers)
        self.dice = Dice(options.seed)
        self.webhooks = Webhooks(options, self.books, clock, self.dice)
        self.recorder = Recorder(self)
        self.live: dict[str, LiveCall] = {}
        self.scenarios: dict[str, list[Scenario]] = {}
        """What happens on a remote number: one scenario a call, the last one stays."""
        self.default_scenario = (
            scenarios.load(options.default_scenario) if options.default_scenario else NOBODY
        )
        self.dials: Counter[str] = Counter()
        """How often each number was really dialled."""
        self.base_url = options.base_url
        self._next_slot_s = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for live in list(self.live.values()):
            live.end(CallStatus.COMPLETED, by="carrier")
        if self._tasks:  # goodbyes to media sockets
            await asyncio.wait(list(self._tasks), timeout=_CLOSE_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.webhooks.close()
        self.recorder.close()

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run in the background; a failure is logged, never lost."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("rehearsal task failed", exc_info=error)

    def unfinished(self, call_sid: str) -> set[asyncio.Task[None]]:
        """What is still under way for a call that is over: recordings, callbacks."""
        return self.recorder.unfinished(call_sid) | self.webhooks.unfinished(call_sid)

    def recording_url(self, recording: RecordingRecord) -> str:
        path = f"{shapes.account_path(self.options.account_sid)}/Recordings/{recording.sid}"
        return self.base_url + path

    # --- scenarios ---------------------------------------------------------------------------------

    def set_scenarios(self, number: str, plan: list[Scenario]) -> None:
        """What happens when `number` is dialled: the first call gets the first, the last one stays."""
        self.scenarios[number] = list(plan)

    def _scenario_for(self, number: str) -> Scenario:
        plan = self.scenarios.get(number)
        if not plan:
            return self.default_scenario
        return plan.pop(0) if len(plan) > 1 else plan[0]

    # --- outbound ----------------------------------------------------------------------------------

    def create(self, wish: CreateCall) -> CallRecord:
        """Accept a call of the application; it waits its turn in the queue.

        Raises:
            Refused: `From` is not a number of the account.
        """
        number = self.books.number(wish.from_)
        if number is None:
            raise Refused(400, 21210, "The source phone number is not owned or verified by your account.")
        record = CallRecord(
            sid=new_sid("CA"),
            from_=wish.from_,
            to=wish.to,
            direction="outbound-api",
            status=CallStatus.QUEUED,
            callback=wish.callback,
            phone_number_sid=number.sid,
        )
        self.books.calls[record.sid] = record
        for code, message in wish.warnings:
            self.books.alert(code, message, call_sid=record.sid)
        scenario = self._scenario_for(wish.to)
        record.scenario = scenario.name
        live = self._open(record, scenario)
        now = self.clock.now()
        slot_s = max(now, self._next_slot_s)
        self._next_slot_s = slot_s + 1 / self.options.calls_per_second
        record.queue_ms = round((slot_s - now) * 1000)
        live.move(CallStatus.QUEUED, report=False)
        live.start(self.spawn(self._outbound(live, wish, slot_s - now)))
        return record

    async def _outbound(self, live: LiveCall, wish: CreateCall, wait_s: float) -> None:
        record, call = live.record, live.scenario.call
        if wait_s > 0:
            await self.clock.sleep(wait_s)
        live.time_limit_s = wish.time_limit_s
        record.dials += 1
        self.dials[record.to] += 1
        record.start_time = utc_now()
        live.move(CallStatus.INITIATED)
        log.info("dialling", call_sid=record.sid, to=mask(record.to), scenario=record.scenario)
        await live.prepare()
        if call.answer is Answer.FAILED:
            live.fail_unanswered()
            return
        live.move(CallStatus.RINGING)
        rings_s = call.ring_s
        if call.answer is Answer.NO_ANSWER and "ring_s" not in call.model_fields_set:
            rings_s = float(wish.timeout_s)
        await self.clock.sleep(min(rings_s, wish.timeout_s))
        if rings_s > wish.timeout_s:
            live.end(CallStatus.NO_ANSWER, by="carrier", sip_code=487)
        elif not call.answer.picks_up:
            live.fail_unanswered()
        else:
            await self._answered(live, wish)

    async def _answered(self, live: LiveCall, wish: CreateCall) -> None:
        live.answer()
        if wish.recording is not None:
            self.recorder.start(live, wish.recording, source="OutboundAPI")
        if wish.amd is not None:
            result, after_s = self._detect(live.scenario, wish.amd.mode), live.scenario.call.amd_after_s
            if wish.amd.background:
                live.spawn(self.spawn(self._amd_later(live, wish, result, after_s)))
            else:
                await self.clock.sleep(after_s)
                live.record.answered_by, live.record.amd_duration_ms = result, round(after_s * 1000)
        self.follow(live, wish.instructions)

    @staticmethod
    def _detect(scenario: Scenario, mode: str) -> str:
        call = scenario.call
        if call.amd is not None:
            return call.amd
        machine = "machine_start" if mode == "Enable" else "machine_end_beep"
        results = {Answer.PERSON: "human", Answer.MACHINE: machine, Answer.FAX: "fax"}
        return results.get(call.answer, "unknown")

    async def _amd_later(self, live: LiveCall, wish: CreateCall, result: str, after_s: float) -> None:
        await self.clock.sleep(after_s)
        live.record.answered_by, live.record.amd_duration_ms = result, round(after_s * 1000)
        form = {
            "CallSid": live.record.sid,
            "AccountSid": self.options.account_sid,
            "AnsweredBy": result,
            "MachineDetectionDuration": str(round(after_s * 1000)),
        }
        if wish.amd is not None and wish.amd.callback:
            self.webhooks.notify(wish.amd.callback, form, method=wish.amd.method, call_sid=live.record.sid)

    # --- inbound -----------------------------------------------------------------------------------

    def place_inbound(self, scenario: Scenario, *, from_: str = "", to: str = "") -> CallRecord:
        """Somebody calls one of our numbers.

        Raises:
            Refused: `to` is not a number of the account (404).
        """
        from_, to = from_ or scenario.call.from_, to or scenario.call.to
        number = self.books.number(to)
        if number is None:
            raise Refused(404, 20404, f"{to} is not a number of this account")
        record = CallRecord(
            sid=new_sid("CA"),
            from_=from_,
            to=to,
            direction="inbound",
            status=CallStatus.RINGING,
            callback=CallbackPlan(number.status_callback, number.status_callback_method),
            phone_number_sid=number.sid,
            scenario=scenario.name,
        )
        self.books.calls[record.sid] = record
        live = self._open(record, scenario)
        plan = Instructions(
            url=number.voice_url,
            method=number.voice_method,
            fallback_url=number.voice_fallback_url,
            fallback_method=number.voice_fallback_method,
        )
        live.start(self.spawn(self._inbound(live, plan)))
        return record

    async def _inbound(self, live: LiveCall, plan: Instructions) -> None:
        live.move(CallStatus.RINGING)
        await live.prepare()
        if not plan.url:
            live.end(CallStatus.FAILED, by="carrier", sip_code=404)
            return
        if self.dice.strikes(self.dice.faults.voice_duplicate):
            self.webhooks.notify(plan.url, live.form(), method=plan.method)
        self.follow(live, plan)

    # --- both --------------------------------------------------------------------------------------

    def _open(self, record: CallRecord, scenario: Scenario) -> LiveCall:
        live = LiveCall(self, record, scenario)
        self.live[record.sid] = live
        self.spawn(self._forget(live))
        return live

    async def _forget(self, live: LiveCall) -> None:
        await live.ended.wait()
        self.live.pop(live.record.sid, None)

    def follow(self, live: LiveCall, plan: Instructions) -> None:
        """Carry out TwiML on the call, instead of what it is doing now."""
        interpreter = Interpreter(self, live)
        live.talk(self.spawn(interpreter.run(plan)))

    def redirect(self, record: CallRecord, plan: Instructions) -> None:
        """New instructions from REST.

        Raises:
            Refused: 21220, the call is not in progress.
        """
        live = self.live.get(record.sid)
        if live is None or record.status is not CallStatus.IN_PROGRESS:
            raise Refused(400, 21220, "Call is not in-progress. Cannot redirect.")
        self.follow(live, plan)

    def finish(self, record: CallRecord, status: CallStatus) -> None:
        """The application ends the call.

        Raises:
            Refused: 21220, it is over already (or, for `canceled`, answered).
        """
        live = self.live.get(record.sid)
        if live is None or record.status.terminal:
            raise Refused(400, 21220, "Call is not in-progress. Cannot redirect.")
        waiting = record.status in {CallStatus.QUEUED, CallStatus.RINGING}
        if status is CallStatus.CANCELED and not waiting:
            raise Refused(400, 21220, "Call is in-progress. Cannot cancel.")
        if waiting:
            live.end(CallStatus.CANCELED, by="app", sip_code=487)
        else:
            live.end(CallStatus.COMPLETED, by="app")
