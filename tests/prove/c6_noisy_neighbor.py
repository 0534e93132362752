"""C6: one of ten receivers hangs fifteen seconds on every try; the other nine hear of events as before.

p99 from commit to request over the nine, and over the whole time, from the first moment of the hanging on.
"""

import time
from typing import Any

from tests.prove.dial_rig import main
from tests.prove.faulty_receiver import Act, FaultyReceiver, Way
from tests.prove.webhook_rig import percentile, record, subscribe, workspace, world

RECEIVERS = 10
RATE_PER_S = 3
BOUND_MS = 2000.0


def prove(full: bool) -> dict[str, Any]:
    seconds = 90 if full else 16
    receiver = FaultyReceiver(
        lambda path: Act(Way.HANG, stored=False, for_s=15.0) if path == "/hangs" else Act()
    )
    with world() as workers:
        workers.start(2)
        space = workspace()
        subscribe(space, receiver.url("/hangs"), timeout_s=30)
        for n in range(RECEIVERS - 1):
            subscribe(space, receiver.url(f"/well-{n}"))
        committed: dict[str, float] = {}
        began_s = time.time()
        for n in range(RATE_PER_S * seconds):
            time.sleep(max(0.0, began_s + n / RATE_PER_S - time.time()))
            event_id, at_s = record(space, n=n)
            committed[event_id] = at_s
        waits, missing = _waits(receiver, committed)
        hanging = sum(one.path == "/hangs" for one in receiver.seen)
    receiver.close()
    p99 = percentile(waits, 0.99)
    return {
        "trials": len(committed) * (RECEIVERS - 1),
        "violations": missing + int(p99 > BOUND_MS) + int(hanging == 0),
        "missing": missing,
        "p50_ms": round(percentile(waits, 0.5), 1),
        "p99_ms": round(p99, 1),
        "requests_that_hung": hanging,
    }


def _waits(receiver: FaultyReceiver, committed: dict[str, float]) -> tuple[list[float], int]:
    """Milliseconds from commit to request for each (event, well receiver), and how many never came."""
    expected = len(committed) * (RECEIVERS - 1)
    until_s = time.monotonic() + 10
    first: dict[tuple[str, str], float] = {}
    while time.monotonic() < until_s and len(first) < expected:
        time.sleep(0.2)
        for one in list(receiver.seen):
            if one.path != "/hangs":
                first.setdefault((one.id, one.path), one.at_s)
    waits = [1000 * max(0.0, at_s - committed[event_id]) for (event_id, _), at_s in first.items()]
    return waits, expected - len(first)


if __name__ == "__main__":
    main("C6", prove)
