"""A4: callbacks up to four times, shuffled, dropped, very late: the right end and one event a call.

The truth is the carrier's. A final callback that was dropped is made up for by the sweeper.
"""

import random
import sys
import time
from collections import Counter
from typing import Any

from tests.prove.dial_rig import SCALE, Rig, main, rig
from tests.prove.fake_carrier import FakeCarrier, Faults

REASONS = {
    "completed": "caller-hangup",
    "busy": "busy",
    "no-answer": "no-answer",
    "failed": "carrier-failed",
}
REPAIRED_WITHIN_S = 60.0
"""Of the rehearsal's clock; three times that is a violation, since machines are busy."""


def prove(full: bool) -> dict[str, Any]:
    leads = 2000 if full else 60
    faults = Faults(
        callback_copies=4,
        callback_spread_s=1.0,
        callback_dropped=0.02,
        callback_late=0.01,
        callback_late_s=60.0 if full else 12.0,
    )
    seed = random.randrange(2**32)
    with rig(FakeCarrier(faults=faults, outcome=outcome, talk_s=0.3, seed=seed)) as world:
        world.processes.spawn("web")
        batch = world.batch(leads, calls_per_second=30, lines=60)
        for _ in range(2):
            world.processes.spawn()
        world.wait_completed(batch)
        _wait_for_the_late_ones(world)
        broken = world.audit(batch)
        wrong, lags_s = _compare(world)
        broken += wrong
        return {
            "trials": leads,
            "violations": sum(broken.values()),
            **broken,
            "callbacks": sum(world.carrier.delivered.values()),
            "answers": {str(status): count for status, count in world.carrier.delivered.items()},
            "end_known_p50_s": round(lags_s[len(lags_s) // 2] * SCALE, 2),
            "end_known_p99_s": round(lags_s[int(len(lags_s) * 0.99)] * SCALE, 2),
            "end_known_max_s": round(lags_s[-1] * SCALE, 2),
        }


def outcome(to: str) -> str:
    """Half of them talk."""
    return {"5": "no-answer", "6": "no-answer", "7": "busy", "8": "busy", "9": "failed"}.get(
        to[-1], "completed"
    )


def _wait_for_the_late_ones(world: Rig) -> None:
    until_s = time.monotonic() + 90
    while world.carrier.under_way() and time.monotonic() < until_s:
        time.sleep(0.1)


def _compare(world: Rig) -> tuple[Counter[str], list[float]]:
    """Calls whose end is not the carrier's, and the real seconds until we knew of each end."""
    from tenex.events.models import Event
    from voice.models import Call

    broken: Counter[str] = Counter()
    known_at = dict(Event.objects.filter(type="call.ended").values_list("call_id", "occurred_at"))
    lags_s = [0.0]
    for call in Call.objects.all():
        there = world.carrier.calls.get(call.provider_sid or "")
        if there is None or there.ended_at is None:
            broken["unknown_to_carrier"] += 1
            continue
        if call.end_reason != REASONS[there.status]:
            broken["wrong_end"] += 1
            told = list(call.journal.values_list("at_ms", "type"))
            print(f"ended as {call.end_reason}, at the carrier {there.status}: {told}", file=sys.stderr)
        broken["wrong_answer"] += (call.answered_at is not None) != (there.started_at is not None)
        lag_s = (known_at[call.pk] - there.ended_at).total_seconds() if call.pk in known_at else 1e9
        broken["repaired_late"] += lag_s * SCALE > 3 * REPAIRED_WITHIN_S
        lags_s.append(lag_s)
    return broken, sorted(lags_s)


if __name__ == "__main__":
    main("A4", prove)
