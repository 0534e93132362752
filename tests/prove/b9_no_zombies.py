"""B9: no call outlives its longest duration or its silence limit by 5 s, though the carrier tells us nothing.

The carrier ends a call when it is asked to and never says so: no `stop`, the socket stays open without a
frame, no status callback. A quarter of the requests to hang up are answered with 500 at the first try. Then
the row ends as well, by the sweeper's own question, and the call completes once. Times are of the
compressed clock.
"""

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.prove.live_system import LiveSystem, main, percentile, run_live, until

if TYPE_CHECKING:
    from tests.prove.live_phone import Phone

_SCALE = 1.25
_AT_ONCE = 40
_MAX_S = 36
_REPROMPT_S = 4
_SILENCES = 3
"""Two re-prompts, then the goodbye."""
_GRACE_S = 5.0
KINDS = ("silent", "talks", "no frames")


@dataclass
class Life:
    kind: str
    phone: "Phone"
    over_s: float | None = None
    """How long it outlived its limit, in seconds of the call's clock; None: it lives."""


def prove(full: bool) -> dict[str, Any]:
    count = 500 if full else 24
    return run_live(
        lambda system: _body(system, count),
        scale=_SCALE,
        worker=True,
        settings={"LOG_LEVEL": "WARNING", "CALL_LEASE_S": "5"},
        profile={"max_duration_s": _MAX_S, "silence_reprompt_s": _REPROMPT_S},
    )


async def _body(system: LiveSystem, count: int) -> dict[str, Any]:
    lives: list[Life] = []
    for first in range(0, count, _AT_ONCE):
        numbers = range(first, min(count, first + _AT_ONCE))
        wave = [Life(KINDS[n % len(KINDS)], system.phone(f"+1415{n:07d}")) for n in numbers]
        await asyncio.gather(*(_live(system, life, n) for life, n in zip(wave, numbers, strict=True)))
        lives += wave
    reasons, row_lag_s, open_rows, wrong = await _rows(system, lives)
    over = [life.over_s for life in lives if life.over_s is not None]
    zombies = sum(life.over_s is None or life.over_s > _GRACE_S for life in lives)
    errors = system.server_errors()
    return {
        "trials": len(lives),
        "violations": zombies + open_rows + wrong + len(errors),
        "outlived": zombies,
        "rows_still_open": open_rows,
        "not_completed_once": wrong,
        "errors_logged": len(errors),
        "p50": percentile(over, 0.5) * 1000,
        "p99": percentile(over, 0.99) * 1000,
        "worst_over_s": {
            kind: round(max((life.over_s or 0.0 for life in lives if life.kind == kind), default=0.0), 1)
            for kind in KINDS
        },
        "row_ends_after_p99_s": percentile(row_lag_s, 0.99),
        "reasons": dict(reasons),
        "first_error": errors[0][:300] if errors else "",
    }


async def _live(system: LiveSystem, life: Life, number: int) -> None:
    phone, loop = life.phone, asyncio.get_running_loop()
    phone.leaves_socket_open = True
    phone.hang_up_refusals = 1 if number % 4 == 0 else 0
    phone.frame_s = 0.1
    await asyncio.sleep(number % _AT_ONCE * 0.3)
    system.ring(phone)
    await until(lambda: any(sound.what == "agent" for sound in phone.sounds) or bool(phone.ended_at), 30)
    began = phone.connected_at
    deadline = began + 3 * _MAX_S / _SCALE
    if life.kind == "no frames":
        phone.mute = True
    while not phone.ended_at and loop.time() < deadline:
        if life.kind == "talks" and not phone.sounding:
            phone.speak(0.8)
        await asyncio.sleep(1.0 / _SCALE)
    if not phone.ended_at:
        return
    over = [(phone.ended_at - began) * _SCALE - _MAX_S]
    if life.kind == "silent":
        over.append(_last_silence_s(phone) - _REPROMPT_S)
    if life.kind == "no frames":  # nobody is asked again: the whole of the silence limit is for the stream
        over.append(_last_silence_s(phone) - _SILENCES * _REPROMPT_S)
    life.over_s = max(over)


def _last_silence_s(phone: "Phone") -> float:
    """From the end of the agent's last word before its goodbye to the end of the call, less the goodbye."""
    silence_s, heard_until = 0.0, phone.connected_at
    for sound in phone.sounds:
        if (sound.starts - heard_until) * _SCALE > _REPROMPT_S / 2:
            silence_s = sound.starts - heard_until  # it spoke up again: a re-prompt, or the goodbye
        heard_until = max(heard_until, sound.ends)
    return (silence_s + phone.ended_at - heard_until) * _SCALE


async def _rows(system: LiveSystem, lives: list[Life]) -> tuple[Counter[str], list[float], int, int]:
    """Reasons, how long after the call its row ended, rows that did not end, calls without one completion."""
    from django.utils import timezone

    from tenex.events.models import Event
    from voice.models import Call
    from voice.models.calls import LIVE

    loop = asyncio.get_running_loop()
    wall = timezone.now().timestamp() - loop.time()
    ended = {life.phone.sid: wall + life.phone.ended_at for life in lives}

    def look() -> tuple[Counter[str], list[float], int, int]:
        calls = list(Call.objects.filter(provider_sid__in=ended))
        done = Counter(Event.objects.filter(type="agent.run.completed").values_list("call_id", flat=True))
        lag = [
            (call.ended_at.timestamp() - ended[call.provider_sid or ""]) * _SCALE
            for call in calls
            if call.ended_at
        ]
        return (
            Counter(str(call.end_reason) for call in calls),
            lag,
            len(ended) - len(calls) + sum(call.status in LIVE for call in calls),
            sum(done[call.pk] != 1 for call in calls),
        )

    found = await system.rows(look)
    deadline = loop.time() + 40
    while (found[2] or found[3]) and loop.time() < deadline:
        await asyncio.sleep(0.5)
        found = await system.rows(look)
    if found[2]:
        fields = ("status", "end_hint", "provider_status", "sweep_at", "lease_until", "answered_at")
        stuck = await system.rows(lambda: list(Call.objects.filter(status__in=LIVE).values(*fields)[:5]))
        print(f"still live at {timezone.now()}: {stuck}", file=sys.stderr)
    return found


if __name__ == "__main__":
    main("B9", prove)
