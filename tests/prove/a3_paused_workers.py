"""A3: workers that freeze for longer than their leases: nobody has two conversations.

SIGSTOP for 1.2 to 3 times the lease of an attempt, while the others go on and the reconciler decides. Some of
the pauses come at random instants, the others at the statement boundaries around the request, where they
hurt. The one place that no lease can guard, between the last look at the clock and the socket, is tried
apart: there a phone may ring twice, and the second call must be hung up by its own answer.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.prove.dial_rig import GRACE_S, SCALE, Rig, main, rig
from tests.prove.fake_carrier import FakeCarrier, Faults

if TYPE_CHECKING:
    from voice.models import Batch

_LEASE_S = GRACE_S / SCALE
_BOUNDARIES = (
    "dial.claimed",
    "dial.prepared",
    "dial.fenced",
    "dial.before_post",
    "dial.posted",
    "dial.adopted",
)
_UNGUARDED = "carrier.sending"
_PIECES = 2
"""Head and body, each behind a look at the clock; without its body a request is none."""


def prove(full: bool) -> dict[str, Any]:
    pauses, unguarded, lanes = (100, 20, 4) if full else (8, 2, 4)
    faults = Faults(callback_copies=2, callback_spread_s=0.2, callback_dropped=0.1)
    carrier = FakeCarrier(faults=faults, outcome=lambda _: "completed", talk_s=0.3, seed=3)
    with rig(carrier) as world:
        world.processes.spawn("web")
        world.processes.spawn()
        batch = world.batch(40 if not full else 200, calls_per_second=15, lines=60)
        kinds = ["random", *_BOUNDARIES] * pauses
        met = _pause_all(world, batch, kinds[:pauses], lanes)
        twice = _twice(world)
        _pause_all(world, batch, [_UNGUARDED] * unguarded, min(lanes, unguarded))
        finished = world.wait_completed(batch)
        rung_twice = _twice(world) - twice
        dialed, talked = carrier.dialed(), carrier.conversations()
        broken: Counter[str] = Counter()
        broken["conversations_twice"] = sum(count > 1 for count in talked.values())
        broken["rung_twice_too_often"] = max(0, twice - max(1, pauses // 100))
        broken["never_dialed"] = sum(
            dialed[row.lead.phone or ""] == 0 for row in batch.recipients.select_related("lead")
        )
        broken["batch_not_completed"] = not finished
        broken["unexpected_errors"] = world.unexpected()
        broken["pauses_not_met"] = max(0, pauses // 2 - met)
        return {
            "trials": pauses + unguarded,
            "violations": sum(broken.values()),
            **+broken,
            "pauses": pauses,
            "rung_twice": twice,
            "rung_twice_unguarded": rung_twice,
            "conversations": sum(talked.values()),
        }


def _pause_all(world: Rig, batch: "Batch", kinds: list[str], lanes: int) -> int:
    """Each pause on a worker of its own, `lanes` at a time; how many workers stood still."""
    met: list[bool] = []
    waiting, lock = list(kinds), threading.Lock()

    def lane() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                kind = waiting.pop()
                # Enough for the others while this one starts: who finds nobody to dial meets no boundary.
                if batch.recipients.filter(status="pending").count() < 60:
                    world.top_up(batch, 60)
            met.append(_pause(world, kind))

    threads = [threading.Thread(target=_with_connection, args=(lane,)) for _ in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(met)


def _pause(world: Rig, kind: str) -> bool:
    """Freeze a worker at a boundary or at a random instant, thaw it, end it some time later."""
    passing = random.randint(1, 3) * (_PIECES if kind == _UNGUARDED else 1)
    armed = "" if kind == "random" else f"{kind}:stop@{passing}"
    pid = world.processes.spawn("dialer", armed)
    if kind == "random":
        time.sleep(random.uniform(0.3, 1.2))
        os.kill(pid, signal.SIGSTOP)
    # On a busy machine the others may leave it little to dial for a while.
    stood = _stands_still(pid, 20)
    time.sleep(_LEASE_S * random.uniform(1.2, 3))
    os.kill(pid, signal.SIGCONT)
    time.sleep(0.5)
    world.processes.kill(pid)
    return stood


def _stands_still(pid: int, within_s: float) -> bool:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "T":
                    return True
        except FileNotFoundError:
            return False
        time.sleep(0.01)
    return False


def _twice(world: Rig) -> int:
    return sum(count > 1 for count in world.carrier.dialed().values())


def _with_connection(work: Any) -> None:
    from django.db import connections

    try:
        work()
    finally:
        connections.close_all()


if __name__ == "__main__":
    main("A3", prove)
