"""B4: hostile frames raise nothing, grow nothing, and a neighbour's call does not feel them.

The attack (tests.prove.live_attacker) goes on and off in turns; the neighbour's frames are timed from its
phone to the model in both, so that a busy machine counts on both sides.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from typing import TYPE_CHECKING, Any

import orjson

from tests.prove.live_system import LiveSystem, main, percentile, run_live, until

if TYPE_CHECKING:
    from tests.prove.live_phone import Phone

_TURN_S = 4.0
_RSS_MIB = 20.0
_SLOWER_MS = 30.0  # the promise is 10 ms; three times that, because two busy cores time badly


def prove(full: bool) -> dict[str, Any]:
    count = 100_000 if full else 10_000
    return run_live(lambda system: _body(system, count), settings={"LOG_LEVEL": "WARNING"})


async def _body(system: LiveSystem, count: int) -> dict[str, Any]:
    neighbour = system.phone("+14155550199")
    neighbour.stamps = True
    arrivals = time_arrivals(neighbour)
    system.ring(neighbour)
    await until(lambda: bool(neighbour.sounds), 20)
    await asyncio.sleep(3)
    calm: list[float] = []
    attacked: list[float] = []
    attacker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.prove.live_attacker", f"{system.media_url}/twilio/media",
        stdin=PIPE, stdout=PIPE,
    )  # fmt: skip
    try:
        await _tell(attacker, "stop")
        before_mib = peak_mib = system.rss_mib()
        sent = sockets = 0
        while sent < count:
            neighbour.speak(0.6)  # a caller who says nothing is hung up on
            await asyncio.sleep(1.0)
            arrivals.clear()
            await asyncio.sleep(_TURN_S / 2)
            calm += arrivals
            await _tell(attacker, f"go {count - sent}")
            await asyncio.sleep(0.2)
            arrivals.clear()
            for _ in range(int(_TURN_S / 0.5)):
                await asyncio.sleep(0.5)
                peak_mib = max(peak_mib, system.rss_mib())
            attacked += arrivals
            sent, sockets = await _tell(attacker, "stop")
            await asyncio.sleep(0.3)
    finally:
        attacker.kill()
        await attacker.wait()
    await asyncio.sleep(3)
    after_mib = system.rss_mib()
    errors = system.server_errors()
    alive = neighbour.streams == 1 and not neighbour.ended_at
    calm_ms, attacked_ms = percentile(calm, 0.99) * 1000, percentile(attacked, 0.99) * 1000
    grown = peak_mib - before_mib
    slower = attacked_ms - calm_ms
    return {
        "trials": sent,
        "violations": len(errors) + (grown > _RSS_MIB) + (slower > _SLOWER_MS) + (not alive),
        "unhandled": len(errors),
        "sockets": sockets,
        "rss_before_mib": before_mib,
        "rss_peak_mib": peak_mib,
        "rss_after_mib": after_mib,
        "neighbour_alive": alive,
        "neighbour_p99_calm_ms": calm_ms,
        "neighbour_p99_attacked_ms": attacked_ms,
        "p50": percentile(attacked, 0.5) * 1000,
        "p99": attacked_ms,
        "first_error": errors[0][:300] if errors else "",
    }


async def _tell(attacker: Process, word: str) -> tuple[int, int]:
    assert attacker.stdin is not None
    assert attacker.stdout is not None
    attacker.stdin.write(f"{word}\n".encode())
    answer = json.loads(await asyncio.wait_for(attacker.stdout.readline(), 30))
    return answer["sent"], answer["sockets"]


def time_arrivals(neighbour: "Phone", *, hear_others: bool = False) -> list[float]:
    """Seconds that each stamped frame took from its phone to the model, as they arrive.

    The model is deaf to all others, unless `hear_others`: whoever it does not hear is hung up on for silence.
    """
    from tests.prove.live_phone import STAMP_CHARS
    from voice.rehearsal import openai_server
    from voice.rehearsal.model.session import RealtimeSession

    arrivals: list[float] = []
    loop = asyncio.get_running_loop()

    class Timed(RealtimeSession):
        def receive(self, raw: str | bytes) -> None:
            if "append" in str(raw[:60]):
                audio = str(orjson.loads(raw)["audio"])[:STAMP_CHARS]
                sent_at = neighbour.sent_at.pop(audio, None)
                if sent_at is not None:
                    arrivals.append(loop.time() - sent_at)
                elif not hear_others and getattr(self.mind, "remote", "") != neighbour.remote:
                    return  # listening to rubbish would cost this process, which keeps the time
            super().receive(raw)

    vars(openai_server)["RealtimeSession"] = Timed
    return arrivals


if __name__ == "__main__":
    main("B4", prove)
