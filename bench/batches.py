"""`python -m bench.batches`: a batch of 50,000 leads out of a CSV file, on PostgreSQL.

The file goes through the API; two workers, one at the import and one at the filling as a system's would be,
run until every row is a recipient. Then the preview over the API, and ticks of the dialer while all wait:
outside of their hours, due with every line in use, and due with lines free, against a carrier on this
machine. Prints a table, and one JSON document; exits with 1 if a limit of issue 4 is missed.
"""

import argparse
import json
import os
import secrets
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any

import psutil

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
os.environ["DEBUG"] = "0"  # as in production: with it Django keeps the last statements
os.environ.setdefault("SECRET_KEY", secrets.token_hex(32))
os.environ.setdefault("LOG_LEVEL", "ERROR")
os.environ["RATE_LIMIT_PER_MINUTE"] = "1000000000"
os.environ["DATABASE_POOL_SIZE"] = "0"  # workers are forked: a pool would be of all of them

from tenex.engines.bootstrap import ensure_environment
from tenex.lib import daytime

LIMITS = {"creation_s": 60.0, "preview_s": 10.0, "tick_p95_ms": 50.0, "growth_mib": 48.0}
"""Of issue 4; constant memory: what the process may grow by, whatever the size of the file."""
TICKS = 200
BATCHES = "/api/v1/voice/batches"


NUMBERS = {"US": "+1415{}", "GU": "+1671{}", "GB": "+44207{}"}
"""With seven digits more; where it is day, so that somebody is dialed."""


def csv_of(rows: int) -> bytes:
    """Names, numbers, a firm, a consent, and two columns that no lead has."""
    place = daytime.place(datetime.now(UTC))
    rest = f"{place.zone},{place.country},2026-09-01,web form"
    lines = ["name,phone,company,time_zone,country,consent_given_at,consent_source,plan,renewal"]
    lines += [
        f"Lead {n},{NUMBERS[place.country].format(2000000 + n)},Firm {n % 2000},{rest},tier {n % 5},2027-1-1"
        for n in range(rows)
    ]
    return ("\n".join(lines) + "\n").encode()


class Memory:
    """The most that a process held while it was looked at."""

    def __init__(self, pid: int | None = None) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self.before = self.peak = self._process.memory_info().rss

    def __enter__(self) -> "Memory":
        threading.Thread(target=self._look, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            try:
                self.peak = max(self.peak, self._process.memory_info().rss)
            except psutil.NoSuchProcess:
                return

    @property
    def growth_mib(self) -> float:
        return round((self.peak - self.before) / 1048576, 1)


class Worker:
    """A forked process that does `work` again and again; what it costs in memory and in time of a core."""

    def __init__(self, work: Callable[[], Any]) -> None:
        from django.db import connections

        connections.close_all()  # a socket is one process's
        self.pid = os.fork()
        if not self.pid:
            try:
                while True:
                    work()
                    time.sleep(0.02)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        self.memory = Memory(self.pid)
        self.memory.__enter__()

    def end(self) -> float:
        """Kill it; seconds of a core that it took."""
        self.memory.__exit__()
        spent = psutil.Process(self.pid).cpu_times()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return spent.user + spent.system


def _import() -> None:
    from crm.services import import_run, imports

    for import_id in imports.due():
        import_run.run(import_id)


def _fill() -> None:
    from voice.services import batch_filling

    batch_filling.fill()


def upload(client: Any, rows: int) -> dict[str, Any]:
    """Post the file, and wait until every row is in the batch."""
    body = csv_of(rows)
    query = {"batch": json.dumps({"objective": "Ask {{lead.first_name}} about {{variables.plan}}."})}
    _import()
    _fill()  # what is loaded once is not counted
    workers = [Worker(_import), Worker(_fill)]
    with Memory() as memory:
        began = time.monotonic()
        answer = client.post(f"{BATCHES}/upload", body, content_type="text/csv", query_params=query)
        if answer.status_code != 202:
            raise RuntimeError(f"{answer.status_code} {answer.content[:300]!r}")
        posted_s = time.monotonic() - began
        while (shown := client.get(f"{BATCHES}/{answer.json()['id']}").json())["filling"]:
            time.sleep(2)
        creation_s = time.monotonic() - began
    cpu_s = [worker.end() for worker in workers]
    (file,) = shown["uploads"]
    return {
        "batch_id": shown["id"],
        "rows": rows,
        "in_batch": shown["totals"]["total"],
        "failed": file["failed"],
        "duplicates": file["duplicates"],
        "file_mib": round(len(body) / 1048576, 1),
        "posted_s": round(posted_s, 2),
        "creation_s": round(creation_s, 1),
        "import_cpu_s": round(cpu_s[0], 1),
        "filling_cpu_s": round(cpu_s[1], 1),
        "growth_mib": max(memory.growth_mib, *(one.memory.growth_mib for one in workers)),
        "load": [round(one, 1) for one in os.getloadavg()],
    }


def preview(client: Any, batch_id: str) -> dict[str, Any]:
    """The whole preview, and one page of its list."""
    with Memory() as memory:
        began, cpu_s = time.monotonic(), time.process_time()
        found = client.post(f"{BATCHES}/{batch_id}/preview").json()
        cpu_s = time.process_time() - cpu_s
        took_s = time.monotonic() - began
    began = time.monotonic()
    client.get(f"{BATCHES}/{batch_id}/preview/leads?when=never").json()
    return {
        "preview_s": round(took_s, 2),
        "preview_cpu_s": round(cpu_s, 2),
        "rare_page_s": round(time.monotonic() - began, 2),
        "preview_growth_mib": memory.growth_mib,
        "call_now": found["call_now"],
        "wait": found["wait"],
        "refused": found["refused"],
    }


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1)


def ticks(name: str, act: Callable[[], Any], count: int) -> dict[str, Any]:
    """Milliseconds of `act`, after a few that are not counted."""
    taken = []
    for n in range(count + 5):
        began = time.perf_counter()
        act()
        if n >= 5:
            taken.append((time.perf_counter() - began) * 1000)
    return {"what": name, "p50_ms": percentile(taken, 0.5), "p95_ms": percentile(taken, 0.95)}


@contextmanager
def carrier() -> Iterator[Any]:
    """A carrier on this machine whose calls ring on."""
    from django.test import override_settings

    from tests.prove.dial_rig import media_process
    from tests.prove.fake_carrier import FakeCarrier

    media_process()
    with FakeCarrier(ring_s=3600, latency_s=0) as running:
        places = {**running.environment(), "TWILIO_API_KEY_SID": "", "OPENAI_API_KEY": "sk-bench"}
        with override_settings(PUBLIC_BASE_URL="http://127.0.0.1:9", **places):
            yield running


def tick_while_waiting(batch_id: str, count: int, running: Any) -> list[dict[str, Any]]:
    """One tick of the dialer, without the time that it waits for its pace."""
    from django.utils import timezone

    from tenex.workspaces.models import Workspace
    from voice.models import Batch, Recipient
    from voice.outbound import dialer
    from voice.services import batches

    batches.start(Batch.objects.get(pk=batch_id), actor="system:bench")
    waiting = Recipient.objects.filter(batch_id=batch_id, status="pending")
    found = []
    waiting.update(next_at=timezone.now() + timedelta(days=1))
    found.append(ticks("all outside of their hours", lambda: dialer.tick(budget_s=1.0), count))
    waiting.update(next_at=None)
    Workspace.objects.update(max_concurrent_calls=0)
    found.append(ticks("all due, no line free", lambda: dialer.tick(budget_s=1.0), count))
    Workspace.objects.update(max_concurrent_calls=1000)
    # A tick goes on for as long as its pace gives it calls; the time for one is what it costs.
    found.append(ticks("all due, one dialed a tick", lambda: dialer.tick(budget_s=0.015), count))
    found[-1]["dialed"] = len(running.calls)
    if not running.calls:
        raise RuntimeError("nobody was dialed: this measures something else")
    return found


def workspace() -> Any:
    """Calls at any hour, as fast as allowed."""
    from tenex.workspaces.models import Workspace
    from voice.models import Agent, AgentVersion, PhoneNumber, VoiceProfile

    space = Workspace.objects.create(
        name="Bench", slug="bench-batches", webhook_secret="bench", calls_per_second=50.0,  # noqa: S106
        calling_window_start=time_of_day(0), calling_window_end=time_of_day(0), max_concurrent_calls=1000,
        calling_countries=daytime.COUNTRIES,
    )  # fmt: skip
    profile = VoiceProfile.objects.create(workspace=space, name="bench")
    agent = Agent.objects.create(workspace=space, name="Ava", slug="ava", profile=profile)
    agent.current_version = AgentVersion.objects.create(agent=agent, number=1, system_prompt="You qualify.")
    agent.save()
    PhoneNumber.objects.create(workspace=space, e164="+14155550100", agent=agent)
    return space


def run(options: argparse.Namespace) -> dict[str, Any]:
    from django.db import connection
    from django.test import Client

    from tenex.workspaces.services import keys

    space = workspace()
    _, key = keys.create(space, "bench", ["*"], "system:bench")
    client = Client(headers={"authorization": f"Bearer {key}", "host": "127.0.0.1"})
    upload(client, 400)  # imports and caches of the first time
    found = upload(client, options.rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # what autovacuum does within a minute
    with carrier() as running:
        found |= preview(client, found["batch_id"])
        found["ticks"] = tick_while_waiting(found["batch_id"], options.ticks, running)
    found["tick_p95_ms"] = max(one["p95_ms"] for one in found["ticks"])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.batches", description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--ticks", type=int, default=TICKS)
    parser.add_argument("--json", type=Path, default=None, help="where to write everything")
    options = parser.parse_args()
    ensure_environment(throwaway=True)
    from bench import fixture

    with fixture.scratch_database():
        found = run(options)
    for name, limit in LIMITS.items():
        print(f"{name:14} {found[name]:8} of {limit}{'' if found[name] <= limit else '  over'}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(json.dumps(found, indent=2))
    return 0 if all(found[name] <= limit for name, limit in LIMITS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
