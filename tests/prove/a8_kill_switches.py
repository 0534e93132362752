"""A8: each of the three kill switches, thrown while 10 calls a second start: nobody is dialed a second later.

The carrier rings half of the phones and has the other half in its queue. After the stop of the instance or
of a workspace it may have neither; after that of a batch what rings may ring on. Who was taken back waits
again.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.prove.dial_rig import STUCK_S, Rig, main, rig
from tests.prove.fake_carrier import TERMINAL, FakeCarrier

if TYPE_CHECKING:
    from voice.models import Batch

_PER_S = 10
_LATEST_S = 1.0
_LONG_S = 3600.0


def prove(full: bool) -> dict[str, Any]:
    rounds = 10 if full else 1
    carrier = FakeCarrier(queue_s=lambda to: _LONG_S * (int(to[-1]) % 2), ring_s=_LONG_S, seed=8)
    broken: Counter[str] = Counter()
    thrown: list[dict[str, Any]] = []
    settings = {"TENEX_TIME_SCALE": "1", "DIAL_GRACE_S": "2", "CARRIER_CALLS_PER_SECOND": str(_PER_S)}
    with rig(carrier, settings) as world:
        world.processes.spawn("web")
        for _ in range(2):
            world.processes.spawn()
        for _ in range(rounds):
            for name in ("instance", "workspace", "batch"):
                thrown.append(_throw(world, name, broken))
        broken["unexpected_errors"] += world.unexpected()
    return {
        "trials": len(thrown),
        "violations": sum((+broken).values()),
        **+broken,
        "latest_dial_after_commit_s": max(one["latest_s"] for one in thrown),
        "dials_before": sum(one["dials"] for one in thrown),
        "taken_back": sum(one["taken_back"] for one in thrown),
        "taken_back_within_s": max(one["taken_back_s"] for one in thrown),
    }


def _throw(world: Rig, name: str, broken: Counter[str]) -> dict[str, Any]:
    """One switch, in a world of its own; what the carrier saw after its commit."""
    first = len(world.carrier.starts_s)
    batch = world.batch(200, calls_per_second=10_000, lines=500)
    _until(lambda: len(world.carrier.starts_s) - first >= 15)
    _switch(name, batch)
    at_s = time.monotonic()
    mine = [call for call in list(world.carrier.calls.values()) if call.from_ == batch.number.e164]
    must_go = [call for call in mine if name != "batch" or call.status == "queued"]
    gone = _until(lambda: all(call.status in TERMINAL for call in must_go), 10)
    took_s = time.monotonic() - at_s
    time.sleep(max(0.0, 3 - took_s))
    later = [start - at_s for start in world.carrier.starts_s[first:] if start > at_s]
    broken["dialed_after_a_second"] += sum(seconds > _LATEST_S for seconds in later)
    broken["not_taken_back"] += 0 if gone else sum(call.status not in TERMINAL for call in must_go)
    _until(lambda: not _calling(batch, must_go), 20)
    broken["not_waiting_again"] += _calling(batch, must_go)
    _end(name, batch, world)
    return {
        "latest_s": round(max(later, default=0.0), 3),
        "dials": len(mine),
        "taken_back": len(must_go),
        "taken_back_s": round(took_s, 2),
    }


def _switch(name: str, batch: "Batch") -> None:
    from django.utils import timezone

    from voice.services import batches, switches

    match name:
        case "instance":
            switches.stop(actor="system:prove", reason="A8")
        case "workspace":
            space = batch.workspace
            space.calling_paused_at = timezone.now()
            space.save(update_fields=["calling_paused_at"])
        case _:
            batches.pause(batch, reason="A8")


def _calling(batch: "Batch", must_go: list[Any]) -> int:
    """Of the calls that were taken back: leads that do not wait to be called again."""
    numbers = [call.to for call in must_go]
    return batch.recipients.filter(lead__phone__in=numbers).exclude(status="pending").count()


def _end(name: str, batch: "Batch", world: Rig) -> None:
    """Out of the way of the next round: nothing of this batch is left with the carrier."""
    from voice.services import batches, switches

    batches.cancel(batch)
    if name == "instance":
        switches.start(actor="system:prove")
    _until(lambda: not world.carrier.live(), 15)


def _until(true: Callable[[], bool], within_s: float = STUCK_S) -> bool:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if true():
            return True
        time.sleep(0.02)
    return true()


if __name__ == "__main__":
    main("A8", prove)
