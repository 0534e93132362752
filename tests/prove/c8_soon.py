"""C8: a healthy receiver hears of an event within half a second of its commit, at 50 events a second.

From the moment after the commit to the moment when the request is there whole, p99. Real Celery workers; the
producer is this process, as the web process is in production.
"""

import random
import time
from typing import Any

from tests.prove.dial_rig import main
from tests.prove.faulty_receiver import Act, FaultyReceiver
from tests.prove.webhook_rig import percentile, record, secrets_of, subscribe, workspace, world

RATE_PER_S = 50
BOUND_MS = 500.0


def prove(full: bool) -> dict[str, Any]:
    count = RATE_PER_S * (60 if full else 8)
    receiver = FaultyReceiver(lambda _: Act())
    draw = random.Random()
    with world() as workers:
        workers.start(2)
        space = workspace()
        lane = subscribe(space, receiver.url("/hook"))
        receiver.secrets["/hook"] = secrets_of(lane)
        for _ in range(20):  # every worker process has what it needs
            record(space)
            time.sleep(0.05)
        committed: dict[str, float] = {}
        began_s = time.time()
        for n in range(count):
            time.sleep(max(0.0, began_s + (n + draw.random()) / RATE_PER_S - time.time()))
            event_id, at_s = record(space, n=n)
            committed[event_id] = at_s
        rate = count / (time.time() - began_s)
        arrived = _arrived(receiver, committed)
    receiver.close()
    waits = [1000 * max(0.0, arrived[one] - at_s) for one, at_s in committed.items() if one in arrived]
    p99 = percentile(waits, 0.99)
    missing = len(committed) - len(waits)
    return {
        "trials": count,
        "violations": missing + int(p99 > BOUND_MS) + sum(not one.verified for one in receiver.seen),
        "missing": missing,
        "p50_ms": round(percentile(waits, 0.5), 1),
        "p99_ms": round(p99, 1),
        "rate_per_s": round(rate, 1),
    }


def _arrived(receiver: FaultyReceiver, committed: dict[str, float]) -> dict[str, float]:
    """Event id -> wall clock of its first request, when all are there or ten seconds have passed."""
    until_s = time.monotonic() + 10
    arrived: dict[str, float] = {}
    while time.monotonic() < until_s and not committed.keys() <= arrived.keys():
        time.sleep(0.2)
        for one in list(receiver.seen):
            arrived.setdefault(one.id, one.at_s)
    return arrived


if __name__ == "__main__":
    main("C8", prove)
