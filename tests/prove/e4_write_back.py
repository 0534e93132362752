"""E4: a verdict is written back to the CRM exactly once a call; model output that does not hold is no guess.

Calls that have ended are finalized by several workers, all at the same calls, that are killed with SIGKILL at
random instants; leases are so short that workers also overtake the living. The verdict model answers well,
breaks the schema, invents quotes, refuses, answers 503, or repairs itself when told.

    python -m tests.prove.e4_write_back [--full]
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tenex.engines.bootstrap import ensure_environment
from tests.prove.dial_rig import database, main

WORKERS = 3
KINDS = ("good", "good", "schema", "quote", "outage", "repaired", "refused", "good")
FOR_REVIEW = frozenset({"schema", "quote", "refused"})


@dataclass(frozen=True)
class Size:
    calls: int
    timeout_s: float


QUICK = Size(calls=40, timeout_s=75)
FULL = Size(calls=800, timeout_s=1200)


def prove(full: bool) -> dict[str, Any]:
    """Run it on a database of its own, every timer twenty times as fast; the line to print."""
    size = FULL if full else QUICK
    os.environ |= {
        "DEBUG": "1",
        "LOG_LEVEL": "ERROR",
        "TENEX_TIME_SCALE": "20",
        "FINALIZE_LEASE_S": "0.4",
        "DATABASE_POOL_SIZE": "0",
        "OPENAI_API_KEY": "sk-prove",
        "DJANGO_SETTINGS_MODULE": "tenex.settings",
    }
    ensure_environment(throwaway=True)
    with database(), _judge() as base_url:
        os.environ["OPENAI_BASE_URL"] = base_url
        kinds = _seed(size.calls)
        kills = _work(base_url, size.timeout_s)
        found = _violations(kinds)
        return {
            "trials": size.calls,
            "violations": sum(found.values()),
            "kinds": dict(found),
            "kills": kills,
            "workers": WORKERS,
            "tries": _tries(),
        }


@contextmanager
def _judge() -> Iterator[str]:
    """The verdict model, in a process of its own: threads and the forks of the workers do not mix."""
    here, there = multiprocessing.get_context("fork").Pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            _serve_judge(there)
        os._exit(0)
    try:
        yield str(here.recv())
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _serve_judge(pipe: Any) -> None:
    from tests.postcall.responses_server import Reply, opinion, serving

    # A worker that dies in the middle of a request is no news.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    asked: Counter[str] = Counter()

    def answer(case: dict[str, Any], messages: int) -> Reply:
        kind, name = case["objective"].split()
        asked[name] += 1
        invented = {"name": "budget", "met": True, "evidence": {"quote": "a million", "item_id": "item_1"}}
        broken = opinion(case, criteria=[invented, invented])
        match kind:
            case "schema":
                return '{"qualification": "very", "confidence": 7}'
            case "quote":
                return broken
            case "refused":
                return "REFUSE"
            case "outage" if asked[name] <= 2:
                return 503
            case "repaired" if messages == 1:
                return broken
        return opinion(case)

    with serving(answer) as server:
        pipe.send(server.base_url)
        signal.pause()


def _seed(count: int) -> dict[str, str]:
    """Calls that have just ended: call id -> how the model will answer."""
    from tests import rows
    from voice.models import EndReason

    space = rows.workspace("prove")
    agent = rows.version(space)
    kinds = {}
    for index in range(count):
        kind = KINDS[index % len(KINDS)]
        phone = f"+1415555{index:04}"
        call = rows.call(
            space,
            agent=agent,
            lead=rows.lead(space, phone=phone),
            from_number=phone,
            objective=f"{kind} call-{index}",
        )
        rows.say(call, ("agent", "Do you have a budget?"), ("caller", "Yes, two thousand dollars."))
        rows.end(call, EndReason.CALLER_HANGUP)
        kinds[str(call.pk)] = kind
    return kinds


def _work(base_url: str, timeout_s: float) -> int:
    """Let workers at it, kill them at random, until every call is finalized; how many were killed."""
    from django.conf import settings
    from django.db import connection

    from voice.models import Call
    from voice.postcall import judge, pipeline  # noqa: F401
    from voice.postcall.case import Case, Said
    from voice.services import model_access

    settings.OPENAI_BASE_URL = base_url
    # Imports and schemas before the forks: a worker must be at work within milliseconds.
    case = Case([], "good warm-up", [Said("item_0", "caller", "Hello")], [], None, {})
    judge.judge(case, model_access.of_settings())
    connection.close()
    draw = random.Random(4)
    workers = [_fork_worker() for _ in range(WORKERS)]
    kills = 0
    deadline = time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline and Call.objects.exclude(status="finalized").exists():
            connection.close()
            time.sleep(draw.uniform(0.1, 1.0))
            victim = draw.randrange(WORKERS)
            _kill(workers[victim])
            kills += 1
            workers[victim] = _fork_worker()
    finally:
        for worker in workers:
            _kill(worker)
    return kills


def _fork_worker() -> int:
    child = os.fork()
    if child:
        return child
    try:
        _finalize_all()
    finally:
        os._exit(1)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _finalize_all() -> None:
    """What a worker does, without waiting to be asked, and again for calls that are long finalized."""
    import django.db

    from voice.models import Call
    from voice.postcall import pipeline

    django.db.connection.connection = None  # never the parent's socket
    draw = random.Random(os.getpid())
    while True:
        due = pipeline.due()
        again = list(Call.objects.filter(status="finalized").values_list("pk", flat=True)[:5])
        chosen = due[:20] + again
        draw.shuffle(chosen)
        for call_id in chosen:
            pipeline.finalize(call_id)
        time.sleep(0.01)


def _violations(kinds: dict[str, str]) -> Counter[str]:
    from crm.models import TimelineEntry
    from tenex.events.models import Event
    from voice.models import Call, Verdict

    found: Counter[str] = Counter()
    for call in Call.objects.select_related("lead"):
        kind = kinds[str(call.pk)]
        verdicts = list(Verdict.objects.filter(call=call))
        events = list(Event.objects.filter(call_id=call.pk).order_by("seq"))
        types = Counter(event.type for event in events)
        lines = TimelineEntry.objects.filter(call_id=call.pk, type="call.verdict").count()
        found["not finalized"] += call.status != "finalized"
        found["write-back not once"] += lines != 1
        found["lead.updated not once"] += types["lead.updated"] != 1
        found["completed event not once"] += types["agent.run.completed"] != 1
        found["sequence with gaps"] += [event.data["sequence"] for event in events] != [
            *range(1, len(events) + 1)
        ]
        if len(verdicts) != 1:
            found["verdict not once"] += 1
        elif not _fits(kind, verdicts[0], call):
            found[f"wrong verdict: {kind}"] += 1
    sequences = list(Event.objects.order_by("seq").values_list("seq", flat=True))
    found["events with gaps"] += sequences != [*range(1, len(sequences) + 1)]
    return +found


def _fits(kind: str, verdict: Any, call: Any) -> bool:
    review = (verdict.qualification, verdict.needs_review, call.outcome, call.lead.qualification) == (
        "undetermined",
        True,
        "undetermined",
        "undetermined",
    )
    good = (verdict.qualification, call.outcome, call.lead.stage) == ("qualified", "qualified", "qualified")
    if kind in FOR_REVIEW:
        return review
    # A call whose workers died often enough is at its last try when the model is away: then it is for review.
    return good or (kind == "outage" and review)


def _tries() -> dict[str, int]:
    from django.db.models import Max, Sum

    from voice.models import Finalization

    found = Finalization.objects.aggregate(all=Sum("tries"), most=Max("tries"))
    return {name: int(value or 0) for name, value in found.items()}


if __name__ == "__main__":
    main("E4", prove)
