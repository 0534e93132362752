"""I3: who says stop is written down before our goodbye ends, and is not dialed again by anything.

By word (the model hears it and talks on), by key, by key with the model dead, by the model's own tool, by
API, and by calling us. Every number has a queued call, a claimed one and a ringing one at that moment: the
carrier is asked to dial none of them, and the one that rings is to be hung up.
"""

import asyncio
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.prove.live_mind import PlainMind
from tests.prove.live_phone import Phone
from tests.prove.live_system import LiveSystem, main, percentile, run_live, until
from voice.rehearsal.model.steps import Cue, Say, Step, UseTool

if TYPE_CHECKING:
    from voice.models import Call

_SCALE = 2.0
KINDS = ("word", "key", "key, model dead", "tool", "api", "inbound")
_WORDS = (
    "Stop.",
    "Take me off your list.",
    "Please do not call me again.",
    "Unsubscribe.",
    "Stop calling me.",
)


@dataclass
class Trial:
    kind: str
    phone: Phone
    waiting: list[uuid.UUID] = field(default_factory=list)
    """Calls to the same number: queued, claimed, ringing."""
    problem: str = ""
    lead_s: float | None = None
    """How long before the end of the goodbye it was written down."""


class _Mind(PlainMind):
    def hear(self, speech_ms: float | None) -> str | None:
        super().hear(speech_ms)
        if _kind_of(self.remote) == "inbound":
            return "Please stop calling me, all of you."
        return _WORDS[int(self.remote[-4:]) // len(KINDS) % len(_WORDS)]


def _kind_of(remote: str) -> str:
    return KINDS[int(remote[-4:]) % len(KINDS)]


def _script(mind: PlainMind, cue: Cue) -> list[Step]:
    if _kind_of(mind.remote) == "tool" and mind.heard and mind.answers == 2:
        return [UseTool("note_opt_out", {"reason": "said so"})]
    return [Say("And that is why everybody should buy one of them, whatever you say.")]


def prove(full: bool) -> dict[str, Any]:
    rounds, at_once = (167, 30) if full else (3, 10)
    return run_live(
        lambda system: _body(system, rounds, at_once),
        scale=_SCALE,
        script=_script,
        mind=_Mind,
        settings={"LOG_LEVEL": "WARNING"},
        # What waits and rings beside each of them takes a line too.
        workspace={"legal_name": "Acme", "max_concurrent_calls": 4 * rounds * len(KINDS)},
    )


async def _body(system: LiveSystem, rounds: int, at_once: int) -> dict[str, Any]:
    trials: list[Trial] = []
    for number in range(rounds * len(KINDS)):
        remote = f"+1415{number:07d}"
        kind = _kind_of(remote)
        phone = system.phone(remote) if kind in {"inbound", "api"} else system.called(remote)
        trials.append(Trial(kind, phone))
    for kinds in (("word", "key", "tool", "inbound", "api"), ("key, model dead",)):
        chosen = [trial for trial in trials if trial.kind in kinds]
        for first in range(0, len(chosen), at_once):
            some = chosen[first : first + at_once]
            for trial in some:
                await system.rows(partial(_others, trial))
            await asyncio.gather(*(_one(system, trial) for trial in some))
    for trial in trials:
        trial.problem = trial.problem or await system.rows(lambda trial=trial: _dialed(trial))  # type: ignore[misc]
    broken = [trial for trial in trials if trial.problem]
    leads = [trial.lead_s * 1000 for trial in trials if trial.lead_s is not None]
    return {
        "trials": len(trials),
        "violations": len(broken),
        "p50": percentile(leads, 0.5),
        "least_ms_before_the_end_of_the_goodbye": min(leads, default=0.0),
        "later_dials_refused": 3 * len(trials),
        "problems": sorted({f"{trial.kind}: {trial.problem}" for trial in broken})[:8],
    }


async def _one(system: LiveSystem, trial: Trial) -> None:
    phone, kind = trial.phone, trial.kind
    if kind == "api":
        await system.rows(lambda: _by_api(phone.remote))
        return
    if kind == "key, model dead":
        from voice.rehearsal.model.faults import Armed, Fault

        system.model.faults.arm(Armed(Fault.UNAUTHORIZED))
    system.ring(phone)
    await until(lambda: bool(phone.sounds), 15)
    if kind.startswith("key"):
        await asyncio.sleep(1.0 / _SCALE)
        await _press(phone, "9")
        await _press(phone, "#")
    else:
        await until(lambda: any(sound.what == "agent" for sound in phone.sounds), 30)
        await asyncio.sleep(0.3)
        phone.speak(0.7)
    if not await until(lambda: bool(phone.ended_at), 30):
        trial.problem = "the call was not ended"
        await phone.end("caller")
        return
    trial.problem = await system.rows(lambda: _in_time(trial))
    said = [sound.what for sound in phone.sounds].count("opted_out")
    if kind != "tool" and said != 1:
        trial.problem = trial.problem or f"confirmed {said} times"


async def _press(phone: Phone, digit: str) -> None:
    dtmf = {"track": "inbound_track", "digit": digit}
    await phone._send(event="dtmf", sequenceNumber="7", streamSid=phone._stream_sid, dtmf=dtmf)


def _others(trial: Trial) -> None:
    """The same number, waiting in three places."""
    from django.utils import timezone

    from voice.models import Call, CallStatus, Direction, PhoneNumber
    from voice.services import attempts

    number = PhoneNumber.objects.select_related("agent").get()
    for status in ("queued", "claimed", "ringing"):
        call = Call.objects.create(
            workspace_id=number.workspace_id,
            direction=Direction.OUTBOUND,
            status=CallStatus.RINGING if status == "ringing" else CallStatus.QUEUED,
            from_number=number.e164,
            to_number=trial.phone.remote,
            number=number,
            agent_version=number.agent.current_version if number.agent else None,
            provider_sid=f"CA{uuid.uuid4().hex}" if status == "ringing" else None,
            placed_at=timezone.now() if status == "ringing" else None,
        )
        if status == "claimed":
            attempts.prepare(call.pk)
        trial.waiting.append(call.pk)


def _by_api(remote: str) -> None:
    """As the API's view does it, in this process."""
    from crm.models import SuppressionSource
    from crm.services import suppressions
    from tenex.workspaces.models import Workspace

    suppressions.add(Workspace.objects.get().pk, remote, source=SuppressionSource.API, reason="asked us to")


def _in_time(trial: Trial) -> str:
    """Written down before the goodbye was over?"""
    from crm.models import Suppression
    from crm.services import suppressions

    row = Suppression.objects.filter(phone_hash=suppressions.digest(trial.phone.remote)).first()
    if row is None:
        return "not written down"
    goodbye = next((sound.ends for sound in trial.phone.sounds if sound.what == "opted_out"), None)
    ends_at = trial.phone.ended_at if goodbye is None else goodbye
    trial.lead_s = trial.phone.wall(ends_at) - row.created_at.timestamp()
    return "" if trial.lead_s > 0 else "written down after the goodbye"


class _Desk:
    """A carrier that only counts who was to be dialed."""

    def __init__(self) -> None:
        self.orders: list[Any] = []

    def place_call(self, order: Any, **options: Any) -> Any:
        self.orders.append(order)
        raise AssertionError("dialed")


def _dialed(trial: Trial) -> str:
    """Whether anything that waited is dialed all the same."""
    from voice.models import Call
    from voice.services import attempts

    desk: Any = _Desk()
    for call in Call.objects.filter(pk__in=trial.waiting).order_by("created_at"):
        if call.provider_sid:
            if not call.end_hint and call.end_reason is None:
                return "what rings goes on ringing"
            continue
        attempt = _attempt(call) or attempts.prepare(call.pk)
        if attempt is not None:
            attempts.dial(attempt.pk, desk)
    return "dialed again" if desk.orders else ""


def _attempt(call: "Call") -> Any:
    return call.attempts.filter(state="prepared").first()


if __name__ == "__main__":
    main("I3", prove)
