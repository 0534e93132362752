"""What a live call does to the world besides sound: tools, hang-up, transfer. Always in threads."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Literal, Protocol

import structlog

from tenex.errors import Conflict, TenexError
from tenex.lib.clock import Clock
from tenex.lib.phone import normalize_or_none
from voice.bridge import tally, threads
from voice.services import live_store
from voice.services.live import CallContext
from voice.session.commands import RunTool
from voice.session.events import OwnEvent, ToolFinished, TransferFailed

log = structlog.get_logger(__name__)

_HANG_UP_TRIES = 3
_RECORDING_TRIES = 4
_GIVE_UP_S = 2.0
"""Longest wait for the row of a tool run that is given up."""


class ToolResult(Protocol):
    """What a tool run answers (`voice.tools.registry.ToolResult`)."""

    @property
    def output_json(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def effect(self) -> Literal["none", "end_call", "transfer", "opt_out", "off_record"]: ...
    @property
    def effect_data(self) -> dict[str, Any]: ...


class ToolBox(Protocol):
    """The tools an agent may use in a call (`voice.tools.registry`). All are called in threads.

    `time_out` gives a run up: what it did is undone, or, if it was done just in time, its result is given.
    """

    def definitions(self, names: tuple[str, ...]) -> list[dict[str, Any]]: ...
    def run(self, call_id: Any, tool_call_id: str, name: str, arguments_json: str) -> ToolResult: ...
    def time_out(self, call_id: Any, tool_call_id: str) -> ToolResult: ...


class CallControl(Protocol):
    """What the carrier does to a call when we ask it to. All block; all raise `TenexError`."""

    def hang_up(self, context: CallContext, reason: str) -> None: ...
    def transfer(self, context: CallContext, number: str) -> None: ...
    def start_recording(self, context: CallContext) -> None: ...
    def stop_recording(self, context: CallContext) -> None: ...


class RegistryTools:
    """The real tools. Imported late: they bring the CRM with them."""

    def definitions(self, names: tuple[str, ...]) -> list[dict[str, Any]]:
        from voice.tools import knowledge, registry

        if "search_knowledge" in names:
            knowledge.warm()
        return list(registry.definitions(names))

    def run(self, call_id: Any, tool_call_id: str, name: str, arguments_json: str) -> ToolResult:
        from voice.tools import registry

        return registry.run(call_id, tool_call_id, name, arguments_json)

    def time_out(self, call_id: Any, tool_call_id: str) -> ToolResult:
        from voice.tools import registry

        return registry.time_out(call_id, tool_call_id)


class TwilioControl:
    """Through Twilio's REST API, with the credentials of the account that has the call."""

    def hang_up(self, context: CallContext, reason: str) -> None:
        from voice.telephony.client import Carrier

        live_store.hint_end(context, reason)
        Carrier(context.account).hang_up(context.call_sid)

    def transfer(self, context: CallContext, number: str) -> None:
        from voice.telephony import addresses, twiml
        from voice.telephony.client import Carrier

        live_store.note_transfer(context, number)
        target = twiml.DialTarget(
            number=number,
            action_url=addresses.after_dial(context.call_id),
            caller_id=context.number,
        )
        try:
            Carrier(context.account).update_twiml(context.call_sid, twiml.transfer(target))
        except TenexError:
            live_store.transfer_failed(context)
            raise

    def start_recording(self, context: CallContext) -> None:
        from voice.telephony import addresses
        from voice.telephony.client import Carrier

        Carrier(context.account).start_recording(context.call_sid, addresses.recording(context.call_id))

    def stop_recording(self, context: CallContext) -> None:
        from voice.telephony.client import Carrier
        from voice.telephony.errors import CarrierGone

        try:
            Carrier(context.account).stop_recording(context.call_sid)
        except CarrierGone:
            log.debug("nothing was being recorded", call_id=str(context.call_id))


class SocketControl:
    """Of a call without a carrier: its socket is all there is, so hanging up is closing that."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hang_up: Callable[[str], None]) -> None:
        self._loop = loop
        self._hang_up = hang_up

    def hang_up(self, context: CallContext, reason: str) -> None:
        live_store.hint_end(context, reason)
        self._loop.call_soon_threadsafe(self._hang_up, reason)

    def transfer(self, context: CallContext, number: str) -> None:
        raise Conflict("this call has no phone line that could be connected", code="no_phone_line")

    def start_recording(self, context: CallContext) -> None:
        """Nobody records these calls: whoever has the socket has the sound."""

    def stop_recording(self, context: CallContext) -> None:
        """Nothing to stop."""


class Effects:
    """Of one call. Results come back as events on the loop; after :meth:`stop` none do."""

    def __init__(
        self,
        context: CallContext,
        clock: Clock,
        feed: Callable[[OwnEvent], None],
        *,
        tools: ToolBox,
        control: CallControl,
    ) -> None:
        self._context = context
        self._clock = clock
        self._feed = feed
        self._tools = tools
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._deadlines: dict[str, asyncio.TimerHandle] = {}
        """Tool runs that nobody has answered yet."""
        self._began_at: dict[str, float] = {}
        """When they began, by the loop's clock."""
        self._stopped = False
        self._records: Literal["", "starting", "on", "stopped"] = ""
        self.late_results = 0

    def run_tool(self, command: RunTool) -> None:
        """Run it in a thread. Whatever happens, one `ToolFinished` follows: the result, or its deadline."""
        context, call_id = self._context, command.call_id
        self._began_at[call_id] = self._loop.time()

        def work() -> ToolResult:
            return self._tools.run(context.call_id, call_id, command.name, command.arguments)

        self._deadlines[call_id] = self._loop.call_later(
            self._clock.real_s(command.deadline_s), self._on_deadline, command
        )
        try:
            threads.run(
                self._loop, f"tool-{command.name[:20]}", work, lambda done: self._on_tool(command, done)
            )
        except threads.TooBusy as exc:
            self._on_tool(command, exc)

    def _on_tool(self, command: RunTool, done: ToolResult | BaseException) -> None:
        deadline = self._deadlines.pop(command.call_id, None)
        if deadline is None or self._stopped:
            self.late_results += 1
            return
        deadline.cancel()
        self._count(command, done)
        if isinstance(done, BaseException):
            log.error("tool raised", tool=command.name, error=type(done).__name__, **self._fields())
            self._feed(ToolFinished(command.call_id, _error("internal_error", "The tool failed."), ok=False))
            return
        self._feed(
            ToolFinished(command.call_id, done.output_json, done.ok, done.effect, dict(done.effect_data))
        )

    def _count(self, command: RunTool, done: ToolResult | BaseException | None) -> None:
        """Once a run; None: it had to be given up."""
        began_at = self._began_at.pop(command.call_id, None)
        if began_at is None:
            return
        if done is None:
            failure = "timeout"
        elif isinstance(done, BaseException):
            failure = "raised"
        else:
            failure = "" if done.ok else "failed"
        tally.tool_run(command.name, self._loop.time() - began_at, failure)

    def _on_deadline(self, command: RunTool) -> None:
        """Give the run up in its row first, so that what the agent says about it is what is true."""
        if self._deadlines.pop(command.call_id, None) is None or self._stopped:
            return
        self._count(command, None)
        log.warning("tool ran out of time", tool=command.name, **self._fields())
        self._deadlines[command.call_id] = self._loop.call_later(
            self._clock.real_s(_GIVE_UP_S), self._unanswered, command
        )

        def work() -> ToolResult:
            return self._tools.time_out(self._context.call_id, command.call_id)

        try:
            threads.run(self._loop, "tool-timeout", work, lambda done: self._on_tool(command, done))
        except threads.TooBusy:
            self._unanswered(command)

    def _unanswered(self, command: RunTool) -> None:
        """Not even the row could be had."""
        deadline = self._deadlines.pop(command.call_id, None)
        if deadline is None or self._stopped:
            return
        deadline.cancel()
        output = _error("timeout", "The tool took too long. Go on without it, do not claim that it worked.")
        self._feed(ToolFinished(command.call_id, output, ok=False))

    def hang_up(self, reason: str) -> None:
        """Ask the carrier to end the call. If that fails for good, the machine closes the stream instead."""
        self._try_hang_up(reason, 1)

    def _try_hang_up(self, reason: str, attempt: int) -> None:
        def done(result: BaseException | None) -> None:
            if not isinstance(result, BaseException):
                return
            # Also when nobody knows whether it happened: to hang up twice does no harm.
            retryable = isinstance(result, TenexError) and (result.retryable or result.status >= 500)
            log.warning("hang-up failed", error=_code(result), attempt=attempt, **self._fields())
            if retryable and attempt < _HANG_UP_TRIES and not self._stopped:
                wait_s = self._clock.real_s(0.5 * attempt)
                self._loop.call_later(wait_s, self._try_hang_up, reason, attempt + 1)

        self._in_thread("hang-up", lambda: self._control.hang_up(self._context, reason), done)

    def transfer(self, target: dict[str, Any]) -> None:
        """Ask the carrier to connect the caller to a person: the number given, or the workspace's own."""
        number = normalize_or_none(str(target.get("number") or self._context.transfer_number))
        if number is None:
            self._loop.call_soon(self._transfer_failed, "no_number")
            return

        def done(result: BaseException | None) -> None:
            if isinstance(result, BaseException):
                log.warning("transfer failed", error=_code(result), **self._fields())
                self._transfer_failed(_code(result))

        self._in_thread("transfer", lambda: self._control.transfer(self._context, number), done)

    def _transfer_failed(self, code: str) -> None:
        if not self._stopped:
            self._feed(TransferFailed(code))

    def start_recording(self) -> None:
        """From now on. If it cannot be had the call goes on without: it is the notice that must not lie."""
        self._records = "starting"
        self._try_recording("start", 1)

    def stop_recording(self) -> None:
        """For good. A start that is still under way is awaited, so that it is not what happens last."""
        under_way, self._records = self._records == "starting", "stopped"
        if not under_way:
            self._try_recording("stop", 1)

    def _try_recording(self, what: Literal["start", "stop"], attempt: int) -> None:
        control = self._control

        def work() -> None:
            (control.start_recording if what == "start" else control.stop_recording)(self._context)

        def done(result: BaseException | None) -> None:
            if what == "start" and self._records == "stopped":
                self._try_recording("stop", 1)
                return
            if not isinstance(result, BaseException):
                self._records = "on" if what == "start" else "stopped"
                return
            log.warning(
                "recording not changed", what=what, error=_code(result), attempt=attempt, **self._fields()
            )
            again = isinstance(result, TenexError) and (result.retryable or result.status >= 500)
            if again and attempt < _RECORDING_TRIES and (what == "stop" or not self._stopped):
                wait_s = self._clock.real_s(0.3 * attempt)
                self._loop.call_later(wait_s, self._try_recording, what, attempt + 1)

        self._in_thread(f"recording-{what}", work, done)

    def _in_thread(
        self, name: str, work: Callable[[], None], done: Callable[[BaseException | None], None]
    ) -> None:
        try:
            threads.run(self._loop, name, work, done)
        except threads.TooBusy as exc:
            self._loop.call_soon(done, exc)

    def _fields(self) -> dict[str, str]:
        return {"call_id": str(self._context.call_id), "workspace_id": str(self._context.workspace_id)}

    def stop(self) -> None:
        """The live part is over: results that come now are only counted."""
        self._stopped = True
        for deadline in self._deadlines.values():
            deadline.cancel()


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, TenexError) else type(error).__name__


def _error(code: str, message: str) -> str:
    return json.dumps({"error": {"code": code, "message": message}})
