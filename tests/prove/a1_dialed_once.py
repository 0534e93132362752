"""A1: kill -9 of the dialing worker at random instants: nobody dialed twice, nobody lost, one end a call.

The carrier fails 3 % of the requests and dials on another 3 % in spite of its 500; callbacks come up to twice
and shuffled. Two workers dial; the kills are spread over the batch, each at a random instant after a share of
the dials, and the killed one is replaced at once.
"""

import random
import time
from typing import Any

from tests.prove.dial_rig import Rig, main, rig
from tests.prove.fake_carrier import FakeCarrier, Faults


def prove(full: bool) -> dict[str, Any]:
    leads, kills = (2000, 300) if full else (90, 18)
    faults = Faults(refused_500=0.03, taken_500=0.03, callback_copies=2, callback_spread_s=0.3, muted=0.05)
    draw = random.Random()
    with rig(FakeCarrier(faults=faults, outcome=outcome, seed=draw.randrange(2**32))) as world:
        world.processes.spawn("web")
        batch = world.batch(leads, calls_per_second=40, lines=60)
        workers = [world.processes.spawn() for _ in range(2)]
        for count in range(1, kills + 1):
            _wait_for_dials(world, leads * count / (kills + 1))
            time.sleep(draw.uniform(0, 0.3))
            victim = draw.randrange(2)
            world.processes.kill(workers[victim])
            workers[victim] = world.processes.spawn()
        world.wait_completed(batch)
        broken = world.audit(batch)
        return {
            "trials": leads,
            "violations": sum(broken.values()),
            **broken,
            "kills": kills,
            "requests": dict(world.carrier.answers),
            "callbacks": sum(world.carrier.delivered.values()),
        }


def _wait_for_dials(world: Rig, count: float) -> None:
    """Until the carrier was asked so often; not for ever, or nobody would be left to be killed."""
    until_s = time.monotonic() + 5
    while sum(world.carrier.answers.values()) < count and time.monotonic() < until_s:
        time.sleep(0.01)


def outcome(to: str) -> str:
    """Three in ten talk; the rest are not there or busy."""
    return {"0": "completed", "1": "completed", "2": "completed", "9": "busy"}.get(to[-1], "no-answer")


if __name__ == "__main__":
    main("A1", prove)
