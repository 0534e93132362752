"""Two shapes of one system: as `make run` starts it, and spread over processes with engines over TCP."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from tenex import engines
from tenex.engines.process import free_port
from tenex.supervisor.plan import MANAGE, Role, celery_command
from tests.rig.process import PROJECT, RealProcess, RigError, answers, listens
from tests.rig.s3 import S3Server, start_s3

SHAPE_VARIABLE = "TENEX_FLOWS"
_WORKERS = ("worker-1", "worker-2")
_MEDIA = ("media-1", "media-2")


class Shape(StrEnum):
    """How the system is spread."""

    SINGLE = "single"
    MULTI = "multi"


def shape_under_test() -> Shape:
    """What TENEX_FLOWS names; `single` without it.

    Raises:
        ValueError: it names no shape.
    """
    return Shape(os.environ.get(SHAPE_VARIABLE, Shape.SINGLE))


@dataclass
class System:
    """A running system.

    Attributes:
        base_url: where API, admin and the carrier's HTTP callbacks arrive.
        media_url: where the media socket is, ws://…
        carrier_url: the offline carrier's REST and control address; empty without doubles.
        openai_url: the offline model's base address (…/v1); empty without doubles.
        env: the environment of every process; run `manage.py` commands of the system with it.
        processes: by name: up | web, media-1, media-2, worker-1, worker-2, beat; rehearsal, s3.
    """

    shape: Shape
    folder: Path
    base_url: str
    media_url: str
    carrier_url: str
    openai_url: str
    env: dict[str, str]
    processes: dict[str, RealProcess] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    s3: S3Server | None = None

    def manage(self, *arguments: str, timeout_s: float = 120) -> str:
        """Run a `manage.py` command inside the system; returns what it printed.

        Raises:
            RigError: it failed.
        """
        done = subprocess.run(
            [sys.executable, MANAGE, *arguments],
            cwd=PROJECT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            raise RigError(
                f"manage.py {' '.join(arguments)} failed ({done.returncode}):\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def start(self, name: str, command: list[str] | None = None) -> RealProcess:
        """Start a process of the system, or start one again that was killed."""
        if command is not None:
            self.commands[name] = command
        process = RealProcess(name, self.commands[name], self.env, self.folder)
        self.processes[name] = process
        return process

    def kill(self, name: str) -> None:
        """kill -9 of one process and its children."""
        self.processes[name].kill()

    def terminate(self, name: str) -> None:
        """SIGTERM to one process, without waiting."""
        self.processes[name].signal(signal.SIGTERM)

    def log(self, name: str, lines: int = 50) -> str:
        """The end of what one process printed."""
        return self.processes[name].log_tail(lines)

    def stop(self) -> None:
        """End everything, the outside world last, then the engines; the folder goes with them."""
        outside = [self.processes.pop(name) for name in ("rehearsal", "s3") if name in self.processes]
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.stop()
        for process in outside:
            process.kill()
        self.processes.clear()
        engines.stop(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for name, process in self.processes.items():
                print(f"--- {name}\n{process.log_tail()}", file=sys.stderr)
        self.stop()


def start_system(
    shape: Shape | str = Shape.SINGLE, *, doubles: bool = True, settings: Mapping[str, str] | None = None
) -> System:
    """Start a system of real processes with a fresh database and wait until it is ready.

    Args:
        shape: `single` is one `manage.py up`; `multi` is two media processes on one port, one web, two
            workers and a scheduler, with PostgreSQL and Valkey over TCP and recordings in S3.
        doubles: also start the offline carrier and the offline model, and point the system at them.
        settings: more environment for all of it, e.g. TENEX_TIME_SCALE.

    Raises:
        RigError: something did not come up; everything that had is ended again.
        EngineError: an engine did not.
    """
    chosen = Shape(shape)
    folder = Path(tempfile.mkdtemp(prefix="tenex-rig-"))
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(shutil.rmtree, folder, ignore_errors=True)
        on_failure.callback(engines.stop, folder)
        addresses = engines.ensure(folder, tcp=chosen is Shape.MULTI, throwaway=True)
        system = _plan(chosen, folder, addresses, doubles=doubles, settings=settings or {})
        on_failure.callback(system.stop)
        if chosen is Shape.MULTI:
            system.s3 = start_s3(folder, system.env)
            system.processes["s3"] = system.s3.process
            system.env |= system.s3.settings()
        if doubles:
            _start_doubles(system)
        if chosen is Shape.SINGLE:
            _start_single(system)
        else:
            _start_multi(system)
        on_failure.pop_all()
    return system


def _plan(
    shape: Shape, folder: Path, addresses: engines.Engines, *, doubles: bool, settings: Mapping[str, str]
) -> System:
    port, carrier_port, openai_port = free_port(), free_port(), free_port()
    media_port = free_port() if shape is Shape.MULTI else port
    system = System(
        shape=shape,
        folder=folder,
        base_url=f"http://127.0.0.1:{port}",
        media_url=f"ws://127.0.0.1:{media_port}",
        carrier_url=f"http://127.0.0.1:{carrier_port}" if doubles else "",
        openai_url=f"http://127.0.0.1:{openai_port}/v1" if doubles else "",
        env={},
    )
    ours = {
        "DATABASE_URL": addresses.database_url,
        "REDIS_URL": addresses.redis_url,
        "TENEX_DATA_DIR": str(folder),
        "SECRET_KEY": secrets.token_urlsafe(40),
        "TENEX_REHEARSAL": "1",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "PUBLIC_BASE_URL": system.base_url,
        "MEDIA_BASE_URL": system.media_url,
        "DRAIN_TIMEOUT_S": "10",
        "WORKER_CONCURRENCY": "2",
        "TWILIO_ACCOUNT_SID": "AC" + secrets.token_hex(16),
        "TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        "OPENAI_API_KEY": "sk-" + secrets.token_hex(16),
        "PYTHONUNBUFFERED": "1",
    }
    if doubles:
        ours |= {"TWILIO_API_BASE_URL": system.carrier_url, "OPENAI_BASE_URL": system.openai_url}
    # Nothing of the outside may leak into the system: only what a program needs to run at all.
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_START")
    system.env = {name: os.environ[name] for name in kept if name in os.environ} | ours | dict(settings)
    return system


def _start_doubles(system: System) -> None:
    carrier_port = system.carrier_url.rsplit(":", 1)[1]
    openai_port = system.openai_url.removesuffix("/v1").rsplit(":", 1)[1]
    command = [sys.executable, MANAGE, "rehearse", "serve", f"--carrier-port={carrier_port}"]
    command += [f"--openai-port={openai_port}", f"--app-url={system.base_url}"]
    process = system.start("rehearsal", command)
    process.wait_ready(lambda: listens(int(carrier_port)) and listens(int(openai_port)))


def _start_single(system: System) -> None:
    process = system.start("up", [sys.executable, MANAGE, "up"])
    process.wait_ready(lambda: answers(f"{system.base_url}/healthz/ready"), timeout_s=90)
    _wait_for_workers(system, ["up"], 1)


def _start_multi(system: System) -> None:
    system.manage("prepare")
    media_port = system.media_url.rsplit(":", 1)[1]
    for name in _MEDIA:
        system.start(
            name, [sys.executable, MANAGE, "serve", "--role=media", f"--port={media_port}", "--reuse-port"]
        )
    system.start("web", [sys.executable, MANAGE, "serve", "--role=web"])
    for name in _WORKERS:
        arguments = (f"--hostname={name}@rig", "--concurrency=2", "--without-mingle")
        system.start(name, celery_command(Role.WORKER, *arguments))
    schedule = f"--schedule={system.folder / 'beat-schedule'}"
    system.start("beat", celery_command(Role.BEAT, schedule, "--pidfile="))
    media_ready = f"http://127.0.0.1:{media_port}/healthz/ready"
    # Both media processes share the port: either may answer, so each must also have said that it listens.
    for name in _MEDIA:
        process = system.processes[name]
        process.wait_ready(_says(process, "Application startup complete"), timeout_s=90)
    system.processes[_MEDIA[0]].wait_ready(lambda: answers(media_ready))
    system.processes["web"].wait_ready(lambda: answers(f"{system.base_url}/healthz/ready"))
    _wait_for_workers(system, list(_WORKERS), len(_WORKERS))


def _says(process: RealProcess, text: str) -> Callable[[], bool]:
    return lambda: text in process.log_path.read_text(errors="replace")


def _wait_for_workers(system: System, names: list[str], count: int) -> None:
    """Until that many workers wait for messages: the broker itself knows who blocks on its queue."""
    import redis

    with redis.Redis.from_url(system.env["REDIS_URL"]) as client:

        def waiting() -> bool:
            rows = client.client_list()
            assert isinstance(rows, list)
            return sum(1 for row in rows if row["cmd"] == "brpop") >= count

        system.processes[names[0]].wait_ready(waiting)
