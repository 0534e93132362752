"""D3: the same request many times is one effect, whoever dies in between.

Two hundred identical POSTs at once over four web processes, again and again, for different kinds of effects:
one row, no 5xx; the rest gets the same answer or 409. The key with another body is 422. Then a process is
killed between commit and answer: the retry, on another process, gets the answer that the first one had.
"""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.prove.api_rig import Api, Reply, main, rig

if TYPE_CHECKING:
    from tests.api.world import Tenant

_AT_ONCE = 200
_WEBS = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """A POST, by a text that makes its body unlike others, and how many of its effects there are."""

    path: str
    body: Callable[[str], dict[str, Any]]
    count: Callable[[str], int]


def prove(full: bool) -> dict[str, Any]:
    rounds, kills = (50, 25) if full else (6, 3)
    with rig(_WEBS) as api:
        from tests.api.world import make

        tenant = make("d3", 0)
        kinds = _kinds(tenant)
        broken: Counter[str] = Counter()
        answers: Counter[str] = Counter()
        for number in range(rounds):
            _storm(api, tenant, kinds[number % len(kinds)], broken, answers)
        killed = sum(_kill(api, tenant, kinds[number % len(kinds)], broken) for number in range(kills))
        broken["killed_less_than_meant"] += killed != kills
        broken["kept_too_short"] += _kept() < timedelta(hours=72)
        broken["errors_logged"] += len(api.errors())
        return {
            "trials": rounds * _AT_ONCE + kills,
            "violations": sum(broken.values()),
            **+broken,
            "rounds": rounds,
            "answers": dict(answers),
            "killed_between_commit_and_answer": killed,
        }


def _kinds(tenant: "Tenant") -> list[Kind]:
    from crm.models import Lead
    from tenex.workspaces.models import ApiKey
    from voice.models import Batch

    lead = str(tenant.lead.id)
    return [
        Kind(
            "/api/v1/crm/leads",
            lambda tag: {"first_name": tag},
            lambda tag: Lead.objects.filter(first_name=tag).count(),
        ),
        Kind(
            "/api/v1/voice/batches",
            lambda tag: {"lead_ids": [lead], "objective": tag},
            lambda tag: Batch.objects.filter(objective=tag).count(),
        ),
        Kind(
            "/api/v1/admin/api-keys",
            lambda tag: {"name": tag},
            lambda tag: ApiKey.objects.filter(name=tag).count(),
        ),
    ]


def _storm(api: Api, tenant: "Tenant", kind: Kind, broken: Counter[str], answers: Counter[str]) -> None:
    tag = secrets.token_hex(8)
    body = json.dumps(kind.body(tag)).encode()

    async def storm() -> tuple[list[Reply], Reply, Reply]:
        many = await asyncio.gather(*(_post(api, tenant, kind, body, tag) for _ in range(_AT_ONCE)))
        again = await _post(api, tenant, kind, body, tag)
        other = await _post(api, tenant, kind, json.dumps(kind.body(tag + "x")).encode(), tag)
        return many, again, other

    many, again, other = api.run(storm())
    good = [one for one in many if one.status == 201]
    fresh = [one for one in good if "Idempotent-Replayed" not in one.headers]
    for one in many:
        replayed = " replayed" if "Idempotent-Replayed" in one.headers else ""
        answers[f"{one.status}{replayed}"] += 1
    broken["not_one_effect"] += kind.count(tag) != 1
    broken["not_one_first_answer"] += len(fresh) != 1
    broken["other_answers"] += sum(one.status not in (201, 409) for one in many)
    broken["answers_differ"] += len({one.body for one in [*good, again]}) != 1
    broken["not_replayed"] += again.headers.get("Idempotent-Replayed") != "true"
    broken["other_body_taken"] += other.status != 422


def _kill(api: Api, tenant: "Tenant", kind: Kind, broken: Counter[str]) -> bool:
    """One process, which dies after it has committed; then another one is asked again."""
    for pid in list(api.webs):
        api.processes.kill(pid)
    api.webs.clear()
    api.start(1, "idempotency.committed:kill")
    mortal = api.webs.pop()
    tag = secrets.token_hex(8)
    body = json.dumps(kind.body(tag)).encode()
    lost = api.run(_post(api, tenant, kind, body, tag))
    died = api.processes.wait_dead(mortal, 20)
    effects = kind.count(tag)
    api.start(1)
    again = [api.run(_post(api, tenant, kind, body, tag)) for _ in range(2)]
    broken["not_one_effect"] += (effects, kind.count(tag)) != (1, 1)
    broken["retry_not_answered"] += [one.status for one in again] != [201, 201]
    broken["retries_differ"] += again[0].body != again[1].body
    broken["not_replayed"] += again[0].headers.get("Idempotent-Replayed") != "true"
    return died and lost.status == 0


async def _post(api: Api, tenant: "Tenant", kind: Kind, body: bytes, tag: str) -> Reply:
    return await api.ask("POST", kind.path, key=tenant.api.token, body=body, Idempotency_Key=tag)


def _kept() -> timedelta:
    """How old an answer may become: the housekeeper is asked, with rows on both sides of the border."""
    from django.utils import timezone

    from tenex.workspaces.models import IdempotentRequest
    from tenex.workspaces.services import housekeeping

    ages = [timedelta(hours=hours) for hours in (1, 71, 71.9, 73)]
    rows = list(IdempotentRequest.objects.all()[: len(ages)])
    for row, age in zip(rows, ages, strict=True):
        IdempotentRequest.objects.filter(pk=row.pk).update(created_at=timezone.now() - age)
    housekeeping.forget_answers()
    alive = set(IdempotentRequest.objects.values_list("pk", flat=True))
    kept = [age for row, age in zip(rows, ages, strict=True) if row.pk in alive]
    return timedelta(hours=72) if kept == ages[:3] else max(kept, default=timedelta())


if __name__ == "__main__":
    main("D3", prove)
