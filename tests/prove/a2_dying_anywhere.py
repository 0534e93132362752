"""A2: die at each statement boundary of dial, callback and finalization: A1, boundary by boundary.

One process at a time carries an armed failpoint and kills itself there; the next one finds what it left. The
carrier loses answers and callbacks meanwhile, so that the repairs' own boundaries are passed too.
"""

import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.prove.a1_dialed_once import outcome
from tests.prove.dial_rig import Rig, main, rig
from tests.prove.fake_carrier import FakeCarrier, Faults

if TYPE_CHECKING:
    from voice.models import Batch

WORKER = (
    "dial.inserted",
    "dial.claimed",
    "dial.prepared",
    "dial.fenced",
    "dial.before_post",
    "dial.posted",
    "dial.adopted",
    "dial.resolved",
    "settle.written",
    "settle.committed",
    "reconcile.listed",
    "reconcile.adopted",
    "sweep.asked",
    *(
        f"finalize.{step}.{side}"
        for step in (
            "transcript",
            "questions",
            "meeting",
            "verdict",
            "recording",
            "write_back",
            "callback",
            "complete",
        )
        for side in ("before", "after")
    ),
)
WEB = ("dial.adopted", "progress.received", "progress.moved", "progress.committed")
LAST = "batch.closed"
"""Passed once a batch, at its end."""
REACHED_WITHIN_S = 20.0


def prove(full: bool) -> dict[str, Any]:
    rounds = 25 if full else 1
    draw = random.Random()
    faults = Faults(
        refused_500=0.05,
        lost_after=0.25,
        callback_copies=2,
        callback_spread_s=0.2,
        callback_dropped=0.1,
        muted=0.4,
    )
    with rig(FakeCarrier(faults=faults, outcome=outcome, seed=draw.randrange(2**32))) as world:
        batches = [world.batch(12, calls_per_second=40, lines=60)]
        web = world.processes.spawn("web")
        reached: Counter[str] = Counter()
        trials = [name for name in WORKER for _ in range(rounds)]
        draw.shuffle(trials)
        for name in trials:
            reached[name] += _worker_dies(world, batches, name)
        for name in [name for name in WORKER if not reached[name]]:
            reached[name] += any(_worker_dies(world, batches, name) for _ in range(3))
        helper = world.processes.spawn()
        for name in WEB:
            for after in [draw.randint(1, 3) for _ in range(rounds)]:
                web, died = _web_dies(world, batches, web, f"{name}:kill@{after}")
                reached[f"web:{name}"] += died
            # Whether a callback comes before the answer to its request is the carrier's dice.
            for _ in range(4):
                if reached[f"web:{name}"]:
                    break
                web, died = _web_dies(world, batches, web, f"{name}:kill")
                reached[f"web:{name}"] += died
        world.processes.kill(web)
        world.processes.spawn("web")
        world.processes.kill(helper)
        last = world.processes.spawn("worker", f"{LAST}:kill")
        reached[LAST] += _died(world, last, within_s=90)
        world.processes.spawn()
        for batch in batches:
            world.wait_completed(batch)
        broken = sum((world.audit(batch) for batch in batches), Counter())
        # Every batch of this world is in one carrier: what is an orphan to one belongs to another.
        broken["orphans"] = _orphans(world)
        expected = {*WORKER, *(f"web:{name}" for name in WEB), LAST}
        missed = sorted(expected - set(+reached))
        broken["boundaries_never_passed"] = len(missed)
        broken = +broken
        return {
            "trials": sum(reached.values()),
            "violations": sum(broken.values()),
            **broken,
            "boundaries": len(set(+reached)),
            "missed": missed,
            "dials": len(world.carrier.calls),
        }


def _worker_dies(world: Rig, batches: "list[Batch]", name: str) -> bool:
    _top_up(world, batches)
    return _died(world, world.processes.spawn("worker", f"{name}:kill"))


def _web_dies(world: Rig, batches: "list[Batch]", web: int, failpoint: str) -> tuple[int, bool]:
    """The web process that takes the place of `web`, and whether it died at the failpoint."""
    _top_up(world, batches)
    world.processes.kill(web)
    fresh = world.processes.spawn("web", failpoint)
    return fresh, _died(world, fresh)


def _died(world: Rig, pid: int, *, within_s: float = REACHED_WITHIN_S) -> bool:
    """Whether it killed itself at its failpoint; one that never got there is ended here."""
    if world.processes.wait_dead(pid, within_s):
        return world.processes.dead[pid] == -9
    world.processes.kill(pid)
    return False


def _top_up(world: Rig, batches: "list[Batch]") -> None:
    """So that there is always somebody to be called."""
    waiting = batches[-1].recipients.filter(status="pending").count()
    if waiting < 8 and not world.top_up(batches[-1], 8):
        batches.append(world.batch(12, calls_per_second=40, lines=60))
    time.sleep(0.01)


def _orphans(world: Rig) -> int:
    from voice.models import Call

    known = set(Call.objects.values_list("provider_sid", flat=True))
    return sum(sid not in known for sid in world.carrier.calls)


if __name__ == "__main__":
    main("A2", prove)
