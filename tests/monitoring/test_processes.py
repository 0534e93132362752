"""Real processes, scraped: a worker whose children are killed, and media processes that share a port."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from celery import Celery
from django.conf import settings

from tenex.engines.process import free_port, wait_until
from tenex.supervisor.plan import MANAGE
from tests.monitoring.scrapes import TOKEN, get, samples, value
from tests.rig.process import RealProcess

TASK = "voice.lines"


@contextmanager
def _process(folder: Path, name: str, *command: str, **environment: str) -> Iterator[RealProcess]:
    known = {"METRICS_TOKEN": TOKEN, "SECRET_KEY": "monitoring", "DEBUG": "1", "TMPDIR": str(folder)}
    process = RealProcess(name, [sys.executable, *command], os.environ | known | environment, folder)
    try:
        yield process
    finally:
        process.kill()


def test_a_workers_counts_survive_its_children(tmp_path: Path) -> None:
    """All its children count together, and what a killed one counted stays counted."""
    port, queue = free_port(), "monitoring-test"
    url = f"http://127.0.0.1:{port}/healthz/metrics"
    command = ["-m", "celery", "--app=tenex", "--quiet", "worker", "--concurrency=2", f"--queues={queue}"]
    app = Celery(broker=settings.CELERY_BROKER_URL)
    with _process(
        tmp_path, "worker", *command, "--without-mingle", "--without-gossip", WORKER_METRICS_PORT=str(port)
    ) as worker:
        worker.wait_ready(lambda: get(url)[0] == 200)
        assert get(url, "wrong")[0] == 401
        assert get(f"{url}/system")[0] == 404

        def counted() -> float:
            return value(get(url)[1], "tenex_task_seconds_count", task=TASK, role="worker") or 0.0

        def run(times: int) -> None:
            for _ in range(times):
                app.send_task(TASK, queue=queue, ignore_result=True)

        run(6)
        assert wait_until(lambda: counted() == 6, timeout_s=30)
        for child in psutil.Process(worker.pid).children():
            if "celery" in " ".join(child.cmdline()):
                child.send_signal(signal.SIGKILL)
        run(4)
        assert wait_until(lambda: counted() == 10, timeout_s=30), worker.log_tail()
        found = samples(get(url)[1])
        assert {one.labels.get("role") for one in found} == {"worker"}
        assert list(tmp_path.glob("tenex-counts-*"))
        assert worker.stop(timeout_s=30) == 0, worker.log_tail()
    assert not list(tmp_path.glob("tenex-counts-*"))
    app.close()


def test_media_processes_on_one_port_are_told_apart_by_ports_of_their_own(tmp_path: Path) -> None:
    shared, first, second = free_port(), free_port(), free_port()
    command = [MANAGE, "serve", "--role=media", f"--port={shared}", "--reuse-port"]
    with (
        _process(tmp_path, "one", *command, f"--metrics-port={first}") as one,
        _process(tmp_path, "two", *command, f"--metrics-port={second}") as two,
    ):
        started = []
        for process, port in ((one, first), (two, second)):
            url = f"http://127.0.0.1:{port}/healthz/metrics"

            def looped(url: str = url) -> bool:
                return (value(get(url)[1], "tenex_process_loop_lag_seconds_count", role="media") or 0) > 0

            process.wait_ready(looped)
            told = get(url)[1]
            assert {sample.labels.get("role") for sample in samples(told)} == {"media"}
            started.append(value(told, "process_start_time_seconds"))
        assert len(set(started)) == 2
        at = f"http://127.0.0.1:{shared}/healthz/metrics"
        assert value(get(at)[1], "process_start_time_seconds") in started
        assert get(at, "wrong")[0] == 401
        assert get(f"{at}/system")[0] == 404


def test_a_taken_port_for_figures_is_told_at_once() -> None:
    taken = free_port()
    import socket

    with socket.create_server(("127.0.0.1", taken)):
        done = subprocess.run(
            [sys.executable, MANAGE, "serve", f"--port={free_port()}", f"--metrics-port={taken}"],
            env=os.environ | {"METRICS_TOKEN": TOKEN},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr
