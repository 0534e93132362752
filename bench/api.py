"""`python -m bench.api`: lists and figures with a million calls, in the database and over HTTP.

Builds the rows once, in a data folder of its own (`--data`, reused when it is there), serves them with the
real application in a process of its own, and asks for pages at the beginning, in the middle and at the end of
each filtered list, and for the figures of ninety days. Prints a table, and one JSON document.

Database: planning and execution as EXPLAIN ANALYZE measures them. End to end: from the request's first byte
to the answer's last, over one kept connection, with the key checked and the request counted as always.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
os.environ.setdefault("SECRET_KEY", secrets.token_hex(32))  # so that DEBUG is off, as in production
os.environ["RATE_LIMIT_PER_MINUTE"] = "1000000000"
os.environ.setdefault("LOG_LEVEL", "WARNING")

CALLS_URL = "/api/v1/voice/calls"
METRICS_URL = "/api/v1/voice/metrics"
PAGE = 50
SAMPLES = 40
LIMITS_MS = {"list": (15.0, 40.0), "metrics": (None, 150.0)}
"""What is promised: p95 in the database, p95 end to end."""
PLACES = {"first": 0.0, "middle": 0.5, "last": 1.0}


@dataclass(slots=True)
class Row:
    """One line of the table; milliseconds."""

    kind: str
    what: str
    place: str
    database_ms: list[float] = field(default_factory=list)
    end_to_end_ms: list[float] = field(default_factory=list)
    server_cpu_ms: float = 0.0
    """Of our process, a request: what there is to do, however busy the machine is with other work."""

    def as_json(self) -> dict[str, Any]:
        limits = LIMITS_MS[self.kind]
        found = {"database": self.database_ms, "end_to_end": self.end_to_end_ms}
        p95 = {name: percentile(values, 0.95) for name, values in found.items()}
        return {
            "kind": self.kind,
            "what": self.what,
            "place": self.place,
            **{f"{name}_p50_ms": percentile(values, 0.5) for name, values in found.items()},
            **{f"{name}_p95_ms": value for name, value in p95.items()},
            "server_cpu_ms": round(self.server_cpu_ms, 2),
            "within": all(top is None or at <= top for at, top in zip(p95.values(), limits, strict=True)),
        }


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2)


class Inside:
    """Asks the application in this process, and notes the statements that read calls or figures."""

    def __init__(self, key: str) -> None:
        from django.test import Client

        self._client = Client(headers={"authorization": f"Bearer {key}", "host": "127.0.0.1"})

    def get(self, path: str) -> tuple[Any, list[tuple[str, Any]]]:
        """The answer and the statements."""
        from django.db import connection

        seen: list[tuple[str, Any]] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if "voice_call" in sql:
                seen.append((sql, params))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            answer = self._client.get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.content[:300]!r}")
        return answer.json(), seen


def explain_ms(sql: str, params: Any) -> float:
    """Planning and execution of one statement."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params)
        plan = cursor.fetchone()[0]
    plan = (json.loads(plan) if isinstance(plan, str) else plan)[0]
    return float(plan["Planning Time"]) + float(plan["Execution Time"])


# --- what is asked ---------------------------------------------------------------------------------


def filters(workspace: Any) -> dict[str, list[dict[str, str]]]:
    """Each filter of the list with some values, frequent and rare ones."""
    from crm.models import Lead
    from voice.models import Agent, Batch, Call, Outcome

    calls = Call.objects.filter(workspace=workspace)
    newest = calls.order_by("-created_at").values_list("created_at", flat=True)[0]
    days = [newest - (newest - calls.order_by("created_at")[0].created_at) * n / 5 for n in range(1, 5)]
    leads = list(Lead.objects.filter(workspace=workspace).order_by("phone")[:4])
    return {
        "none": [{}],
        "lead_id": [{"lead_id": str(lead.pk)} for lead in leads],
        "agent_id": [{"agent_id": str(one.pk)} for one in Agent.objects.filter(workspace=workspace)[:4]],
        "batch_id": [
            {"batch_id": str(one.pk)} for one in Batch.objects.filter(workspace=workspace).order_by("id")[:4]
        ],
        "direction": [{"direction": one} for one in ("inbound", "outbound")],
        "status": [{"status": one} for one in ("queued", "in_progress", "ended", "finalized")],
        "outcome": [{"outcome": one} for one in Outcome.values],
        "from": [{"from": day.isoformat()} for day in days],
        "to": [{"to": day.isoformat()} for day in days],
        "q: whole number": [{"q": str(lead.phone)} for lead in leads],
        "q: part of a number": [{"q": str(lead.phone)[-5:]} for lead in leads] + [{"q": "(415) 1"}],
        "q: first name": [{"q": name} for name in ("Maria", "Wei", "li")],
        "q: last name": [{"q": lead.last_name} for lead in leads],
        "q: nothing": [{"q": "Zebulon"}, {"q": "+99999999"}],
    }


def page_path(workspace: Any, inside: Inside, asked: dict[str, str], place: float) -> str:
    """The path of the page at a place of a list. A search has no cheap end: some pages on."""
    from django.http import QueryDict

    from tenex.rest import filters as strict
    from tenex.rest.pagination import cursor_after
    from voice.api.filters import CallFilters
    from voice.models import Call

    query = QueryDict(mutable=True)
    query.update({**asked, "limit": str(PAGE)})
    if "q" in asked:
        for _ in range(round(place * 6)):
            found, _ = inside.get(f"{CALLS_URL}?{query.urlencode()}")
            if found["next_cursor"] is None:
                break
            query["cursor"] = found["next_cursor"]
    elif place:
        rows = strict.apply(CallFilters, query, Call.objects.filter(workspace=workspace))
        skip = max(0, int(rows.count() * place) - PAGE - 1)
        row = next(iter(rows.order_by("-created_at", "-id").only("created_at")[skip : skip + 1]), None)
        if row is not None:
            query["cursor"] = cursor_after(row, query, bound_to=f"calls:{workspace.pk}")
    return f"{CALLS_URL}?{query.urlencode()}"


def figure_paths(workspace: Any) -> dict[str, str]:
    from voice.models import Agent, Batch, PhoneNumber

    agent, batch, number = (
        kind.objects.filter(workspace=workspace).order_by("id")[3].pk for kind in (Agent, Batch, PhoneNumber)
    )
    day = "from=" + time.strftime("%Y-%m-%d", time.gmtime(time.time() - 90 * 86400))
    return {
        "90 days": f"{METRICS_URL}?{day}",
        "90 days, by agent": f"{METRICS_URL}?{day}&agent_id={agent}",
        "90 days, by number": f"{METRICS_URL}?{day}&number_id={number}",
        "90 days, by batch": f"{METRICS_URL}?{day}&batch_id={batch}",
        "90 days, outbound": f"{METRICS_URL}?{day}&direction=outbound",
        "90 days, compared": f"{METRICS_URL}?{day}&compare=previous",
        "90 days in days": f"{METRICS_URL}/timeseries?{day}",
        "90 days in days, Kolkata": f"{METRICS_URL}/timeseries?{day}&time_zone=Asia/Kolkata",
        "40 days in hours": f"{METRICS_URL}/timeseries?granularity=hour&from="
        + time.strftime("%Y-%m-%d", time.gmtime(time.time() - 40 * 86400)),
    }


# --- how it is measured ----------------------------------------------------------------------------


@contextmanager
def served() -> Iterator[tuple[str, psutil.Process]]:
    """The application in a process of its own; its base URL, and the process."""
    from tenex.engines.process import free_port

    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.server", "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None  # noqa: S101 - it is a pipe
        if server.stdout.readline().strip() != "ready":
            raise RuntimeError("the server does not start")
        yield f"http://127.0.0.1:{port}", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(30)


def ask(client: Any, path: str) -> float:
    """Milliseconds of one request."""
    began = time.perf_counter()
    answer = client.get(path)
    took = (time.perf_counter() - began) * 1000
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
    return took


@dataclass(frozen=True, slots=True)
class Rig:
    workspace: Any
    inside: Inside
    client: Any
    server: psutil.Process
    samples: int

    def measure(self, row: Row, paths: list[str]) -> Row:
        """Ask in turn for `paths`; each once unmeasured."""
        statements = [self.inside.get(path)[1] for path in paths]
        for path in paths:
            ask(self.client, path)
        before = self.server.cpu_times()
        for n in range(self.samples):
            row.database_ms.append(sum(explain_ms(*one) for one in statements[n % len(paths)]))
            row.end_to_end_ms.append(ask(self.client, paths[n % len(paths)]))
        after = self.server.cpu_times()
        spent_s = after.user + after.system - before.user - before.system
        row.server_cpu_ms = spent_s * 1000 / self.samples
        return row

    def measure_all(self) -> Iterator[Row]:
        for what, path in figure_paths(self.workspace).items():
            yield self.measure(Row("metrics", what, ""), [path])
        for what, choices in filters(self.workspace).items():
            for place, depth in PLACES.items():
                paths = [page_path(self.workspace, self.inside, one, depth) for one in choices]
                yield self.measure(Row("list", what, place), paths)


HEAD = f"{'what':28} {'page':7} {'db p50':>8} {'db p95':>8} {'e2e p50':>8} {'e2e p95':>8} {'cpu':>6}"


def show(row: dict[str, Any]) -> None:
    numbers = [row[f"{where}_{at}_ms"] for where in ("database", "end_to_end") for at in ("p50", "p95")]
    over = "" if row["within"] else "over"
    print(f"{row['what']:28} {row['place']:7}", *(f"{one:8.1f}" for one in numbers), end=" ")
    print(f"{row['server_cpu_ms']:6.1f} {over}", flush=True)


# --- the whole --------------------------------------------------------------------------------------


def sum_up() -> dict[str, Any]:
    """Sum up all past hours, as the scheduler's task does it."""
    from voice.models import MetricsHour
    from voice.services import metrics

    began, hours = time.monotonic(), 0
    while found := metrics.sum_up_due(limit=1000):
        hours += found
    return {
        "hours": hours,
        "seconds": round(time.monotonic() - began, 1),
        "rows": MetricsHour.objects.count(),
    }


def table_sizes() -> dict[str, int]:
    """MiB of the tables, and of each index of the calls."""
    from django.db import connection

    sql = """
SELECT relname, pg_total_relation_size(oid) / 1048576 FROM pg_class
WHERE relname IN ('voice_call', 'voice_turn', 'voice_metricshour', 'crm_lead')
UNION ALL SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) / 1048576 FROM pg_index
WHERE indrelid = 'voice_call'::regclass ORDER BY 2 DESC"""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return {name: int(size) for name, size in cursor.fetchall()}


def run(options: argparse.Namespace) -> dict[str, Any]:
    import django

    django.setup()
    import httpx
    from django.core.management import call_command

    from bench import api_data
    from tenex.workspaces.models import Workspace
    from tenex.workspaces.services import keys
    from voice.models import Call, Turn

    call_command("migrate", verbosity=0)
    api_data.fill(api_data.Sizes(options.calls, options.turns))
    summed = sum_up()
    workspace = Workspace.objects.get(slug="bench")
    _, key = keys.create(workspace, "bench", ["calls:read"], "system:bench")
    rows = []
    print(HEAD, flush=True)
    headers = {"Authorization": f"Bearer {key}"}
    with served() as (base, server), httpx.Client(base_url=base, headers=headers, timeout=60) as client:
        rig = Rig(workspace, Inside(key), client, server, options.samples)
        for row in rig.measure_all():
            rows.append(row.as_json())
            show(rows[-1])
    return {
        "calls": Call.objects.filter(workspace=workspace).count(),
        "turns": Turn.objects.filter(workspace=workspace).count(),
        "summed_up": summed,
        "sizes_mib": table_sizes(),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.api", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "tenex-bench-api")
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=5_000_000)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--json", type=Path, default=None, help="where to write everything")
    options = parser.parse_args()
    for name in ("DATABASE_URL", "REDIS_URL", "TENEX_ENGINES"):
        os.environ.pop(name, None)
    os.environ["TENEX_DATA_DIR"] = str(options.data.resolve())

    from tenex.engines.bootstrap import ensure_environment

    ensure_environment()
    found = run(options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
