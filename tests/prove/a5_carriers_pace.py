"""A5: the carrier never sees more than c starts in any second, nor more than k calls, and not much less.

Four workers that are killed again and again, in real seconds. First two workspaces of very different size
share a rate: what the carrier saw in any second, how near the rate came, and how even the shares were while
both had work. Then a cap on lines: the most calls that were live at once.
"""

import random
import time
from collections import Counter
from typing import Any

from tests.prove.d9_caps import Watch, most_in_a_second
from tests.prove.dial_rig import SCALE, STUCK_S, Rig, main, rig
from tests.prove.fake_carrier import FakeCarrier

_WORKERS = 4
_LINES = 6
_PLENTY = 10_000 / SCALE
_LEAST = 0.95
_UNEVEN = 0.10


def prove(full: bool) -> dict[str, Any]:
    leads, kills, per_s = ((1400, 600), 40, 10) if full else ((66, 34), 1, 5)
    carrier = FakeCarrier(outcome=lambda _: "no-answer", ring_s=0.05, seed=5)
    settings = {
        "TENEX_TIME_SCALE": "1",
        "DIAL_GRACE_S": "2",
        "CARRIER_CALLS_PER_SECOND": str(per_s),
    }
    with rig(carrier, settings) as world:
        broken: Counter[str] = Counter()
        rate = _share_the_rate(world, _spawn(world), broken, leads, kills, per_s)
        world.restart({"CARRIER_MAX_CALLS": str(_LINES), "CARRIER_CALLS_PER_SECOND": "100"})
        most_live = _fill_the_lines(world, _spawn(world), broken, sum(leads) // 4, kills)
        broken["unexpected_errors"] += world.unexpected()
        return {
            "trials": sum(leads) + sum(leads) // 4,
            "violations": sum((+broken).values()),
            **+broken,
            "kills": 2 * kills,
            "calls_per_second": per_s,
            **rate,
            "lines": _LINES,
            "most_live": most_live,
        }


def _share_the_rate(
    world: Rig, workers: list[int], broken: Counter[str], leads: tuple[int, int], kills: int, per_s: int
) -> dict[str, Any]:
    """Two batches in two workspaces at once, short calls, so that only the rate holds them up."""
    batches = [world.batch(count, calls_per_second=_PLENTY, lines=500) for count in leads]
    numbers = [batch.number.e164 for batch in batches]
    for count in range(1, kills + 1):
        _wait_for_starts(world, sum(leads) * count // (kills + 1))
        _kill_one(world, workers)
    _wait_for_starts(world, sum(leads))
    world.processes.spawn()  # finalizes the calls: not while the rate is measured, it is much more work
    finished = [world.wait_completed(batch) for batch in batches]
    starts_s, callers = list(world.carrier.starts_s), [form["From"][0] for form in world.carrier.forms]
    broken["batch_not_completed"] += finished.count(False)
    broken["dialed_twice"] += sum(count > 1 for count in world.carrier.dialed().values())
    most = most_in_a_second(starts_s)
    broken["too_fast"] += max(0, most - per_s)
    # Both had work until the smaller batch had its last start.
    until = max(index for index, number in enumerate(callers) if number == numbers[1])
    shares = Counter(callers[: until + 1])
    mean = (until + 1) / 2
    uneven = max(abs(shares[number] - mean) for number in numbers) / mean
    broken["unfair"] += uneven > _UNEVEN
    # The end of a batch may wait for a lead whose worker died: the rate is that of nine tenths.
    counted = starts_s[: int(len(starts_s) * 0.9)]
    reached = (len(counted) - 1) / (counted[-1] - counted[0])
    broken["too_slow"] += reached < _LEAST * per_s
    return {
        "most_starts_in_a_second": most,
        "starts_per_second": round(reached, 2),
        "unevenness": round(uneven, 3),
    }


def _fill_the_lines(world: Rig, workers: list[int], broken: Counter[str], leads: int, kills: int) -> int:
    """Long calls over two workspaces: the lines of the account are what holds them up."""
    world.carrier.everybody_talks(1.0)
    world.processes.spawn()
    with Watch(world.carrier) as watch:
        batches = [world.batch(leads // 2, calls_per_second=_PLENTY, lines=500) for _ in range(2)]
        for _ in range(kills):
            time.sleep(random.uniform(0.3, 0.8))
            _kill_one(world, workers)
        finished = [world.wait_completed(batch) for batch in batches]
    broken["over_the_lines"] += max(0, watch.most - _LINES)
    broken["batch_not_completed"] += finished.count(False)
    return watch.most


def _spawn(world: Rig) -> list[int]:
    world.processes.spawn("web")
    return [world.processes.spawn("dialer") for _ in range(_WORKERS)]


def _kill_one(world: Rig, workers: list[int]) -> None:
    victim = random.randrange(_WORKERS)
    world.processes.kill(workers[victim])
    workers[victim] = world.processes.spawn("dialer")


def _wait_for_starts(world: Rig, count: int) -> None:
    """Until the carrier was asked so often, or nothing moves any more."""
    seen, since_s = -1, time.monotonic()
    while len(world.carrier.starts_s) < count and time.monotonic() - since_s < STUCK_S:
        if len(world.carrier.starts_s) != seen:
            seen, since_s = len(world.carrier.starts_s), time.monotonic()
        time.sleep(0.02)


if __name__ == "__main__":
    main("A5", prove)
