"""Tool calls of a call (rule 5): each runs once, is answered once, and in time."""

from dataclasses import dataclass, field
from typing import Final

import orjson

GRACE_S: Final = 0.25
"""The runner's own deadline comes first, if it works: its answer says more."""
_FLOOD: Final = 200
"""Calls beyond the bound that are still answered (with an error); more are only counted."""


@dataclass(slots=True)
class Run:
    call_id: str
    name: str
    started_at: float
    deadline_at: float
    attempt: int
    """The model connection that asked; another one does not know this call id."""
    group: str
    """Id of the response that made the call; empty for calls that no model made."""
    arguments: str = "{}"
    """Of a run that no model asked for, and that may be tried again."""
    tries: int = 1
    filler: bool = False
    """Its filler line was said, or is not needed any more."""


@dataclass(slots=True)
class _Group:
    """All calls of one response: one `response.create` follows when all are answered."""

    open: set[str] = field(default_factory=set)
    response_done: bool = False


class Tools:
    def __init__(self, *, max_calls: int) -> None:
        self._max_calls = max_calls
        self._seen: set[str] = set()
        self.running: dict[str, Run] = {}
        self._groups: dict[str, _Group] = {}

    def admit(self, call_id: str) -> str:
        """`run`, `refuse` (too many: answer with an error), `repeated` or `flood` (not answered at all)."""
        if call_id in self._seen:
            return "repeated"
        if len(self._seen) >= self._max_calls + _FLOOD:
            return "flood"
        self._seen.add(call_id)
        return "run" if len(self._seen) <= self._max_calls else "refuse"

    def own_id(self, prefix: str) -> str:
        """An id for a run of ours, which no call of the model may take from now on."""
        number = 1
        while f"{prefix}-{number}" in self._seen:
            number += 1
        self._seen.add(f"{prefix}-{number}")
        return f"{prefix}-{number}"

    def knows(self, call_id: str) -> bool:
        return call_id in self._seen

    def start(self, run: Run, *, response_over: bool) -> None:
        """`response_over`: no `response.done` of the calling response is to be expected any more."""
        self.running[run.call_id] = run
        if run.group:
            self._group(run.group, response_over=response_over).open.add(run.call_id)

    def note_answered(self, group_id: str, *, response_over: bool) -> None:
        """A call of this response was answered without running."""
        self._group(group_id, response_over=response_over)

    def _group(self, group_id: str, *, response_over: bool) -> _Group:
        group = self._groups.setdefault(group_id, _Group())
        group.response_done = group.response_done or response_over
        return group

    def finish(self, call_id: str) -> Run | None:
        """The run that ends now; None if it was answered before, or never asked for."""
        run = self.running.pop(call_id, None)
        if run is not None and run.group in self._groups:
            self._groups[run.group].open.discard(call_id)
        return run

    def response_done(self, response_id: str) -> None:
        group = self._groups.get(response_id)
        if group is not None:
            group.response_done = True

    def take_answered(self) -> bool:
        """Whether a response's calls are now all answered and the response is over (told once each)."""
        done = [key for key, group in self._groups.items() if group.response_done and not group.open]
        for key in done:
            del self._groups[key]
        return bool(done)

    def connection_lost(self) -> None:
        """No more `response.done` will come for what was going on."""
        self._groups.clear()

    def expired(self, now: float) -> list[Run]:
        return [run for run in self.running.values() if now >= run.deadline_at]

    def next_deadline(self) -> float | None:
        return min((run.deadline_at for run in self.running.values()), default=None)


def clip_output(output: str, limit_bytes: int) -> str:
    """`output`, or a JSON object with its beginning if it is longer than `limit_bytes` of UTF-8."""
    raw = output.encode("utf-8", "replace")
    if len(raw) <= limit_bytes:
        return output
    # escaping can at most double plain text here; what is left over is cut once more below
    room = max(0, limit_bytes - 40)
    while True:
        head = raw[:room].decode("utf-8", "ignore")
        text = orjson.dumps({"truncated": True, "beginning": head}).decode()
        if len(text.encode()) <= limit_bytes or room == 0:
            return text
        room //= 2


def error_output(code: str, message: str) -> str:
    """The JSON text that tells the model why there is no result."""
    return orjson.dumps({"error": {"code": code, "message": message}}).decode()
