"""B1: the model's connection breaks in seven ways, at random instants, in twenty calls at once.

The caller hears our filler, then the agent again or a closing line; nothing that was said is lost; the call
completes once. Instants of faults and of sounds are of one clock: model and phones live in this process.
"""

import asyncio
import random
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.prove.live_system import LiveSystem, main, percentile, run_live, until

if TYPE_CHECKING:
    from tests.prove.live_phone import Phone, Sound
    from voice.rehearsal.model.session import RealtimeSession

WAYS = ("fin", "rst", "blackhole", "session_expired", "quota", "malformed", "trickle")
_AT_ONCE = 20
_FILLER_S = 0.25
_FILLER_BLACKHOLE_S = 3.0
_TALK_S = 8.0
_MALFORMED_FRAMES = 30
_CLOSING = ("apology", "goodbye", "say", "person")
_FILLERS = ("one_moment", *_CLOSING)


@dataclass
class Drop:
    """What came of one fault; seconds from the moment at which it could be noticed."""

    way: str
    phone: "Phone"
    filler_s: float | None = None
    talk_s: float | None = None
    struck: bool = False
    goes_on: bool = False
    noticed_at: float = 0.0
    items: set[str] = field(default_factory=set)
    """Committed turns of the caller that the application had been told of."""


def prove(full: bool) -> dict[str, Any]:
    rounds = 10 if full else 1
    settings = {"LOG_LEVEL": "WARNING"}
    return run_live(lambda system: _body(system, rounds), worker=True, settings=settings)


async def _body(system: LiveSystem, rounds: int) -> dict[str, Any]:
    rng = random.Random()
    drops: list[Drop] = []
    for number in range(rounds):
        ways = [WAYS[(number + place) % len(WAYS)] for place in range(_AT_ONCE)]
        made = [Drop(way, system.phone(f"+1415{number:03d}{place:04d}")) for place, way in enumerate(ways)]
        await asyncio.gather(*(_call(system, drop, rng) for drop in made))
        drops += made
    lost, completed_wrong = await _rows(system, drops)
    return _judge(system, drops, lost, completed_wrong)


async def _call(system: LiveSystem, drop: Drop, rng: random.Random) -> None:
    """One call from its ring to its end, with one fault in it."""
    phone = drop.phone
    await asyncio.sleep(rng.uniform(0, 2))
    system.ring(phone)
    await until(lambda: any(sound.what == "agent" for sound in phone.sounds), 20)
    chatter = asyncio.create_task(_chatter(phone, rng))
    await asyncio.sleep(rng.uniform(1, 9))
    session = next((found for found in system.sessions_of(phone)[::-1] if found.truth.open), None)
    if session is None or phone.ended_at:
        chatter.cancel()
        return
    drop.items = _committed(session)
    await asyncio.sleep(0.15)  # what was committed has been sent
    noticed_at = await _strike(session, drop, phone, chatter)
    if drop.struck:
        await _listen(drop, phone, noticed_at)
    chatter.cancel()
    await _one_more_turn(drop, phone)
    await phone.end("caller")


async def _chatter(phone: "Phone", rng: random.Random) -> None:
    """A caller who answers when the agent is through."""
    while not phone.ended_at:
        await asyncio.sleep(rng.uniform(0.3, 2.5))
        if not phone.sounding:
            phone.speak(0.8)
            await asyncio.sleep(2.5)


async def _strike(
    session: "RealtimeSession", drop: Drop, phone: "Phone", chatter: "asyncio.Task[None]"
) -> float:
    """Break the connection; when that could first be noticed."""
    from voice.rehearsal.model.faults import Armed, Fault, strike

    loop = asyncio.get_running_loop()
    before = loop.time()
    drop.struck = True
    match drop.way:
        case "fin":
            strike(session, Armed(Fault.DROP_FIN))
        case "rst":
            strike(session, Armed(Fault.DROP_RST))
        case "blackhole":
            strike(session, Armed(Fault.BLACKHOLE))
        case "session_expired":
            strike(session, Armed(Fault.SESSION_EXPIRED))
        case "malformed":
            for _ in range(_MALFORMED_FRAMES):
                strike(session, Armed(Fault.MALFORMED_JSON))
        case "quota":  # strikes the next response
            strike(session, Armed(Fault.QUOTA))
            drop.items = set()  # the next turn is committed beside it
            pending_at = loop.time()
            while session.faults.response_error is not None and loop.time() < pending_at + 20:
                before = loop.time()
                await asyncio.sleep(0.005)
            drop.struck = session.faults.response_error is None
            return before
        case "trickle":  # noticed when an answer is due
            strike(session, Armed(Fault.TRICKLE, bytes_per_s=200))
            chatter.cancel()
            await until(lambda: not phone.sounding and phone.spoken_until < loop.time(), 20)
            phone.speak(0.8)
            return phone.spoken_until
    return loop.time()


async def _listen(drop: Drop, phone: "Phone", noticed_at: float) -> None:
    def first(*what: str) -> "Sound | None":
        return next((sound for sound in phone.sounds if sound.at >= noticed_at and sound.what in what), None)

    await until(lambda: first("agent", *_CLOSING) is not None or bool(phone.ended_at), _TALK_S + 12)
    filler, talk = first("agent", *_FILLERS), first("agent", *_CLOSING)
    drop.noticed_at = noticed_at
    drop.filler_s = None if filler is None else filler.at - noticed_at
    drop.talk_s = None if talk is None else talk.starts - noticed_at


async def _one_more_turn(drop: Drop, phone: "Phone") -> None:
    """If the agent came back, it also answers."""
    if any(sound.what in _CLOSING for sound in phone.sounds):
        drop.goes_on = await until(lambda: bool(phone.ended_at), 15)
        return
    await until(lambda: not phone.sounding or bool(phone.ended_at), 10)
    phone.speak(0.8)
    spoken = phone.spoken_until
    drop.goes_on = await until(
        lambda: any(sound.at > spoken and sound.what in ("agent", *_CLOSING) for sound in phone.sounds), 12
    )


def _committed(session: "RealtimeSession") -> set[str]:
    heard = session.truth.lists.get("heard", [])
    return {str(fact["item_id"]) for fact in heard if isinstance(fact, dict)}


async def _rows(system: LiveSystem, drops: list[Drop]) -> tuple[int, int]:
    """Turns that are missing, and calls that have not exactly one completed event."""
    from tenex.events.models import Event
    from voice.models import Call, Turn

    sids = [drop.phone.sid for drop in drops]

    def missing_completions() -> int:
        calls = list(Call.objects.filter(provider_sid__in=sids).values_list("pk", flat=True))
        events = list(
            Event.objects.filter(type="agent.run.completed", call_id__in=calls).values_list(
                "call_id", flat=True
            )
        )
        return len(sids) - len(calls) + sum(events.count(call) != 1 for call in calls)

    def lost_turns() -> int:
        lost = 0
        for drop in drops:
            kept = set(
                Turn.objects.filter(call__provider_sid=drop.phone.sid).values_list("item_id", flat=True)
            )
            lost += len(drop.items - kept)
        return lost

    wrong = len(sids)
    deadline = asyncio.get_running_loop().time() + 40
    while wrong and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.5)
        wrong = await system.rows(missing_completions)
    return await system.rows(lost_turns), wrong


def _tell(drop: Drop) -> None:
    """What the caller of a broken promise heard, for whoever looks into it."""
    heard = [(sound.what, round(sound.at - drop.noticed_at, 2)) for sound in drop.phone.sounds[-60:]]
    lines = [pair for place, pair in enumerate(heard) if not place or heard[place - 1][0] != pair[0]]
    print(f"{drop.way} {drop.phone.remote}: {lines}, ended by {drop.phone.ended_by}", file=sys.stderr)


def _judge(system: LiveSystem, drops: list[Drop], lost: int, completed_wrong: int) -> dict[str, Any]:
    struck = [drop for drop in drops if drop.struck]
    visible = [
        drop.filler_s
        for drop in struck
        if drop.way not in ("blackhole", "trickle") and drop.filler_s is not None
    ]
    holes = [drop.filler_s for drop in struck if drop.way == "blackhole" and drop.filler_s is not None]
    talk = [drop.talk_s for drop in struck if drop.talk_s is not None]
    silent = sum(drop.talk_s is None or not drop.goes_on for drop in struck)
    late = sum(seconds > _TALK_S for seconds in talk)
    for drop in struck:
        if drop.filler_s is None or drop.filler_s > 0.5 or not drop.goes_on:
            _tell(drop)
    fillers_late = (percentile(visible, 0.99) > _FILLER_S) + sum(one > _FILLER_BLACKHOLE_S for one in holes)
    errors = system.server_errors()
    turns = sum(len(drop.items) for drop in struck)
    return {
        "trials": len(struck),
        "violations": silent + late + fillers_late + lost + completed_wrong + len(errors),
        "silent_calls": silent,
        "talk_later_than_8_s": late,
        "fillers_late": fillers_late,
        "turns_kept": turns - lost,
        "turns_lost": lost,
        "not_completed_once": completed_wrong,
        "errors_logged": len(errors),
        "p50": percentile(visible, 0.5) * 1000,
        "p99": percentile(visible, 0.99) * 1000,
        "blackhole_filler_max_ms": max(holes, default=0.0) * 1000,
        "talk_again_p50_ms": percentile(talk, 0.5) * 1000,
        "talk_again_max_ms": max(talk, default=0.0) * 1000,
        "ways": {
            way: [
                [round(value * 1000) if value is not None else None for value in (drop.filler_s, drop.talk_s)]
                for drop in struck
                if drop.way == way
            ]
            for way in WAYS
        },
        "first_error": errors[0][:300] if errors else "",
    }


if __name__ == "__main__":
    main("B1", prove)
