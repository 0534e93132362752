"""B7: whoever picks up hears our first words within a second, however long the model's handshake takes.

Half of them say hello and are spoken to after it, half say nothing. The opening is made before the call, so
nothing of it waits for the model, whose handshake takes 0 to 5 s here. Real time, no compression.
"""

import asyncio
import random
from typing import TYPE_CHECKING, Any

from tests.prove.live_system import LiveSystem, main, percentile, run_live, until

if TYPE_CHECKING:
    from tests.prove.called_phone import CalledPhone

_AT_ONCE = 6
_LIMIT_S = 1.0
_HELLO_S = 0.6
_LONGEST_HANDSHAKE_S = 5.0


def prove(full: bool) -> dict[str, Any]:
    count = 500 if full else 30
    return run_live(lambda system: _body(system, count), settings={"LOG_LEVEL": "WARNING"})


async def _body(system: LiveSystem, count: int) -> dict[str, Any]:
    from tests.prove.called_phone import OPENING
    from voice.rehearsal.model.faults import Armed, Fault

    rng = random.Random(7)
    phones = [system.called(f"+1415{number:07d}") for number in range(count)]
    for phone in phones:
        await phone.prepare()

    async def one(phone: "CalledPhone", number: int) -> None:
        await asyncio.sleep(rng.uniform(0, 1.0))
        system.model.faults.arm(Armed(Fault.DELAY_HANDSHAKE, seconds=rng.uniform(0, _LONGEST_HANDSHAKE_S)))
        system.ring(phone)
        if number % 2:
            await until(lambda: phone.connected_at > 0, 10)
            await asyncio.sleep(rng.uniform(0.05, 0.3))
            phone.speak(_HELLO_S)
        await until(lambda: phone.first("identity", *OPENING) is not None, 10)
        await asyncio.sleep(0.2)
        await phone.end("caller")

    for first in range(0, count, _AT_ONCE):
        numbers = range(first, min(count, first + _AT_ONCE))
        await asyncio.gather(*(one(phones[number], number) for number in numbers))
    waits = [_wait_s(phone) for phone in phones]
    heard = [wait for wait in waits if wait is not None]
    wrong = [phone.sounds[0].what for phone in phones if phone.sounds and phone.sounds[0].what != "identity"]
    p99 = percentile(heard, 0.99)
    late = sum(wait > _LIMIT_S for wait in heard)
    allowed = count // 100
    return {
        "trials": count,
        "violations": (len(waits) - len(heard)) + len(wrong) + max(0, late - allowed),
        "unheard": len(waits) - len(heard),
        "not_ours_first": len(wrong),
        "late": late,
        "p50": percentile(heard, 0.5) * 1000,
        "p99": p99 * 1000,
    }


def _wait_s(phone: "CalledPhone") -> float | None:
    """From the answer, or from the end of the hello, to our first word."""
    first = phone.first("identity")
    if first is None:
        return None
    return first - max(phone.answered_at, phone.spoken_until)


if __name__ == "__main__":
    main("B7", prove)
