"""A7: every call that is over has a reason of the closed list, and it is that of what was done to the call.

The carrier's side: each way in which a dial can end, with callbacks and without. Beside it live calls on real
sockets: who hangs up, who is silent, a stream without frames, a model that is not there, a transfer that
somebody or nobody takes. What was done is compared with the reason on the row.
"""

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.prove.dial_rig import PROJECT, Rig, rig
from tests.prove.dial_rig import main as dial_main
from tests.prove.fake_carrier import FakeCarrier, Faults
from tests.prove.live_mind import PlainMind, as_json
from tests.prove.live_system import LiveSystem, run_live, until

if TYPE_CHECKING:
    from tests.prove.live_phone import Phone
    from voice.models import Batch
    from voice.rehearsal.model.steps import Cue, Step

_AGREES = 0.99
_DIALED = {
    "0": ("completed", "caller-hangup"),
    "1": ("busy", "busy"),
    "2": ("no-answer", "no-answer"),
    "3": ("failed", "carrier-failed"),
    "4": ("failed 404", "rejected"),
    "5": ("failed 486", "busy"),
    "6": ("failed 480", "no-answer"),
    "7": ("completed", "caller-hangup"),
}
"""By the number's last digit: what the carrier does, and the reason. 8 is refused at once, 9 is lost."""
_SCALE = 1.25
_MAX_S, _REPROMPT_S = 30, 3
_LIVE = {
    "caller hangs up": "caller-hangup",
    "silent": "silence",
    "talks": "max-duration",
    "no frames": "media-lost",
    "agent ends": "agent-hangup",
    "operator ends": "operator-hangup",
    "person answers": "transferred",
    "nobody answers": "caller-hangup",
    "no model": "model-unavailable",
}


def prove(full: bool) -> dict[str, Any]:
    """The live half in a process of its own: two systems do not fit into one."""
    leads = 1000 if full else 32
    live = subprocess.Popen(
        [sys.executable, "-m", "tests.prove.a7_reasons", "--live", *(["--full"] if full else [])],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    agreed = _dials(leads)
    output, _ = live.communicate(timeout=3000 if full else 250)
    agreed += eval_line(output)
    wrong = {key: count for key, count in agreed.items() if not key.startswith("as expected")}
    trials = sum(agreed.values())
    share = 1 - sum(wrong.values()) / trials
    return {
        "trials": trials,
        "violations": sum(wrong.values())
        if share < _AGREES or any("no reason" in key for key in wrong)
        else 0,
        "agree": round(share, 4),
        "wrong": wrong,
    }


def eval_line(output: str) -> Counter[str]:
    """What the live half counted."""
    import json

    lines = [line for line in output.splitlines() if line.startswith("{")]
    return Counter(json.loads(lines[-1])) if lines else Counter({"live half: no reason at all": 1})


# --- the carrier's side ---------------------------------------------------------------------------


def _dials(leads: int) -> Counter[str]:
    seed = random.randrange(2**32)
    faults = Faults(muted=0.2, callback_copies=2, callback_spread_s=0.2)
    carrier = FakeCarrier(
        faults=faults,
        outcome=lambda to: _DIALED.get(to[-1], ("no-answer", ""))[0],
        invalid=lambda to: to.endswith("8"),
        lost=lambda to: to.endswith("9"),
        seed=seed,
    )
    with rig(carrier) as world:
        world.processes.spawn("web")
        for _ in range(2):
            world.processes.spawn()
        batch = world.batch(leads, calls_per_second=30, lines=60)
        world.wait_completed(batch)
        return _compare(world, batch)


def _compare(world: Rig, batch: "Batch") -> Counter[str]:
    from voice.models import Call

    found: Counter[str] = Counter()
    muted = {call.sid for call in world.carrier.calls.values() if call.muted}
    for call in Call.objects.filter(batch=batch):
        digit = call.to_number[-1]
        expected = {"8": "rejected", "9": "not-placed"}.get(digit) or _DIALED[digit][1]
        if call.provider_sid in muted and expected == "rejected":
            expected = "carrier-failed"  # only its callback has the network's code
        elif call.provider_sid in muted and _DIALED.get(digit, ("",))[0].startswith("failed"):
            expected = "carrier-failed"
        found[_verdict(f"{digit}", expected, call.end_reason)] += 1
    return found


def _verdict(what: str, expected: str, reason: str | None) -> str:
    if not reason:
        return f"{what}: no reason at all"
    return "as expected" if reason == expected else f"{what}: {reason}, not {expected}"


# --- live calls -----------------------------------------------------------------------------------


def _script(mind: PlainMind, cue: "Cue") -> "list[Step]":
    from voice.rehearsal.model.steps import Say, UseTool

    kind = list(_LIVE)[int(mind.remote[-4:]) % len(_LIVE)]
    if cue.purpose is None and mind.heard and not getattr(mind, "used", False):
        tool = {"agent ends": "end_call", "person answers": "transfer_to_human"}.get(kind)
        tool = tool or ("transfer_to_human" if kind == "nobody answers" else None)
        if tool:
            mind.used = True  # type: ignore[attr-defined]
            return [UseTool(tool, as_json({"reason": "asked for it"}))]
    return [Say("This is what I say, and that is it.")]


def live(full: bool) -> Counter[str]:
    count = (20 if full else 1) * len(_LIVE)
    found: Counter[str] = run_live(  # type: ignore[assignment]
        lambda system: _body(system, count),
        scale=_SCALE,
        worker=True,
        script=_script,
        settings={"LOG_LEVEL": "WARNING", "CALL_LEASE_S": "5"},
        profile={"max_duration_s": _MAX_S, "silence_reprompt_s": _REPROMPT_S},
        tools=("end_call", "transfer_to_human"),
    )
    return found


async def _body(system: LiveSystem, count: int) -> Counter[str]:
    from tenex.workspaces.models import Workspace

    await system.rows(lambda: Workspace.objects.update(transfer_number="+14155550177"))
    kinds = [(list(_LIVE)[number % len(_LIVE)], number) for number in range(count)]
    phones: list[tuple[str, Phone]] = []

    async def one(kind: str, number: int) -> None:
        await asyncio.sleep(number % 20 * 0.4)
        phone = system.phone(f"+1415{number:07d}")
        phones.append((kind, phone))
        await _live(system, kind, phone)

    calm = [pair for pair in kinds if pair[0] != "no model"]
    for first in range(0, len(calm), 20):
        await asyncio.gather(*(one(*pair) for pair in calm[first : first + 20]))
    for kind, number in kinds:  # by itself: the fault strikes whoever connects next
        if kind == "no model":
            await one(kind, number)
    found: Counter[str] = Counter()
    for kind, phone in phones:
        await until_ended(system, phone)
        call = await system.call_of(phone)
        found[_verdict(kind, _LIVE[kind], call.end_reason)] += 1
    return found


async def until_ended(system: LiveSystem, phone: "Phone") -> None:
    deadline = asyncio.get_running_loop().time() + 60
    while asyncio.get_running_loop().time() < deadline:
        if (await system.call_of(phone)).end_reason:
            return
        await asyncio.sleep(0.3)


async def _live(system: LiveSystem, kind: str, phone: "Phone") -> None:
    from voice.rehearsal.model.faults import Armed, Fault
    from voice.services import operator

    phone.frame_s = 0.1
    phone.person = "completed" if kind == "person answers" else "no-answer"
    if kind == "no model":
        system.model.faults.arm(Armed(Fault.UNAUTHORIZED), times=5)
    system.ring(phone)
    await until(lambda: any(sound.what == "agent" for sound in phone.sounds) or bool(phone.ended_at), 30)
    match kind:
        case "caller hangs up":
            await phone.end("caller")
        case "no frames":
            phone.mute = True
        case "operator ends":
            call = await system.call_of(phone)
            await system.rows(lambda: operator.hang_up(call, actor="system:prove"))
        case "agent ends" | "person answers" | "nobody answers":
            await until(lambda: not phone.sounding, 20)
            phone.speak(0.8)
        case _:
            pass
    if kind == "nobody answers":
        await until(lambda: phone.streams == 2 or bool(phone.ended_at), 30)
        await asyncio.sleep(1)
        await phone.end("caller")
    deadline = asyncio.get_running_loop().time() + 3 * _MAX_S / _SCALE
    while not phone.ended_at and asyncio.get_running_loop().time() < deadline:
        if kind == "talks" and not phone.sounding:
            phone.speak(0.8)
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    if "--live" in sys.argv:
        import json

        print(json.dumps(live("--full" in sys.argv)), flush=True)
    else:
        dial_main("A7", prove)
