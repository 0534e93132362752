"""The media path against the bare relay, interleaved in one run."""

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

from bench import fixture, webhook

Kind = Literal["relay", "ours", "ours + 25 ms writes"]
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SERVER_CORE = 0
TOKEN = "bench"  # noqa: S105 - of no account
REAL_TIME = False
"""Run server and load before everything else on this machine (needs root), where others work on it too."""


@dataclass(slots=True)
class Run:
    """One server under one load."""

    kind: Kind
    calls: int
    cpu_percent_per_call: float
    """Of one core."""
    caller_to_model_ms: tuple[float, float, float]
    """p50, p99, max, one way, from the caller's send to the model's receipt."""
    model_to_caller_ms: tuple[float, float, float]
    clear_ms: tuple[float, float, float]
    """`speech_started` sent to `clear` received."""
    clears: int
    missed_clears: int
    first_audio_ms: tuple[float, float, float]
    """`session.updated` sent to the first sound of the greeting; the model speaks at once when asked."""
    kb_per_call: float
    calls_alive_at_end: int
    model_sockets: int
    model_sockets_left: int
    webhook_ms: tuple[float, float, float]
    """p50, p95, max of the voice webhook, if it was asked meanwhile."""


@dataclass(slots=True)
class Driven:
    """What a server and its load did while they were looked at."""

    result: dict[str, Any]
    """What the load has seen."""
    cpu_s: float
    """Of the server."""
    kb: int
    """That the server grew by."""
    meanwhile: Any


def drive(
    kind: Kind,
    rows_of: Callable[[], fixture.Fixture],
    *,
    warm_s: float,
    seconds: float,
    database_url: str,
    load_with: tuple[str, ...] = ("bench.load",),
    serve_with: tuple[str, ...] = (),
    meanwhile: Callable[[int, fixture.Fixture], Any] = lambda port, rows: None,
) -> Driven:
    """Start everything, talk, stop everything. `meanwhile` gets the server's port."""
    from voice.telephony import signature

    environment = os.environ | {"DATABASE_URL": database_url, "DJANGO_SETTINGS_MODULE": "tenex.settings"}
    timing = ("--warm", str(warm_s), "--seconds", str(seconds))
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(_process(*load_with, *timing, core=1, env=environment))
        model_port = json.loads(_line(load))["model_port"]
        port = _free_port()
        server = stack.enter_context(_server(kind, port, model_port, environment, serve_with))
        rows = rows_of()
        idle_kb = _rss_kb(server.pid)
        path = "" if kind == "relay" else "/twilio/media"
        url = f"ws://127.0.0.1:{port}{path}"
        signed = "" if kind == "relay" else signature.sign(url, {}, token=TOKEN)
        _write(load, json.dumps({"url": url, "calls": rows.calls, "signature": signed}))
        _expect(load, "measuring")
        cpu = _cpu_s(server.pid)
        found = meanwhile(port, rows)
        _expect(load, "measured")
        cpu = _cpu_s(server.pid) - cpu
        live_kb = _rss_kb(server.pid)
        _write(load, "stop")
        result = json.loads(_line(load))
    return Driven(result, cpu, live_kb - idle_kb, found)


def measure(
    kind: Kind,
    calls: int,
    *,
    warm_s: float,
    seconds: float,
    database_url: str,
    with_webhook: bool = False,
) -> Run:
    """One server with so many calls."""

    def ask(port: int, rows: fixture.Fixture) -> list[float]:
        return webhook.ask(port, rows.number, TOKEN, seconds=seconds - 1) if with_webhook else []

    driven = drive(
        kind,
        lambda: fixture.calls(calls),
        warm_s=warm_s,
        seconds=seconds,
        database_url=database_url,
        meanwhile=ask,
    )
    result = driven.result
    return Run(
        kind=kind,
        calls=calls,
        cpu_percent_per_call=100 * driven.cpu_s / seconds / calls,
        caller_to_model_ms=_spread(result["caller_to_model_us"]),
        model_to_caller_ms=_spread(result["model_to_caller_us"]),
        clear_ms=_spread(result["clear_us"]),
        clears=len(result["clear_us"]),
        missed_clears=result["missed_clears"],
        # The relay asks for no greeting: what comes first there is no greeting's.
        first_audio_ms=_spread([] if kind == "relay" else result["first_audio_us"]),
        kb_per_call=driven.kb / calls,
        calls_alive_at_end=result["calls_alive_at_end"],
        model_sockets=result["model_sockets"],
        model_sockets_left=result["model_sockets_left"],
        webhook_ms=_spread([int(ms * 1000) for ms in driven.meanwhile], 0.95),
    )


def _server(
    kind: Kind, port: int, model_port: int, environment: dict[str, str], more: tuple[str, ...] = ()
) -> Any:
    model = f"127.0.0.1:{model_port}/v1"
    if kind == "relay":
        arguments = ["bench.relay", "--port", str(port), "--model", f"ws://{model}/realtime"]
    else:
        arguments = ["bench.server", "--port", str(port), *more]
        environment = environment | {
            "OPENAI_BASE_URL": f"http://{model}",
            "OPENAI_API_KEY": "bench",
            "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
            "TWILIO_AUTH_TOKEN": TOKEN,
            "MAX_CALLS_PER_PROCESS": "1000",
            "LOG_LEVEL": "ERROR",
        }
        if kind != "ours":
            arguments += ["--slow-write-ms", "25"]
            environment["CALL_LEASE_S"] = "3"
    return _ready(*arguments, env=environment)


@contextlib.contextmanager
def _ready(*arguments: str, env: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    port = int(arguments[arguments.index("--port") + 1])
    with _process(*arguments, core=SERVER_CORE, env=env) as server:
        _expect(server, "ready")
        _wait_listening(port)
        time.sleep(2)  # start-up work, so that the memory of an idle server is that
        yield server


@contextlib.contextmanager
def _process(*arguments: str, core: int, env: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A child on one core, ended with its `with` block."""
    module, *rest = arguments
    cores = sorted(os.sched_getaffinity(0))
    child = subprocess.Popen(
        [sys.executable, "-m", module, *rest],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
        cwd=Path(__file__).resolve().parent.parent,
    )
    os.sched_setaffinity(child.pid, {cores[core % len(cores)]})
    if REAL_TIME:
        os.sched_setscheduler(child.pid, os.SCHED_FIFO, os.sched_param(10))
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _line(child: "subprocess.Popen[str]") -> str:
    line = _pipe(child.stdout).readline()
    if not line:
        raise RuntimeError(f"{child.args!r} ended: {child.wait(5)}")
    return line


def _expect(child: "subprocess.Popen[str]", word: str) -> None:
    line = _line(child).strip()
    if line != word:
        raise RuntimeError(f"expected {word!r}, got {line!r}")


def _write(child: "subprocess.Popen[str]", text: str) -> None:
    pipe = _pipe(child.stdin)
    pipe.write(text + "\n")
    pipe.flush()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the child has no pipe")
    return pipe


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_listening(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server does not listen")


def _cpu_s(pid: int) -> float:
    """User and system time of a process and all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _rss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def _spread(samples_us: list[int], share: float = 0.99) -> tuple[float, float, float]:
    """Milliseconds: median, that percentile, maximum."""
    if not samples_us:
        return (0.0, 0.0, 0.0)
    ordered = sorted(samples_us)
    high = ordered[min(len(ordered) - 1, int(len(ordered) * share))]
    return (statistics.median(ordered) / 1000, high / 1000, ordered[-1] / 1000)


def compare(*, rounds: int, calls: int, warm_s: float, seconds: float, database_url: str) -> list[Run]:
    """Relay, ours, ours with slow writes, in turn, `rounds` times."""
    kinds: tuple[Kind, ...] = ("relay", "ours", "ours + 25 ms writes")
    runs = []
    for _ in range(rounds):
        for kind in kinds:
            run = measure(kind, calls, warm_s=warm_s, seconds=seconds, database_url=database_url)
            print(row(run), flush=True)
            runs.append(run)
    return runs


def hold(sizes: list[int], *, warm_s: float, seconds: float, database_url: str) -> list[Run]:
    """Ours with more and more calls on one core, and the relay with as many as the most.

    The relay's figures there are the floor: what the load itself, on the other core, cannot do faster.
    """
    todo: list[tuple[Kind, int]] = [("ours", size) for size in sizes]
    if sizes:
        todo.insert(len(todo) - 1, ("relay", max(sizes)))
    runs = []
    for kind, size in todo:
        run = measure(kind, size, warm_s=warm_s, seconds=seconds, database_url=database_url)
        print(row(run), flush=True)
        runs.append(run)
    return runs


HEAD = (
    f"{'server':<20} {'calls':>5} {'CPU %/call':>10} {'caller>model p50/p99':>21}"
    f" {'model>caller p50/p99':>21} {'clear p50/p99':>15} {'first audio':>13} {'KB/call':>8}"
    f" {'sockets left':>12}"
)


def row(run: Run) -> str:
    into, out, clear = run.caller_to_model_ms, run.model_to_caller_ms, run.clear_ms
    return (
        f"{run.kind:<20} {run.calls:>5} {run.cpu_percent_per_call:>10.3f} {into[0]:>10.2f}/{into[1]:>7.2f} ms"
        f" {out[0]:>10.2f}/{out[1]:>7.2f} ms {clear[0]:>6.2f}/{clear[1]:>5.2f} ms"
        f" {run.first_audio_ms[0]:>4.1f}/{run.first_audio_ms[1]:>5.1f} ms {run.kb_per_call:>8.0f}"
        f" {run.model_sockets_left:>5} of {run.model_sockets}"
    )


def summary(compared: list[Run], held: list[Run], asked: Run) -> dict[str, Any]:
    """Medians over the rounds, and what is promised."""

    def median(kind: Kind, value: Any) -> float:
        return float(statistics.median(value(run) for run in compared if run.kind == kind))

    def ratio(kind: Kind) -> float:
        """Round by round, because the speed of a shared machine changes from minute to minute."""
        ours = [run.cpu_percent_per_call for run in compared if run.kind == kind]
        relay = [run.cpu_percent_per_call for run in compared if run.kind == "relay"]
        return float(statistics.median(mine / theirs for mine, theirs in zip(ours, relay, strict=True)))

    found: dict[str, Any] = {
        "relay_cpu_percent_per_call": median("relay", lambda run: run.cpu_percent_per_call),
        "ratio": ratio("ours"),
        "ratio_with_slow_writes": ratio("ours + 25 ms writes"),
    }
    kinds: tuple[Kind, ...] = ("relay", "ours", "ours + 25 ms writes")
    for kind in kinds:
        found[kind] = {
            name: {
                "p50": median(kind, lambda run, name=name: getattr(run, name)[0]),
                "p99": median(kind, lambda run, name=name: getattr(run, name)[1]),
            }
            for name in ("caller_to_model_ms", "model_to_caller_ms", "clear_ms", "first_audio_ms")
        }
    found["hold"] = [
        {
            "server": run.kind,
            "calls": run.calls,
            "alive": run.calls_alive_at_end,
            "cpu_percent": run.cpu_percent_per_call * run.calls,
            "caller_to_model_p99_ms": run.caller_to_model_ms[1],
            "model_to_caller_p99_ms": run.model_to_caller_ms[1],
            "clear_p99_ms": run.clear_ms[1],
            "first_audio_p99_ms": run.first_audio_ms[1],
            "kb_per_call": run.kb_per_call,
        }
        for run in held
    ]
    ours = [run for run in held if run.kind == "ours"]
    if len(ours) > 1:
        first, last = ours[0], ours[-1]
        grown_kb = last.kb_per_call * last.calls - first.kb_per_call * first.calls
        found["kb_per_further_call"] = grown_kb / (last.calls - first.calls)
    found["webhook"] = {
        "calls": asked.calls,
        "p50_ms": asked.webhook_ms[0],
        "p95_ms": asked.webhook_ms[1],
        "max_ms": asked.webhook_ms[2],
    }
    runs = (*compared, *held, asked)
    found["model_sockets_left"] = sum(run.model_sockets_left for run in runs)
    found["runs"] = [asdict(run) for run in runs]
    return found
