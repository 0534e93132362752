"""A tiny language for conversations with the machine: one line says what happens and when."""

import itertools
from collections.abc import Sequence
from typing import Any, TypeVar

from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.limits import Limits
from voice.session.machine import CallSession
from voice.session.phases import Phase

T = TypeVar("T", bound=cmd.Command)
FRAME = "/v7+/v7+/v7+/v7+/v7+"


class Call:
    """A call under test. Time stands still unless told; every command is kept in `log`."""

    def __init__(self, limits: Limits | None = None, **options: Any) -> None:
        self.now = 100.0
        self.session = CallSession(limits or Limits(), self.now, **options)
        self.log: list[cmd.Command] = []
        self.last: list[cmd.Command] = []
        self._ids = itertools.count(1)
        self.response = ""
        self.item = ""
        self.previous: str | None = None
        """The last item of the conversation."""
        self.marks: list[str] = []
        """Sent and not returned, in this generation or an older one."""

    # --- driving ------------------------------------------------------------------------------

    def on(self, event: ev.SessionEvent) -> list[cmd.Command]:
        self.last = self.session.handle(event, self.now)
        self._keep(self.last)
        return self.last

    def _keep(self, commands: Sequence[cmd.Command]) -> None:
        self.log.extend(commands)
        for command in commands:
            if isinstance(command, cmd.SendMark):
                self.marks.append(command.name)
            elif isinstance(command, cmd.PlayClip | cmd.PlayLine):
                self.marks.append(command.mark)

    def wait(self, seconds: float) -> list[cmd.Command]:
        """Let time pass, firing every deadline on the way; all commands of that time."""
        end, got = self.now + seconds, []
        for _ in range(10_000):
            at = self.session.next_deadline()
            if at is None or at > end:
                break
            self.now = max(self.now, at)
            commands = self.session.handle_timer(self.now)
            got.extend(commands)
            self._keep(commands)
        else:
            raise AssertionError("a deadline repeats itself")
        self.now = end
        self.last = got
        return got

    # --- the phone ----------------------------------------------------------------------------

    def start(self) -> "Call":
        self.on(ev.StreamStarted("MZ1"))
        return self

    def talking(self, *, quiet: bool = True) -> "Call":
        """Stream and model are up. `quiet`: the greeting has been said and heard."""
        self.start()
        self.on(ev.ModelReady("sess_1", attempt=1))
        if quiet and self.sent(cmd.CreateResponse):
            self.says("Hello.", ms=500)
            self.played()
            self.last = []
        return self

    def frame(self, count: int = 1) -> "Call":
        for _ in range(count):
            self.wait(0.02)
            self.on(ev.CallerAudio(FRAME, 20))
        return self

    def mark(self, name: str | None = None) -> list[cmd.Command]:
        """The oldest mark (or this one) comes back."""
        if name is None:
            name = self.marks.pop(0)
        elif name in self.marks:
            self.marks.remove(name)
        return self.on(ev.MarkReturned(name))

    def played(self) -> list[cmd.Command]:
        """The caller listens to everything that was sent; all marks come back in time."""
        got = list(self.wait(max(0.0, self.session._live.playback.ends_at() - self.now)))
        while self.marks:
            got += self.mark()
        self.last = got
        return got

    def hangs_up(self, *, clean: bool = True) -> list[cmd.Command]:
        return self.on(ev.StreamStopped(clean))

    # --- the caller ---------------------------------------------------------------------------

    def speaks(self, item: str | None = None) -> list[cmd.Command]:
        item = item or f"user_{next(self._ids)}"
        self.user_item = item
        return self.on(ev.SpeechStarted(item, 0))

    def stops(self) -> list[cmd.Command]:
        got = self.on(ev.SpeechStopped(self.user_item, 0))
        got += self.on(ev.InputCommitted(self.user_item, self.previous))
        self.previous = self.user_item
        self.last = got
        return got

    def said(self, text: str, item: str | None = None) -> list[cmd.Command]:
        return self.on(ev.CallerTextDone(item or self.user_item, text))

    def turn(self, text: str) -> None:
        """The caller says something and finishes."""
        self.speaks()
        self.wait(1.0)
        self.stops()
        self.said(text)

    # --- the agent ----------------------------------------------------------------------------

    def created(self, response: str | None = None, *, server: bool = False) -> list[cmd.Command]:
        """A response begins: the one that was asked for last, or the server's own."""
        self.response = response or f"resp_{next(self._ids)}"
        asked = self.sent(cmd.CreateResponse)
        meta = {} if server or not asked else {"event_id": asked[-1].event_id, "purpose": asked[-1].purpose}
        return self.on(ev.ResponseCreated(self.response, meta))

    def audio(self, ms: float = 200, item: str | None = None, part: int = 0) -> list[cmd.Command]:
        if item is not None:
            self.item = item
        return self.on(ev.AudioDelta(self.response, self.item, part, "AAAA", ms))

    def done(self, status: str = "completed", **fields: Any) -> list[cmd.Command]:
        return self.on(ev.ResponseDone(self.response, status, **fields))

    def says(self, text: str, ms: float = 1000, *, server: bool = False, done: bool = True) -> str:
        """A whole spoken response; returns the item's id."""
        self.created(server=server)
        item = f"item_{next(self._ids)}"
        self.on(ev.ItemAdded(item, self.previous, "message", "assistant"))
        self.item = self.previous = item
        left = ms
        while left > 0:
            self.audio(min(200, left))
            left -= 200
        self.on(ev.AgentTextDone(self.response, item, 0, text))
        if done:
            self.on(ev.AudioDone(self.response, item, 0))
            self.done()
        return item

    def calls_tool(self, name: str = "lookup", call_id: str | None = None, args: str = "{}") -> str:
        call_id = call_id or f"call_{next(self._ids)}"
        self.on(ev.ToolCalled(self.response, f"fc_{call_id}", call_id, name, args))
        return call_id

    def tool_done(self, call_id: str, output: str = '{"ok":true}', **fields: Any) -> list[cmd.Command]:
        return self.on(ev.ToolFinished(call_id, output, **fields))

    # --- looking ------------------------------------------------------------------------------

    def sent(self, kind: type[T]) -> list[T]:
        """All commands of that kind so far."""
        return [c for c in self.log if isinstance(c, kind)]

    def now_sent(self, kind: type[T]) -> list[T]:
        """Commands of that kind from the last step."""
        return [c for c in self.last if isinstance(c, kind)]

    def journal(self, type_: str) -> list[dict[str, Any]]:
        return [c.data for c in self.log if isinstance(c, cmd.Journal) and c.type == type_]

    def turns(self) -> dict[str, cmd.StoreTurn]:
        """The newest revision of every stored turn."""
        return {c.item_id: c for c in self.log if isinstance(c, cmd.StoreTurn)}

    @property
    def phase(self) -> Phase:
        return self.session.phase

    @property
    def counters(self) -> dict[str, int]:
        return self.session.counters
