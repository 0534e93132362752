"""Run every promise that the code so far touches, each in a process of its own, and judge what it prints."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tenex.engines.postgres import SEED_VARIABLE
from tests.rig import seed

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
# What must be there: a promise whose command went missing is a failure, not one less to run.
REQUIRED = (
    "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9",
    "B1", "B4", "B6", "B7", "B8", "B9", "C1", "C2", "C4", "C5", "C6", "C7", "C8",
    "D1", "D3", "D4", "D5", "D6", "D7", "D8", "D9", "E1", "E2", "E3", "E4", "F1", "F2", "F3", "F4",
    "I1", "I2", "I3", "I4", "I5", "I6", "I7",
)  # fmt: skip
# They judge by time (C1, E1: also): little runs beside them, and nothing in a second try.
BY_TIME = ("A5", "A8", "A9", "B1", "B4", "B7", "B9", "C1", "C6", "C8", "D5", "D6", "D9", "E1", "I7")
# Of these: whoever loses or repeats something is not asked again.
ONCE = ("C1", "E1")
QUICK_TIMEOUT_S = 300
FULL_TIMEOUT_S = 3600


@dataclass(frozen=True)
class Result:
    """What came of one promise."""

    promise: str
    line: dict[str, object]
    problem: str
    seconds: float


def commands() -> dict[str, str]:
    """Promise ("A1") -> module, by the names of the files here."""
    found = {}
    for path in sorted(HERE.glob("[a-i][0-9]*_*.py")):
        found[path.stem.partition("_")[0].upper()] = f"tests.prove.{path.stem}"
    return found


def judge(promise: str, status: int, output: str) -> tuple[dict[str, object], str]:
    """The JSON line that a promise printed last, and what is wrong ("" if nothing is)."""
    lines = [text for text in output.splitlines() if text.startswith("{")]
    try:
        line = json.loads(lines[-1]) if lines else {}
    except ValueError:
        line = {}
    if not isinstance(line, dict) or not {"promise", "trials", "violations"} <= set(line):
        return {}, f"printed no line with promise, trials, violations (status {status})"
    if line["promise"] != promise:
        return line, f"is the command of {line['promise']}"
    if not isinstance(line["trials"], int) or line["trials"] < 1:
        return line, "tried nothing"
    if line["violations"] != 0:
        return line, f"{line['violations']} violations"
    return line, "" if status == 0 else f"ended with status {status}"


def run(promise: str, module: str, *, full: bool) -> Result:
    """Run one promise to its end, or to its time limit."""
    began = time.monotonic()
    command = [sys.executable, "-m", module, *(["--full"] if full else [])]
    try:
        done = subprocess.run(
            command,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=FULL_TIMEOUT_S if full else QUICK_TIMEOUT_S,
            check=False,
        )
        line, problem = judge(promise, done.returncode, done.stdout)
    except subprocess.TimeoutExpired:
        line, problem = {}, "took too long"
    return Result(promise, line, problem, time.monotonic() - began)


def _report(promise: str, *, full: bool) -> bool:
    """Run one promise and print its line; whether it is broken."""
    module = commands().get(promise)
    if module is None:
        print(f"{promise}: has no command", file=sys.stderr, flush=True)
        return True
    result = run(promise, module, full=full)
    if result.line:
        print(json.dumps(result.line | {"seconds": round(result.seconds, 1)}), flush=True)
    if not result.problem:
        return False
    print(f"{promise}: {result.problem}", file=sys.stderr, flush=True)
    return True


def main() -> int:
    """Returns 0 if every promise held (and, when all were asked for, every required one has a command)."""
    parser = argparse.ArgumentParser(prog="tests.prove")
    parser.add_argument("promises", nargs="*", help="e.g. A1 B4; all without any")
    parser.add_argument("--full", action="store_true", default=os.environ.get("FULL", "") not in ("", "0"))
    parser.add_argument("--jobs", type=int, default=0, help="promises at a time (3; with --full 1)")
    chosen = parser.parse_args()
    chosen.jobs = chosen.jobs or (1 if chosen.full else 3)
    wanted = [name.upper() for name in chosen.promises] or sorted({*REQUIRED, *commands()})
    with _seeded():
        broken = _run_all(wanted, chosen)
    print(f"{len(wanted) - broken} passed, {broken} failed", flush=True)
    return 1 if broken else 0


@contextmanager
def _seeded() -> Iterator[None]:
    """Every rig begins with a migrated database: one migration for all of them."""
    if os.environ.get(SEED_VARIABLE):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="tenex-seed-") as folder:
        seed.make(Path(folder))
        os.environ[SEED_VARIABLE] = folder
        yield


def _run_all(wanted: list[str], chosen: argparse.Namespace) -> int:
    """How many of them are broken."""
    beside = [name for name in wanted if name not in BY_TIME]
    timed = [name for name in wanted if name in BY_TIME]
    with ThreadPoolExecutor(max_workers=chosen.jobs) as lanes:
        broken = sum(lanes.map(lambda name: _report(name, full=chosen.full), beside))
    with ThreadPoolExecutor(max_workers=min(2, chosen.jobs)) as lanes:
        found = list(lanes.map(lambda name: _report(name, full=chosen.full), timed))
    bad = [name for name, is_bad in zip(timed, found, strict=True) if is_bad]
    # It may have met a busy machine: what was broken is tried once more, with nothing beside it.
    again = [name for name in bad if name not in ONCE]
    return broken + len(bad) - len(again) + sum(_report(name, full=chosen.full) for name in again)


if __name__ == "__main__":
    sys.exit(main())
