"""D9: caps hold, whoever dies: lines of a workspace, calls a second, items of a request, requests a minute.

Four dialing workers that are killed again and again, and a carrier that counts what is really live and when
it was asked to dial. Beside that, web processes that are killed too: of a flood of requests no more than the
limit of a minute get through over all of them, every other one is a 429 that says when to come back.
"""

import asyncio
import random
import secrets
import threading
import time
from collections import Counter
from typing import Any

import aiohttp

from tests.prove.dial_rig import Rig, main, rig
from tests.prove.fake_carrier import FakeCarrier

_WORKERS = 4
_WEBS = 4
_LINES = 3
_PER_S = 4
_PLENTY = 60
"""Of what a batch is not to be short of."""
_REQUESTS = 120


class Watch:
    """The most calls that were live at the carrier at once."""

    def __init__(self, carrier: FakeCarrier) -> None:
        self.most = 0
        self._carrier, self._over = carrier, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.002):
            self.most = max(self.most, self._carrier.live())


def prove(full: bool) -> dict[str, Any]:
    leads, kills = (300, 30) if full else (24, 4)
    carrier = FakeCarrier(outcome=lambda _: "completed", ring_s=0.1, talk_s=0.6, seed=9)
    with rig(carrier, {"RATE_LIMIT_PER_MINUTE": str(_REQUESTS)}) as world:
        webs = [world.processes.spawn("web") for _ in range(_WEBS)]
        flood = asyncio.run(_flood(world, webs))
        broken: Counter[str] = Counter(flood)
        workers = [world.processes.spawn() for _ in range(_WORKERS)]
        few_lines = _dial(world, workers, broken, leads, kills, lines=_LINES, per_s=_PLENTY)
        slowly = _dial(world, workers, broken, leads, kills, lines=_PLENTY, per_s=_PER_S)
        answers = {name: broken.pop(name, 0) for name in ("answered", "refused_429", "lost")}
        return {
            "trials": 2 * leads + sum(answers.values()),
            "violations": sum(broken.values()),
            **+broken,
            "kills": 2 * kills,
            "lines": _LINES,
            "most_live": few_lines["most_live"],
            "calls_per_second": _PER_S,
            "most_starts_in_a_second": slowly["most_starts"],
            **answers,
        }


def _dial(
    world: Rig, workers: list[int], broken: Counter[str], leads: int, kills: int, *, lines: int, per_s: int
) -> dict[str, int]:
    """One batch under these caps while workers are killed; what the carrier saw."""
    first = len(world.carrier.starts_s)
    batch = world.batch(leads, calls_per_second=per_s, lines=lines)
    with Watch(world.carrier) as watch:
        for _ in range(kills):
            time.sleep(random.uniform(0.2, 0.5))
            victim = random.randrange(_WORKERS)
            world.processes.kill(workers[victim])
            workers[victim] = world.processes.spawn()
        finished = world.wait_completed(batch)
    most_starts = most_in_a_second(world.carrier.starts_s[first:])
    broken["over_the_lines"] += max(0, watch.most - lines)
    broken["too_fast"] += max(0, most_starts - per_s - 1)  # a bucket that was full, and what drips in
    broken["batch_not_completed"] += not finished
    return {"most_live": watch.most, "most_starts": most_starts}


async def _flood(world: Rig, webs: list[int]) -> dict[str, int]:
    """Three times the minute's requests at one go, web processes dying in it; and too many items at once."""
    from django.conf import settings

    text, other = await asyncio.to_thread(_keys)
    base = settings.PUBLIC_BASE_URL
    answers: Counter[int] = Counter()
    without_advice = 0
    began_s = time.monotonic()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=40)) as http:
        await _until_answered(http, f"{base}/healthz/live")

        async def kill() -> None:
            for _ in range(_WEBS):
                await asyncio.sleep(0.3)
                await asyncio.to_thread(world.processes.kill, webs.pop(0))
                webs.append(await asyncio.to_thread(world.processes.spawn, "web"))

        async def ask() -> None:
            nonlocal without_advice
            try:
                async with http.get(f"{base}/api/v1/users/me", headers=_bearer(text)) as answer:
                    answers[answer.status] += 1
                    if answer.status == 429:
                        told = await answer.json()
                        good = told["error"] == "rate_limited" and set(told) == {"error", "message"}
                        wait_s = int(answer.headers.get("Retry-After", "0"))
                        without_advice += not (good and 1 <= wait_s <= 60)
            except aiohttp.ClientError:
                answers[0] += 1

        await asyncio.gather(kill(), *(ask() for _ in range(3 * _REQUESTS)))
        minutes = 1 + (time.monotonic() - began_s) / 60
        many = {"lead_ids": [secrets.token_hex(16)] * 501, "objective": "x"}
        async with http.post(f"{base}/api/v1/voice/batches", json=many, headers=_bearer(other)) as answer:
            refused = answer.status == 422 and b"lead_ids" in await answer.read()
    most = int(_REQUESTS * minutes) + 1
    return {
        "over_the_minute": max(0, answers[200] - most),
        "nothing_got_through": int(answers[200] < _REQUESTS / 2),
        "no_retry_after": without_advice,
        "other_answers": sum(n for status, n in answers.items() if status not in (0, 200, 429)),
        "answered": answers[200],
        "refused_429": answers[429],
        "lost": answers[0],
        "too_many_items_taken": int(not refused),
    }


async def _until_answered(http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                async with http.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


def _keys() -> list[str]:
    from django.db import connection

    from tenex.workspaces.services import keys
    from tests import rows

    try:
        space = rows.workspace(f"caps-{secrets.token_hex(4)}")
        return [keys.create(space, "caps", ["*"], "system:prove")[1] for _ in range(2)]
    finally:
        connection.close()


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def most_in_a_second(starts_s: list[float]) -> int:
    """The most requests to dial in any second."""
    ordered = sorted(starts_s)
    most = first = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] > 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


if __name__ == "__main__":
    main("D9", prove)
