"""A9: the broker is no database: emptied and stopped in the middle of a batch, it costs time, nothing else.

A real Celery worker and a real beat with a Valkey of their own as the broker. While a batch is dialed it is
emptied under them, then its process ends, and after a while another one comes back at the same address.
Nobody is lost or dialed twice, and dialing goes on soon.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tenex.supervisor.plan import Role, celery_command
from tests.prove.a1_dialed_once import outcome
from tests.prove.dial_rig import PROJECT, STUCK_S, Rig, free_port, main, rig
from tests.prove.fake_carrier import FakeCarrier

_SOON_S = 10.0
_PER_S = 5


class Broker:
    """A Valkey server of this command alone: without a keeper that would start it again."""

    def __init__(self) -> None:
        from tenex.engines.process import packaged_program
        from tenex.engines.valkey import PACKAGE, _machine

        self._program = packaged_program(
            PACKAGE, "_binaries", f"{sys.platform}-{_machine()}", "valkey-server"
        )
        self._folder = Path(tempfile.mkdtemp(prefix="tenex-broker-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Empty, as after the loss of a machine."""
        arguments = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self._folder),
        ]
        self._server = subprocess.Popen(
            [str(self._program), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until_s = time.monotonic() + 20
        while not self._answers():
            if time.monotonic() > until_s:
                raise RuntimeError("the broker did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait(10)
            self._server = None

    def flush(self) -> None:
        import redis

        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        import redis

        try:
            with redis.Redis.from_url(self.url, socket_connect_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def prove(full: bool) -> dict[str, Any]:
    leads, away_s = (600, 30.0) if full else (60, 6.0)
    broker = Broker()
    settings = {"CELERY_BROKER_URL": broker.url, "TENEX_TIME_SCALE": "1", "DIAL_GRACE_S": "2"}
    settings["CARRIER_CALLS_PER_SECOND"] = str(_PER_S)
    broken: Counter[str] = Counter()
    try:
        broker.start()
        with rig(FakeCarrier(outcome=outcome, seed=9), settings) as world:
            world.processes.spawn("web")
            processes = [_celery(world, Role.WORKER, "--concurrency=2"), _celery(world, Role.BEAT)]
            try:
                batch = world.batch(leads, calls_per_second=10_000, lines=60)
                _wait_for_starts(world, leads // 6)
                broker.flush()
                _wait_for_starts(world, leads // 3)
                broker.stop()
                time.sleep(away_s)
                broker.start()
                back_s, before = time.monotonic(), len(world.carrier.starts_s)
                _wait_for_starts(world, before + 1)
                resumed_s = time.monotonic() - back_s
                finished = world.wait_completed(batch)
                broken += world.audit(batch)
            finally:
                for process in processes:
                    process.terminate()
                killed = sum(_killed(process) for process in processes)
    finally:
        broker.close()
    broken["resumed_late"] = resumed_s > _SOON_S
    broken["batch_not_completed"] = not finished
    broken["ended_only_by_kill"] = killed
    return {
        "trials": leads,
        "violations": sum((+broken).values()),
        **+broken,
        "away_s": away_s,
        "resumed_after_s": round(resumed_s, 2),
    }


def _killed(process: subprocess.Popen[bytes]) -> bool:
    """Whether it had to be: SIGTERM must end it, also after its broker was away."""
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def _celery(world: Rig, role: Role, *arguments: str) -> subprocess.Popen[bytes]:
    """One of Celery's processes, as the units of deploy/ start it."""
    command = celery_command(role, "--loglevel=ERROR", *arguments)
    if role is Role.WORKER:
        command += ["--without-gossip", "--without-mingle"]
    else:
        command += [f"--schedule={world.log.parent / 'schedule'}", "--pidfile="]
    environment = {**os.environ, "TENEX_ROLE": role, "PYTHONWARNINGS": "ignore:You're running the worker"}
    with world.log.open("ab") as log:
        return subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)


def _wait_for_starts(world: Rig, count: int) -> None:
    until_s = time.monotonic() + STUCK_S
    while len(world.carrier.starts_s) < count and time.monotonic() < until_s:
        time.sleep(0.05)


if __name__ == "__main__":
    main("A9", prove)
