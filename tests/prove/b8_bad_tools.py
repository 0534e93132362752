"""B8: a tool that hangs, raises, is slow or returns 1 MiB: the call talks on.

The model has its answer within the deadline of 8 s, no longer than 8 KiB; a result that comes after it is
undone, so that the model's second try is the only one that counts.
"""

import asyncio
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.prove.live_mind import PlainMind, as_json
from tests.prove.live_system import LiveSystem, main, percentile, run_live, until
from voice.rehearsal.model.steps import Cue, Say, Step, UseTool

if TYPE_CHECKING:
    from tests.prove.live_phone import Phone

_AT_ONCE = 20
_DEADLINE_S = 8.0
_SLACK_S = 1.0
"""Two sockets and a thread under a busy machine."""
_OUTPUT_BYTES = 8192
KINDS = {
    "hangs": "list_free_slots",
    "raises": "lookup_lead",
    "huge": "search_knowledge",
    "slow": "update_lead",
}
NOTE = "wants the blue one"


@dataclass
class Trial:
    kind: str
    phone: "Phone"
    answered_s: float | None = None
    bytes: int = 0
    talks_on: bool = False
    applied: int = 0


_asked_at: dict[str, float] = {}
_answered_at: dict[str, float] = {}


class _Mind(PlainMind):
    def tool_result(self, name: str, output: str) -> None:
        super().tool_result(name, output)
        _answered_at.setdefault(self.remote, asyncio.get_running_loop().time())


def _script(mind: PlainMind, cue: Cue) -> list[Step]:
    """The tool at the caller's first turn; once more, with the same arguments, if it was slow."""
    kind = list(KINDS)[int(mind.remote[-4:]) % len(KINDS)]
    tries = 2 if kind == "slow" else 1
    calls: int = getattr(mind, "calls", 0)
    wanted = cue.purpose is None and mind.heard and not calls
    again = cue.purpose == "tool" and calls < tries
    if wanted or again:
        mind.calls = calls + 1  # type: ignore[attr-defined]
        _asked_at.setdefault(mind.remote, asyncio.get_running_loop().time())
        arguments: dict[str, Any] = as_json({"query": "prices"}) if kind == "huge" else {}
        if kind == "slow":
            arguments = {"fields": {"note": NOTE}}
        return [UseTool(KINDS[kind], arguments)]
    return [Say("This is what I have to say about it.")]


def prove(full: bool) -> dict[str, Any]:
    count = 200 if full else 12
    return run_live(
        lambda system: _body(system, count),
        script=_script,
        mind=_Mind,
        server_module="tests.prove.live_server_bad_tools",
        tools=tuple(KINDS.values()),
        settings={"LOG_LEVEL": "WARNING"},
    )


async def _body(system: LiveSystem, count: int) -> dict[str, Any]:
    trials: list[Trial] = []
    for first in range(0, count, _AT_ONCE):
        numbers = range(first, min(count, first + _AT_ONCE))
        wave = [Trial(list(KINDS)[n % len(KINDS)], system.phone(f"+1415555{n:04d}")) for n in numbers]
        await asyncio.gather(*(_call(system, trial) for trial in wave))
        trials += wave
    late = [t for t in trials if t.answered_s is None or t.answered_s > _DEADLINE_S + _SLACK_S]
    mute = [trial for trial in trials if not trial.talks_on]
    big = [trial for trial in trials if trial.bytes > _OUTPUT_BYTES]
    wrong = [trial for trial in trials if trial.kind == "slow" and trial.applied != 1]
    answered = [trial.answered_s for trial in trials if trial.answered_s is not None]
    for trial in {*map(id, [*late, *mute, *big, *wrong])}:
        print(next(one for one in trials if id(one) == trial), file=sys.stderr)
    # "raises" is logged by the registry with its traceback: that is its way of telling us.
    errors = [line for line in system.server_errors() if '"tool failed"' not in line]
    return {
        "trials": len(trials),
        "violations": len(late) + len(mute) + len(big) + len(wrong) + len(errors),
        "answered_late": len(late),
        "not_talking_on": len(mute),
        "not_clipped": len(big),
        "not_applied_once": len(wrong),
        "errors_logged": len(errors),
        "largest_output_bytes": max((trial.bytes for trial in trials), default=0),
        "p50": percentile(answered, 0.5) * 1000,
        "p99": percentile(answered, 0.99) * 1000,
        "first_error": errors[0][:300] if errors else "",
    }


async def _call(system: LiveSystem, trial: Trial) -> None:
    phone = trial.phone
    await asyncio.sleep(int(phone.remote[-4:]) % _AT_ONCE * 0.1)
    system.ring(phone)
    await until(lambda: bool(phone.sounds) and not phone.sounding, 25)
    phone.speak(0.8)
    outputs = 2 if trial.kind == "slow" else 1
    await until(lambda: len(_outputs(system, phone)) >= outputs, 30)
    asked, answered = _asked_at.get(phone.remote), _answered_at.get(phone.remote)
    trial.answered_s = None if asked is None or answered is None else answered - asked
    trial.bytes = max((len(output.encode()) for output in _outputs(system, phone)), default=0)
    trial.talks_on = await _talks(phone)
    if trial.talks_on:  # and it answers the next turn
        await until(lambda: not phone.sounding, 10)
        phone.speak(0.8)
        trial.talks_on = await _talks(phone)
    if trial.kind == "slow":
        await asyncio.sleep(3)  # the first run ends about now
        trial.applied = await system.rows(lambda: _notes(phone.sid))
    await phone.end("caller")


async def _talks(phone: "Phone") -> bool:
    since = max(asyncio.get_running_loop().time() - 0.05, phone.spoken_until)
    return await until(lambda: any(s.at >= since and s.what == "agent" for s in phone.sounds), 12)


def _outputs(system: LiveSystem, phone: "Phone") -> list[str]:
    return [
        output
        for session in system.sessions_of(phone)
        if isinstance(session.mind, PlainMind)
        for _, output in session.mind.outputs
    ]


def _notes(sid: str) -> int:
    """How often the note is on the caller's lead."""
    from crm.models import TimelineEntry
    from voice.models import Call

    call = Call.objects.get(provider_sid=sid)
    return TimelineEntry.objects.filter(lead=call.lead, type="note", data__text=NOTE).count()


if __name__ == "__main__":
    main("B8", prove)
