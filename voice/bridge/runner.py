"""One live call: inputs and deadlines go into the pure machine, its commands come out and are carried out.

Everything here happens on one event loop, in callbacks: a frame of the phone or of the model runs through
the machine and out of the other socket without a queue or a task switch. `feed` may be called from within
itself (a send that fails reports a loss): such events wait until the running one is through.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, assert_never

import structlog
from django.utils import timezone

from tenex.lib.clock import Clock
from voice.bridge import clips, tally
from voice.bridge.effects import CallControl, Effects, ToolBox
from voice.bridge.latency import LatencyLog
from voice.bridge.operator_words import Connect, WordsOfOperator
from voice.bridge.phone import Phone
from voice.bridge.writer import CallWriter, add_usage
from voice.realtime.port import ModelConnection, ModelProvider, ModelUnavailable, ServerEvent
from voice.services.live import CallContext
from voice.services.live_store import SessionChange
from voice.session import commands as cmd
from voice.session.events import (
    AudioDelta,
    ModelLost,
    ModelReady,
    OperatorVoice,
    ResponseDone,
    SessionEvent,
    SpeechStopped,
    StreamStarted,
    StreamStopped,
)
from voice.wire import g711

log = structlog.get_logger(__name__)

_MAX_PENDING: Final = 1000
_DESK: Final = frozenset({"operator.took_over", "operator.gave_back", "call.off_record"})
"""Lines that begin or end the writing down of an operator's words."""


class Machine(Protocol):
    """:class:`voice.session.machine.CallSession`, as the runner sees it."""

    def handle(self, event: SessionEvent, now: float) -> list[cmd.Command]: ...
    def next_deadline(self) -> float | None: ...
    def handle_timer(self, now: float) -> list[cmd.Command]: ...
    @property
    def caller_audio_ms(self) -> float: ...


class Runner:
    """Carries one call from `StreamStarted` to `Finish`."""

    def __init__(
        self,
        machine: Machine,
        context: CallContext,
        clock: Clock,
        *,
        phone: Phone,
        provider: ModelProvider,
        writer: CallWriter,
        tools: ToolBox,
        control: CallControl,
        close_stream: Callable[[str], None],
        words: Connect | None = None,
    ) -> None:
        """`words` makes a session that writes down what an operator says."""
        self._machine = machine
        self._context = context
        self._now = clock.now
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._phone = phone
        self._provider = provider
        self._writer = writer
        self._close_stream = close_stream
        self._effects = Effects(context, clock, self.feed, tools=tools, control=control)
        self._words = WordsOfOperator(words, self.feed, clock) if words is not None else None
        self._desk = ""
        """Connection of the operator who talks; empty: nobody does."""
        self._models: dict[int, ModelConnection] = {}
        self._in_use: ModelConnection | None = None
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._session_numbers: dict[int, int] = {}
        self._usage: dict[int, dict[str, Any]] = {}
        self._latency = LatencyLog(context.latency, began_at=self._loop.time())
        self._pending: deque[SessionEvent] = deque()
        self._busy = False
        self._played_chars = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.finished: asyncio.Future[str] = self._loop.create_future()
        """The reason of the end, once the machine has finished."""

    # --- in ------------------------------------------------------------------------------------------

    def start(self) -> None:
        tally.audio.begin(self)
        self.feed(StreamStarted(self._context.stream_sid))

    def feed(self, event: SessionEvent) -> None:
        """Hand one event to the machine and do what it asks. Never raises."""
        if self._busy:
            if len(self._pending) < _MAX_PENDING:
                self._pending.append(event)
            return
        self._busy = True
        try:
            self._carry_out(self._machine.handle(event, self._now()))
            while self._pending:
                self._carry_out(self._machine.handle(self._pending.popleft(), self._now()))
            self._arm()
        except Exception:
            self._crash()
        finally:
            self._busy = False

    def _on_timer(self) -> None:
        self._timer = None
        if self._busy or self.finished.done():
            return
        self._busy = True
        try:
            deadline = self._machine.next_deadline()
            now = self._now()
            if deadline is not None and deadline <= now:
                self._carry_out(self._machine.handle_timer(now))
                while self._pending:
                    self._carry_out(self._machine.handle(self._pending.popleft(), self._now()))
            self._arm()
        except Exception:
            self._crash()
        finally:
            self._busy = False

    def _arm(self) -> None:
        """One timer, re-armed only when the next deadline came nearer: one that moved away is met early."""
        deadline = self._machine.next_deadline()
        if deadline is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        wait_s = max(0.0, self._clock.real_s(deadline - self._now()))
        self._timer = self._loop.call_later(wait_s, self._on_timer)

    def _crash(self) -> None:
        """Our own fault. The call goes back to the carrier, whose TwiML resumes it or says sorry."""
        log.exception("live call failed", **self._fields())
        self._close_stream("internal error")
        self._finish("media-lost")

    def audio_ms(self) -> tuple[float, float]:
        """Sound from the caller, and sound of the model's and of ours that was sent to them."""
        return self._machine.caller_audio_ms, self._played_chars * 0.75 / g711.BYTES_PER_MS

    # --- out -----------------------------------------------------------------------------------------

    def _carry_out(self, commands: list[cmd.Command]) -> None:
        for command in commands:
            match command:
                case cmd.AppendAudio():
                    if self._in_use is not None:
                        self._in_use.carry_out(command)
                case cmd.PlayAudio():
                    self._phone.play(command.payload)
                    self._played_chars += len(command.payload)
                case cmd.SendMark():
                    self._phone.mark(command.name)
                case cmd.StoreTurn():
                    self._writer.turn(command)
                case cmd.Journal():
                    self._writer.line(command)
                    if command.type in _DESK:
                        self._on_desk(command)
                case _:
                    self._carry_out_rare(command)

    def _carry_out_rare(  # noqa: PLR0912 - one branch a command
        self,
        command: cmd.OpenModel
        | cmd.UseModel
        | cmd.CloseModel
        | cmd.CommitAudio
        | cmd.CreateResponse
        | cmd.CancelResponse
        | cmd.TruncateItem
        | cmd.SendToolOutput
        | cmd.InsertText
        | cmd.ClearPlayback
        | cmd.PlayClip
        | cmd.PlayLine
        | cmd.StartRecording
        | cmd.StopRecording
        | cmd.CloseStream
        | cmd.HangUp
        | cmd.TransferCall
        | cmd.RunTool
        | cmd.Finish,
    ) -> None:
        match command:
            case (
                cmd.CommitAudio()
                | cmd.CreateResponse()
                | cmd.CancelResponse()
                | cmd.TruncateItem()
                | cmd.SendToolOutput()
                | cmd.InsertText()
            ):
                if self._in_use is not None:
                    self._in_use.carry_out(command)
            case cmd.ClearPlayback():
                self._latency.on_cleared(self._loop.time())
                self._phone.clear()
            case cmd.PlayClip() | cmd.PlayLine():
                self._play_ours(command)
            case cmd.StartRecording():
                self._effects.start_recording()
            case cmd.StopRecording():
                self._effects.stop_recording()
            case cmd.OpenModel():
                self._open_model(command)
            case cmd.UseModel():
                self._in_use = self._models.get(command.attempt)
            case cmd.CloseModel():
                self._close_model(command)
            case cmd.RunTool():
                self._effects.run_tool(command)
            case cmd.HangUp():
                self._effects.hang_up(command.reason)
            case cmd.TransferCall():
                self._effects.transfer(command.target)
            case cmd.CloseStream():
                self._close_stream(command.reason)
            case cmd.Finish():
                self._finish(command.reason)
            case _:
                assert_never(command)

    # --- an operator in the agent's place ------------------------------------------------------------

    def operator_voice(self, event: OperatorVoice) -> None:
        """What the machine was fed with: whoever talks is written down, too."""
        if self._words is not None and event.desk == self._desk:
            self._words.hear(event.payload)

    def _on_desk(self, line: cmd.Journal) -> None:
        if self._words is None:
            return
        if line.type == "operator.took_over":
            self._desk = str(line.data.get("desk", ""))
            self._words.begin()
        elif line.type == "operator.gave_back":
            self._desk = ""
            self._words.end()
        else:  # off the record: nothing more is stored, so nothing more is written down
            self._desk = ""
            self._words.close()

    def _play_ours(self, command: cmd.PlayClip | cmd.PlayLine) -> None:
        """A line of the call's own, in its language; the stock ones where it has none."""
        own = self._context.sounds
        if isinstance(command, cmd.PlayLine):
            sound = clips.from_ms(own[command.line], command.from_ms)
            lasts_s = len(sound) * 0.75 / g711.BYTES_PER_MS / 1000
            self._latency.on_line(self._loop.time(), self._clock.real_s(lasts_s))
        else:
            sound = own.get(command.clip) or clips.load()[command.clip].payload
        self._phone.play(sound)
        self._played_chars += len(sound)
        self._phone.mark(command.mark)

    def _finish(self, reason: str) -> None:
        if self.finished.done():
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._effects.stop()
        tally.audio.end(self)
        if self._words is not None:
            self._words.close()
        self._close_all("call over")
        self._writer.latency(self._latency.summary())
        self.finished.set_result(reason)

    # --- connections to the model --------------------------------------------------------------------

    def _open_model(self, command: cmd.OpenModel) -> None:
        attempt = command.attempt
        connection = self._provider.connection(attempt, self._on_model)
        self._models[attempt] = connection
        if not command.standby:
            self._in_use = connection
        self._opening[attempt] = self._loop.create_task(self._open(connection, command))

    async def _open(self, connection: ModelConnection, command: cmd.OpenModel) -> None:
        try:
            if command.after_s > 0:
                await self._clock.sleep(command.after_s)
            await connection.open(command.history)
        except ModelUnavailable as exc:
            lost = ModelLost(exc.code, exc.retryable, exc.detail, attempt=command.attempt)
            self._on_model(connection, lost)
        except Exception as exc:
            log.exception("opening the model failed", **self._fields())
            self._on_model(connection, ModelLost(type(exc).__name__, True, attempt=command.attempt))
        finally:
            self._opening.pop(command.attempt, None)

    def _on_model(self, connection: ModelConnection, event: ServerEvent) -> None:
        """An event of one connection, straight out of its socket's callback."""
        attempt = connection.attempt
        if self._models.get(attempt) is not connection:
            return  # closed by us: nothing more of it may reach the machine
        if isinstance(event, AudioDelta):
            if connection is self._in_use:
                delay_ms = self._latency.on_agent_audio(self._loop.time())
                if delay_ms is not None:
                    tally.turn_delay(delay_ms / 1000)
                self.feed(event)
            return
        if isinstance(event, ModelReady):
            self._on_ready(connection, event)
        elif isinstance(event, ModelLost):
            self._on_lost(connection, event)
        elif connection is not self._in_use:
            return  # a standby has nothing to say yet
        elif isinstance(event, ResponseDone):
            self._on_usage(attempt, event)
        elif isinstance(event, SpeechStopped):
            self._latency.on_caller_done(self._loop.time())
        self.feed(event)

    def _on_ready(self, connection: ModelConnection, event: ModelReady) -> None:
        attempt = connection.attempt
        self._latency.on_ready(self._loop.time())
        (tally.session_again if self._session_numbers else tally.first_session).inc()
        number = self._session_numbers.setdefault(attempt, self._next_session_number())
        self._writer.session(
            SessionChange(
                number,
                "open",
                timezone.now(),
                provider_session_id=event.session_id,
                model=self._context.voice.model,
            )
        )

    def _next_session_number(self) -> int:
        """The row that opening the stream made, then new ones."""
        if not self._session_numbers:
            return self._context.session_number
        return self._context.next_session_number + len(self._session_numbers) - 1

    def _on_lost(self, connection: ModelConnection, event: ModelLost) -> None:
        log.warning("model lost", code=event.code, retryable=event.retryable, **self._fields())
        tally.model_lost(event.code)
        self._drop(connection.attempt, event.code, status="failed")

    def _close_model(self, command: cmd.CloseModel) -> None:
        if command.attempt:
            self._drop(command.attempt, command.reason)
        else:
            self._close_all(command.reason)

    def _close_all(self, reason: str) -> None:
        for attempt in list(self._models):
            self._drop(attempt, reason)

    def _drop(self, attempt: int, reason: str, *, status: Any = "closed") -> None:
        connection = self._models.pop(attempt, None)
        if connection is None:
            return
        if self._in_use is connection:
            self._in_use = None
        opening = self._opening.pop(attempt, None)
        if opening is not None and opening is not asyncio.current_task(self._loop):
            opening.cancel()
        connection.close(reason)
        number = self._session_numbers.get(attempt)
        if number is None:
            if status == "closed" and reason == "call over":
                return  # gave up connecting because the call ended
            number = self._session_numbers.setdefault(attempt, self._next_session_number())
            status = "failed"
        self._writer.session(
            SessionChange(
                number,
                status,
                timezone.now(),
                reason=reason,
                model=self._context.voice.model,
                usage=self._usage.get(attempt, {}),
            )
        )

    def _on_usage(self, attempt: int, event: ResponseDone) -> None:
        if not event.usage:
            return
        add_usage(self._usage.setdefault(attempt, {}), event.usage)
        total: dict[str, Any] = {}
        for part in (self._context.usage, *self._usage.values()):
            add_usage(total, part)
        self._writer.usage(total)

    # --- the end -------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """The socket's task ends without `Finish`: free everything all the same."""
        if not self.finished.done():
            self.feed(StreamStopped(clean=False))
        if not self.finished.done():
            self._finish("media-lost")

    def _fields(self) -> dict[str, str]:
        return {"call_id": str(self._context.call_id), "workspace_id": str(self._context.workspace_id)}
