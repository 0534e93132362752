"""A6: 20 % answers of 429, 5 % of 5xx, 3 % lost, some refused for good: each is treated as what it is.

429 is asked again after a wait; 5xx and lost answers are looked up first, never asked again before the grace;
4xx is the end, with its reason; nobody is dialed twice and nobody is lost.
"""

import random
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from tests.prove.a1_dialed_once import outcome
from tests.prove.dial_rig import GRACE_S, SCALE, Rig, main, rig
from tests.prove.fake_carrier import FakeCarrier, Faults

AMBIGUOUS = frozenset({"refused_500", "taken_500", "lost_before", "lost_after", "slow_after"})


def prove(full: bool) -> dict[str, Any]:
    leads = 2000 if full else 70
    faults = Faults(
        throttled=0.20,
        refused_500=0.025,
        taken_500=0.025,
        lost_before=0.01,
        lost_after=0.01,
        slow_after=0.01,
        callback_spread_s=0.1,
        muted=0.05,
    )
    seed = random.randrange(2**32)
    with rig(FakeCarrier(faults=faults, outcome=outcome, invalid=invalid, seed=seed)) as world:
        world.processes.spawn("web")
        batch = world.batch(leads, calls_per_second=30, lines=60)
        for _ in range(2):
            world.processes.spawn()
        world.wait_completed(batch)
        broken = world.audit(batch, dialable=lambda phone: not invalid(phone))
        broken += _requests(world) + _refused(batch.pk)
        return {
            "trials": leads,
            "violations": sum(broken.values()),
            **broken,
            "requests": dict(world.carrier.answers),
        }


def invalid(to: str) -> bool:
    """Numbers that the carrier refuses with 400: one in twenty."""
    return int(to[-2:]) % 20 == 13


def _requests(world: Rig) -> Counter[str]:
    """The order and the gaps of the requests for each number, as the carrier saw them."""
    broken: Counter[str] = Counter()
    asked: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for at_s, to, what in world.carrier.log:
        asked[to].append((at_s, what))
    for requests in asked.values():
        for (before_s, before), (after_s, _) in pairwise(requests):
            gap_s = after_s - before_s
            broken["asked_again_before_the_grace"] += before in AMBIGUOUS and gap_s < GRACE_S / SCALE
            broken["asked_again_at_once"] += before == "throttled" and gap_s < 0.5 / SCALE
            broken["asked_again_after_a_final_answer"] += before in {"taken", "rejected"}
    return broken


def _refused(batch_id: Any) -> Counter[str]:
    from voice.models import Call

    broken: Counter[str] = Counter()
    for call in Call.objects.filter(batch_id=batch_id):
        broken["refused_without_reason"] += invalid(call.to_number) and call.end_reason != "rejected"
    return broken


if __name__ == "__main__":
    main("A6", prove)
