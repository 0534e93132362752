"""I6: no number is dialed more than three times in 24 hours, over all batches and workspaces of one caller.

Three workspaces of one legal name (written in three ways) have the same people on their lists, each in two
batches with retries; four workers dial for all of them at once, and the carrier counts. A fourth workspace,
of somebody else, may call the same numbers three times on its own. Then the first attempts become a day old
in the books, and a number may be dialed as often again, no more.
"""

import random
import time
from collections import Counter
from datetime import timedelta
from typing import Any

from tests.prove.dial_rig import Rig, main, rig
from tests.prove.fake_carrier import FakeCarrier

A_DAY = 3
NAMES = ("Acme Robots, Inc.", "ACME ROBOTS, INC.", "acme robots, inc.")
STRANGER = "Somebody Else, Ltd."


def prove(full: bool) -> dict[str, Any]:
    count = 100 if full else 4
    carrier = FakeCarrier(outcome=lambda _: "no-answer", ring_s=0.02, seed=random.randrange(2**32))
    with rig(carrier) as world:
        world.processes.spawn("web")
        spaces = [
            world.space(calls_per_second=120, lines=60, legal_name=name, max_calls_per_lead_in_all=200)
            for name in (*NAMES, STRANGER)
        ]
        people = _same_people(world, spaces, count)
        for space, few in zip(spaces, people, strict=True):
            _batches(space, few)
        for _ in range(4):
            world.processes.spawn()
        settled = _until_quiet(world, spaces)
        broken: Counter[str] = Counter()
        ours = {space.numbers.get().e164 for space in spaces[: len(NAMES)]}
        first = _dialed(world, ours)
        _judge(broken, first, count, A_DAY, "first_day")
        _judge(broken, _dialed(world, {spaces[-1].numbers.get().e164}), count, A_DAY, "somebody_else")
        _a_day_later(spaces[: len(NAMES)])
        settled = _until_quiet(world, spaces) and settled
        _judge(broken, _dialed(world, ours) - first, count, A_DAY, "next_day")
        broken["not_settled"] += not settled
        broken["without_a_decision"] += _dials_without_a_decision(spaces, world)
        broken["unexpected_errors"] += world.unexpected()
        found = +broken
        return {
            "trials": count,
            "violations": sum(found.values()),
            **found,
            "dials": len(carrier.calls),
            "workspaces": len(NAMES),
        }


def _same_people(world: Rig, spaces: list[Any], count: int) -> list[list[Any]]:
    from crm.models import Lead

    people = [world.people(spaces[0], count)]
    for space in spaces[1:]:
        people.append(
            Lead.objects.bulk_create(
                Lead(workspace=space, phone=lead.phone, time_zone=lead.time_zone, country=lead.country)
                for lead in people[0]
            )
        )
    for few in people:
        world.agree(few)
    return people


def _batches(space: Any, few: list[Any]) -> None:
    from voice.services import batches

    for _ in range(2):
        batches.create(
            space,
            objective="x",
            lead_ids=[lead.pk for lead in few],
            concurrency=500,
            max_attempts=4,
            retry_after_s=20,
            machine_detection=False,
        )


def _until_quiet(world: Rig, spaces: list[Any]) -> bool:
    """Until everybody waits for tomorrow or is done, and nothing is under way."""
    from django.utils import timezone

    from voice.models import Call, Recipient

    until_s = time.monotonic() + 240
    while time.monotonic() < until_s:
        soon = timezone.now() + timedelta(hours=1)
        mine = Recipient.objects.filter(workspace__in=spaces)
        due = mine.filter(status="calling").exists() or (
            mine.filter(status="pending").exclude(next_at__gt=soon).exists()
        )
        if not due and not Call.objects.filter(workspace__in=spaces).exclude(status="finalized").exists():
            return True
        time.sleep(0.3)
    return False


def _dialed(world: Rig, numbers: set[str]) -> Counter[str]:
    return Counter(call.to for call in list(world.carrier.calls.values()) if call.from_ in numbers)


def _judge(broken: Counter[str], dialed: Counter[str], count: int, most: int, when: str) -> None:
    broken[f"too_often_{when}"] += sum(times > most for times in dialed.values())
    broken[f"not_as_often_as_allowed_{when}"] += count * most - sum(min(n, most) for n in dialed.values())


def _a_day_later(spaces: list[Any]) -> None:
    """The books are a day older; who waited for that is due."""
    from django.db.models import F

    from voice.models import Call, Recipient

    ago = timedelta(days=1, seconds=1)
    calls = Call.objects.filter(workspace__in=spaces)
    calls.update(
        placed_at=F("placed_at") - ago, ended_at=F("ended_at") - ago, finalized_at=F("finalized_at") - ago
    )
    Recipient.objects.filter(workspace__in=spaces, status="pending").update(next_at=None)


def _dials_without_a_decision(spaces: list[Any], world: Rig) -> int:
    from voice.models import Call, Decision

    allowed = Decision.objects.filter(workspace__in=spaces, stage="dial", allowed=True)
    known = set(allowed.values_list("call__provider_sid", flat=True))
    calls = Call.objects.filter(workspace__in=spaces).values_list("provider_sid", flat=True)
    return len({sid for sid in calls if sid in world.carrier.calls} - known)


if __name__ == "__main__":
    main("I6", prove)
