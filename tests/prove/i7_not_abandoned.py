"""I7: nobody whom we called waits longer than two seconds for our first word, also when the model fails us.

The model is well, slow, refuses its handshake, or refuses our key; the person says hello, says nothing, or
says hello late. Two seconds count from the end of what they said, or from the answer.
"""

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.prove.live_system import LiveSystem, main, percentile, run_live, until

if TYPE_CHECKING:
    from tests.prove.called_phone import CalledPhone

_AT_ONCE = 8
_LIMIT_S = 2.0
MODELS = ("well", "slow", "unavailable", "refuses the key")
PEOPLE = ("hello", "silent", "late", "long")


def prove(full: bool) -> dict[str, Any]:
    count = 1000 if full else 32
    return run_live(lambda system: _body(system, count), settings={"LOG_LEVEL": "ERROR"})


async def _body(system: LiveSystem, count: int) -> dict[str, Any]:
    rng = random.Random(11)
    phones = [system.called(f"+1416{number:07d}") for number in range(count)]
    for phone in phones:
        await phone.prepare()
    for first in range(0, count, _AT_ONCE):
        numbers = range(first, min(count, first + _AT_ONCE))
        await asyncio.gather(*(_one(system, phones[number], number, rng) for number in numbers))
    waits = {number: _wait_s(phone) for number, phone in enumerate(phones)}
    abandoned = [number for number, wait in waits.items() if wait is None or wait > _LIMIT_S]
    heard = [wait for wait in waits.values() if wait is not None]
    return {
        "trials": count,
        "violations": len(abandoned),
        "abandoned": dict(Counter(f"{MODELS[n % 4]}, {PEOPLE[n // 4 % 4]}" for n in abandoned)),
        "p50": percentile(heard, 0.5) * 1000,
        "p99": percentile(heard, 0.99) * 1000,
    }


async def _one(system: LiveSystem, phone: "CalledPhone", number: int, rng: random.Random) -> None:
    from voice.rehearsal.model.faults import Armed, Fault

    faults = {
        "slow": Armed(Fault.DELAY_HANDSHAKE, seconds=rng.uniform(1, 8)),
        "unavailable": Armed(Fault.HANDSHAKE_UNAVAILABLE),
        "refuses the key": Armed(Fault.UNAUTHORIZED),
    }
    await asyncio.sleep(rng.uniform(0, 0.6))
    armed = faults.get(MODELS[number % len(MODELS)])
    if armed is not None:
        system.model.faults.arm(armed)
    system.ring(phone)
    await until(lambda: phone.connected_at > 0, 10)
    match PEOPLE[number // len(MODELS) % len(PEOPLE)]:
        case "hello":
            await asyncio.sleep(0.1)
            phone.speak(0.5)
        case "late":
            await asyncio.sleep(0.9)
            phone.speak(0.5)
        case "long":
            await asyncio.sleep(0.2)
            phone.speak(3.2)
        case _:
            pass
    await until(lambda: bool(phone.sounds) or bool(phone.ended_at), 10)
    await asyncio.sleep(0.1)
    await phone.end("caller")


def _wait_s(phone: "CalledPhone") -> float | None:
    """From the answer, or from the end of their words if those came before ours, to our first word."""
    first = phone.first("identity")
    if first is None:
        return None
    spoken = phone.spoken_until if phone.spoken_until < first else 0.0
    return first - max(phone.answered_at, spoken)


if __name__ == "__main__":
    main("I7", prove)
