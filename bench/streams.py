"""`python -m bench.streams`: what readers of event streams cost, and how old an event is when they see it.

Half of the readers follow calls (some the same one), half the workspace. First nothing happens: the server's
share of a core is what idle readers cost. Then lines and events are written at a steady rate. The age of an
event counts from the instant before it is written, so it holds the commit, the doorbell and the read.
"""

import argparse
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
os.environ.setdefault("SECRET_KEY", secrets.token_hex(32))  # so that DEBUG is off, as in production

from tenex.engines.bootstrap import ensure_environment

ensure_environment(throwaway=True)

from bench import fixture, media  # noqa: E402 - after the engines have addresses

CALLS: Final = 20
WORDS_A_LINE: Final = 3
HEAD: Final = (
    f"{'readers':>7} {'idle CPU %':>10} {'busy CPU %':>10} {'seen':>8} {'age p50/p99/max ms':>24}"
    f" {'write p50/p99 ms':>16} {'lost':>5} {'KB/reader':>10}"
)


@dataclass(slots=True)
class Run:
    """One number of readers. CPU in percent of one core."""

    readers: int
    idle_cpu_percent: float
    busy_cpu_percent: float
    written_per_s: float
    expected: int
    seen: int
    age_ms: tuple[float, float, float]
    """p50, p99, max, from the instant before the write."""
    write_ms: tuple[float, float, float]
    """Of the write alone: that part of the age in which there is nothing to see yet."""
    lost: int
    kb_per_reader: float

    def row(self) -> str:
        p50, p99, most = self.age_ms
        return (
            f"{self.readers:>7} {self.idle_cpu_percent:>10.1f} {self.busy_cpu_percent:>10.1f} {self.seen:>8}"
            f" {p50:>8.1f}/{p99:>6.1f}/{most:>7.1f} {self.write_ms[0]:>8.1f}/{self.write_ms[1]:>7.1f}"
            f" {self.lost:>5} {self.kb_per_reader:>10.0f}"
        )


def measure(readers: int, *, seconds: float, per_s: float, database_url: str) -> Run:
    """Start a server and its readers; look at it idle, then busy."""
    import contextlib

    environment = os.environ | {"DATABASE_URL": database_url}
    port = media._free_port()
    rows = fixture.calls(CALLS)
    key, paths = _asked(rows, readers)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(media._ready("bench.server", "--port", str(port), env=environment))
        before_kb = media._rss_kb(server.pid)
        load = stack.enter_context(
            media._process("bench.stream_load", "--port", str(port), core=1, env=environment)
        )
        media._write(load, json.dumps({"key": key, "paths": paths}))
        media._expect(load, "ready")
        time.sleep(2)
        idle_cpu = _cpu_percent(server.pid, lambda: time.sleep(seconds), seconds)
        kb = (media._rss_kb(server.pid) - before_kb) / readers
        media._write(load, "mark")
        media._expect(load, "marked")
        written: list[int] = []
        took_us: list[int] = []
        busy_cpu = _cpu_percent(
            server.pid, lambda: written.extend(_write(rows, seconds, per_s, took_us)), seconds
        )
        time.sleep(2)
        media._write(load, "stop")
        result = json.loads(media._line(load))
    on_calls = readers // 2 // CALLS
    return Run(
        readers=readers,
        idle_cpu_percent=idle_cpu,
        busy_cpu_percent=busy_cpu,
        written_per_s=sum(written) / seconds,
        expected=written[0] * on_calls + written[1] * (readers - CALLS * on_calls),
        seen=len(result["ages_us"]),
        age_ms=media._spread(result["ages_us"]),
        write_ms=media._spread(took_us),
        lost=result["lost"],
        kb_per_reader=kb,
    )


def _cpu_percent(pid: int, work: Any, seconds: float) -> float:
    used = media._cpu_s(pid)
    work()
    return 100 * (media._cpu_s(pid) - used) / seconds


def _asked(rows: fixture.Fixture, readers: int) -> tuple[str, list[str]]:
    """A key, and the addresses of all readers."""
    from tenex.workspaces.services import keys
    from voice.models import Call

    workspace = Call.objects.get(pk=rows.calls[0]["call_id"]).workspace
    _, key = keys.create(workspace, "bench", ["*"], "system:bench")
    on_calls = readers // 2 // CALLS
    paths = [f"/api/v1/voice/calls/{call['call_id']}/stream" for call in rows.calls for _ in range(on_calls)]
    return key, paths + ["/api/v1/voice/stream"] * (readers - len(paths))


def _write(rows: fixture.Fixture, seconds: float, per_s: float, took_us: list[int]) -> tuple[int, int]:
    """Lines of calls and events of the workspace in turn; how many of each."""
    from django.db import transaction

    from tenex.events import services as events
    from voice.models import Call
    from voice.services import journal

    workspace_id = Call.objects.get(pk=rows.calls[0]["call_id"]).workspace_id
    begin, lines, facts = time.monotonic(), 0, 0
    for turn in range(round(seconds * per_s)):
        time.sleep(max(0.0, begin + turn / per_s - time.monotonic()))
        began = time.monotonic()
        data = {"item_id": "item_1", "speaker": "agent", "text": "word " * WORDS_A_LINE}
        if turn % 4:
            call_id = rows.calls[turn % CALLS]["call_id"]
            line = journal.Line("transcript.delta", {**data, "stamp": time.monotonic_ns(), "end": 0})
            journal.append(call_id, [line])  # type: ignore[arg-type]  # psycopg takes the text of an id
            lines += 1
        else:
            fact = {"stamp": time.monotonic_ns(), "end": 0}
            with transaction.atomic():
                events.record(workspace_id=workspace_id, type="lead.updated", data=fact)
            facts += 1
        took_us.append(round((time.monotonic() - began) * 1e6))
    return lines, facts


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.streams", description=__doc__)
    parser.add_argument("--readers", default="200", help="numbers of readers, from 40 on")
    parser.add_argument("--seconds", type=float, default=20.0, help="idle, and then busy, for so long")
    parser.add_argument("--per-second", type=float, default=20.0, help="lines and events written")
    parser.add_argument("--json", type=Path, default=None, help="where to write everything")
    parser.add_argument("--real-time", action="store_true", help="before all other work here (needs root)")
    options = parser.parse_args()
    media.REAL_TIME = options.real_time
    with fixture.scratch_database() as database_url:
        print(HEAD, flush=True)
        runs = []
        for readers in map(int, options.readers.split(",")):
            run = measure(
                readers, seconds=options.seconds, per_s=options.per_second, database_url=database_url
            )
            print(run.row(), flush=True)
            runs.append(asdict(run))
    if options.json:
        options.json.write_text(json.dumps(runs, indent=2), encoding="utf-8")
    print(json.dumps(runs, indent=2))


if __name__ == "__main__":
    main()
