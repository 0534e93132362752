"""The supervisor with small stand-in processes: restarts, giving up, order of the end, being killed."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from tenex.engines.process import is_alive, wait_until
from tenex.supervisor import child as child_module
from tenex.supervisor.child import Child
from tenex.supervisor.output import Output
from tenex.supervisor.plan import DEFAULT_ROLES, ChildPlan, EndStage, PlanOptions, Role, children_of
from tenex.supervisor.prepare import collect_static_files, migration_lock

PROJECT = Path(__file__).resolve().parents[2]
# Two processes that write down when they end, under a real supervisor: `web` ends first, `worker` after it.
SYSTEM = """
import sys
from pathlib import Path
from tenex.supervisor.output import Output
from tenex.supervisor.plan import ChildPlan, EndStage
from tenex.supervisor.run import supervise

record = sys.argv[1]
stubborn = len(sys.argv) > 2
code = '''
import signal, subprocess, sys, time
name, record, stubborn = sys.argv[1:4]
grandchild = subprocess.Popen(["sleep", "600"])
with open(record, "a") as file: print("up", name, grandchild.pid, file=file)
def end(number, frame):
    if stubborn == "True": return
    time.sleep(0.2)
    with open(record, "a") as file: print("end", name, file=file)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
while True: time.sleep(1)
'''
plans = [
    ChildPlan("worker", [sys.executable, "-c", code, "worker", record, "False"], EndStage.AFTER_CALLS, 20),
    ChildPlan("web", [sys.executable, "-c", code, "web", record, str(stubborn)], EndStage.FIRST, 600),
]
sys.exit(supervise(plans, Output(), ready_text="ready", stop_engines=lambda: None))
"""


def _plan(code: str, **changes: object) -> ChildPlan:
    plan: dict[str, object] = {"name": "web", "command": [sys.executable, "-c", code]}
    plan |= {"stage": EndStage.FIRST, "stop_timeout_s": 10.0} | changes
    return ChildPlan(**plan)  # type: ignore[arg-type]


async def _until(condition: Callable[[], bool]) -> None:
    assert await asyncio.to_thread(wait_until, condition, timeout_s=20)


@pytest.fixture
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "RESTART_DELAYS_S", (0.01,))


async def test_gives_up_on_a_process_that_ends_again_and_again(quick_restarts: None) -> None:
    text = io.StringIO()
    assert not await Child(_plan("import sys; print('hello'); sys.exit(7)"), Output(text)).keep_running()
    lines = text.getvalue().splitlines()
    assert lines.count("web    | hello") == child_module.GIVE_UP_AFTER
    assert (
        lines[-1] == f"tenex  | web ended {child_module.GIVE_UP_AFTER} times in a row (status 7): giving up"
    )


async def test_process_that_had_settled_is_restarted_without_end(quick_restarts: None) -> None:
    text, now = io.StringIO(), 0.0

    def clock() -> float:
        nonlocal now
        now += child_module.SETTLED_AFTER_S
        return now

    child = Child(_plan("print('hello')"), Output(text), clock=clock)
    running = asyncio.create_task(child.keep_running())
    await _until(lambda: text.getvalue().count("hello") > child_module.GIVE_UP_AFTER)
    await child.stop()
    assert await running


async def test_killed_process_comes_back_with_another_number(quick_restarts: None) -> None:
    child = Child(_plan("import time; time.sleep(60)"), Output(io.StringIO()))
    running = asyncio.create_task(child.keep_running())
    await _until(lambda: child.pid > 0)
    first = child.pid
    os.kill(first, signal.SIGKILL)
    await _until(lambda: child.pid not in (0, first))
    await child.stop()
    assert await running


async def test_process_that_ignores_the_signal_is_killed_in_time() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"
    text = io.StringIO()
    child = Child(_plan(code, stop_timeout_s=0.2), Output(text))
    running = asyncio.create_task(child.keep_running())
    await _until(lambda: "up" in text.getvalue())
    await child.stop()
    assert await running
    assert "killed" in text.getvalue()


async def test_line_without_end_is_cut() -> None:
    text = io.StringIO()
    code = "import sys; sys.stdout.write('x' * 300_000); sys.exit(0)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await Output(text).copy("web", process.stdout)
    await process.wait()
    lines = text.getvalue().splitlines()
    assert sum(line.count("x") for line in lines) == 300_000
    assert max(map(len, lines)) < 200_000


class _System:
    def __init__(self, record: Path, *arguments: str) -> None:
        self.record = record
        self.process = subprocess.Popen(
            [sys.executable, "-c", SYSTEM, str(record), *arguments],
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.record.read_text().splitlines()] if self.record.exists() else []

    def wait_up(self) -> list[int]:
        assert wait_until(lambda: len(self.lines()) == 2, timeout_s=30)
        return [int(line[2]) for line in self.lines()]


@pytest.fixture
def systems() -> Iterator[list[_System]]:
    started: list[_System] = []
    yield started
    for system in started:
        system.process.kill()
        system.process.wait()


def test_one_signal_ends_in_order_with_status_0(systems: list[_System], tmp_path: Path) -> None:
    system = _System(tmp_path / "record")
    systems.append(system)
    grandchildren = system.wait_up()
    # As a terminal and `timeout` do: the same wish twice within an instant is one wish.
    system.process.send_signal(signal.SIGINT)
    system.process.send_signal(signal.SIGINT)
    assert system.process.wait(20) == 0
    assert [line[1] for line in system.lines() if line[0] == "end"] == ["web", "worker"]
    assert wait_until(lambda: not any(map(is_alive, grandchildren)), timeout_s=5)


def test_second_signal_ends_at_once(systems: list[_System], tmp_path: Path) -> None:
    system = _System(tmp_path / "record", "stubborn")
    systems.append(system)
    grandchildren = system.wait_up()
    system.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        system.process.wait(0.6)
    system.process.send_signal(signal.SIGTERM)
    assert system.process.wait(10) == 0
    assert wait_until(lambda: not any(map(is_alive, grandchildren)), timeout_s=5)


def test_killed_supervisor_takes_its_processes_along(systems: list[_System], tmp_path: Path) -> None:
    system = _System(tmp_path / "record")
    systems.append(system)
    system.wait_up()
    system.process.kill()
    system.process.wait()
    assert wait_until(
        lambda: {line[1] for line in system.lines() if line[0] == "end"} == {"web", "worker"}, timeout_s=10
    )


def test_plan_of_the_default_roles(tmp_path: Path) -> None:
    options = PlanOptions("127.0.0.1", 8000, 8001, tmp_path, worker_concurrency=4, drain_timeout_s=10)
    plans = {plan.name: plan for plan in children_of(DEFAULT_ROLES, options)}
    assert list(plans) == ["web", "worker", "beat"]
    assert "--role=all" in plans["web"].command
    assert plans["web"].stop_timeout_s > options.drain_timeout_s
    # Beat ends with the servers, so that nothing new is claimed; the worker ends after the last call.
    assert [plan.stage for plan in plans.values()] == [EndStage.FIRST, EndStage.AFTER_CALLS, EndStage.FIRST]
    assert not any("-B" in plan.command or "--beat" in plan.command for plan in plans.values())


def test_media_of_its_own_leaves_the_web_process(tmp_path: Path) -> None:
    options = PlanOptions("127.0.0.1", 8000, 8001, tmp_path, worker_concurrency=4, drain_timeout_s=10)
    plans = {plan.name: plan for plan in children_of([Role.WEB, Role.MEDIA], options)}
    assert "--role=web" in plans["web"].command
    assert {"--role=media", "--port=8001"} <= set(plans["media"].command)


@pytest.mark.django_db(transaction=True)
def test_only_one_migrates_at_a_time() -> None:
    order: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with migration_lock():
            order.append("second")

    with migration_lock():
        waiting = threading.Thread(target=second)
        waiting.start()
        entered.wait(5)
        waiting.join(0.3)
        assert waiting.is_alive()
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
    connection.close()


def test_static_files_are_collected_when_they_changed(tmp_path: Path, settings: Settings) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "one.css").write_text("a{}")
    settings.STATICFILES_DIRS = [source]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.WHITENOISE_USE_FINDERS = False
    assert collect_static_files()
    assert not collect_static_files()
    (source / "two.css").write_text("b{}")
    assert collect_static_files()
    assert (tmp_path / "collected" / "two.css").exists()


def test_wrong_role_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "up", "--roles=web,wizard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "roles are web, media, worker, beat" in done.stderr
