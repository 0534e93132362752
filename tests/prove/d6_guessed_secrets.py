"""D6: 500 wrong secrets a second for a known key hurt neither the API, nor live calls, nor that key itself.

Ten calls talk, a client asks twenty times a second with the very key that is attacked. The attack
(tests.prove.guessing) goes on and off in turns, so that a busy machine counts on both sides; the p99 of each
attacked turn is held against that of the calm one before it, and the median of these ratios counts.
"""

import asyncio
import json
import statistics
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from typing import Any

from tests.prove.b4_hostile_frames import time_arrivals
from tests.prove.live_system import LiveSystem, main, percentile, run_live, until

_CALLS = 10
_PER_S = 500
_ASKS_PER_S = 20
_RATIO = 3.0
_FLOOR_MS = 20.0
"""A calm p99 below this counts as this: on two busy cores smaller ones are chance."""
_SLOWER_MS = 30.0  # the promise is 10 ms; three times that, because two busy cores time badly
_RSS_MIB = 20.0


def prove(full: bool) -> dict[str, Any]:
    turns, turn_s = (8, 5.0) if full else (3, 3.0)
    return run_live(
        lambda system: _body(system, turns, turn_s),
        settings={"LOG_LEVEL": "WARNING", "RATE_LIMIT_PER_MINUTE": "1000000"},
    )


async def _body(system: LiveSystem, turns: int, turn_s: float) -> dict[str, Any]:
    prefix, text = await system.rows(_key)
    phones = [system.phone(f"+1415555{number:04d}") for number in range(_CALLS)]
    phones[0].stamps = True
    arrivals = time_arrivals(phones[0], hear_others=True)
    for phone in phones:
        system.ring(phone)
    await until(lambda: all(phone.sounds for phone in phones), 40)
    client = _Client(system, text)
    asking = asyncio.create_task(client.run())
    guesser = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.prove.guessing", system.base_url, prefix, str(_PER_S),
        stdin=PIPE, stdout=PIPE,
    )  # fmt: skip
    took: dict[bool, list[float]] = {False: [], True: []}
    p99_ms: dict[bool, list[float]] = {False: [], True: []}
    frames: dict[bool, list[float]] = {False: [], True: []}
    attacked_s = 0.0
    try:
        await _tell(guesser, "stop")
        await asyncio.sleep(2)
        before_mib = peak_mib = system.rss_mib()
        for turn in range(2 * turns):
            attack = turn % 2 == 1
            began_s = time.monotonic()
            told = await _tell(guesser, "go" if attack else "stop")
            for phone in phones:
                phone.speak(0.6)  # a caller who says nothing is hung up on
            await asyncio.sleep(1.0)
            arrivals.clear()
            client.took.clear()
            await asyncio.sleep(turn_s)
            took[attack] += client.took
            p99_ms[attack].append(percentile(client.took, 0.99) * 1000)
            frames[attack] += arrivals
            peak_mib = max(peak_mib, system.rss_mib())
            if attack:
                told = await _tell(guesser, "stop")
                attacked_s += time.monotonic() - began_s
    finally:
        asking.cancel()
        guesser.kill()
        await guesser.wait()
    answers: Counter[str] = Counter(told["answers"])
    calm_ms, attacked_ms = (percentile(took[attack], 0.99) * 1000 for attack in (False, True))
    frame_calm_ms, frame_attacked_ms = (percentile(frames[attack], 0.99) * 1000 for attack in (False, True))
    pairs = zip(p99_ms[False], p99_ms[True], strict=True)
    ratios = [attacked / max(calm, _FLOOR_MS) for calm, attacked in pairs]
    ratio = statistics.median(ratios)
    wrong_answers = answers.total() - answers["401"] - answers["429"]
    ended = sum(bool(phone.ended_at) for phone in phones)
    errors = system.server_errors()
    reasons = await system.rows(_reasons) if ended else {}
    broken = {
        "api_slower": int(ratio > _RATIO),
        "frames_later": int(frame_attacked_ms - frame_calm_ms > _SLOWER_MS),
        "memory": int(peak_mib - before_mib > _RSS_MIB),
        "guesses_answered_otherwise": wrong_answers,
        "guesses_looked_at": int(answers["401"] > 10 * (2 + attacked_s / 60) + 10),
        "own_client_refused": client.refused,
        "calls_ended": ended,
        "errors_logged": len(errors),
    }
    return {
        "trials": answers.total(),
        "violations": sum(broken.values()),
        **{name: count for name, count in broken.items() if count},
        "api_p99_ratio": ratio,
        "guesses_per_s": answers.total() / attacked_s,
        "answers": dict(answers),
        "api_p99_calm_ms": calm_ms,
        "api_p99_attacked_ms": attacked_ms,
        "api_p50_calm_ms": percentile(took[False], 0.5) * 1000,
        "api_p50_attacked_ms": percentile(took[True], 0.5) * 1000,
        "frame_p99_calm_ms": frame_calm_ms,
        "frame_p99_attacked_ms": frame_attacked_ms,
        "rss_grown_mib": peak_mib - before_mib,
        "end_reasons": reasons,
        "first_error": errors[0][:300] if errors else "",
    }


class _Client:
    """An honest user of the attacked key."""

    def __init__(self, system: LiveSystem, text: str) -> None:
        self._system, self._headers = system, {"Authorization": f"Bearer {text}"}
        self.took: list[float] = []
        self.refused = 0

    async def run(self) -> None:
        while True:
            began_s = time.monotonic()
            url = f"{self._system.base_url}/api/v1/voice/calls?limit=5"
            async with self._system.http.get(url, headers=self._headers) as answer:
                await answer.read()
                self.refused += answer.status != 200
            self.took.append(time.monotonic() - began_s)
            await asyncio.sleep(max(0.0, began_s + 1 / _ASKS_PER_S - time.monotonic()))


async def _tell(guesser: Process, word: str) -> dict[str, Any]:
    assert guesser.stdin is not None
    assert guesser.stdout is not None
    guesser.stdin.write(f"{word}\n".encode())
    told: dict[str, Any] = json.loads(await asyncio.wait_for(guesser.stdout.readline(), 30))
    return told


def _reasons() -> dict[str, int]:
    """Why calls ended, by the number of calls."""
    from voice.models import Call

    ended = Call.objects.exclude(ended_at=None).values_list("end_reason", flat=True)
    return dict(Counter(reason or "" for reason in ended))


def _key() -> tuple[str, str]:
    from tenex.workspaces.models import Workspace
    from tenex.workspaces.services import keys

    key, text = keys.create(Workspace.objects.get(), "attacked", ["*"], "system:prove")
    return key.prefix, text


if __name__ == "__main__":
    main("D6", prove)
