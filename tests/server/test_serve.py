"""The server process under signals: live calls are never cut by the first one."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tenex.engines.process import free_port, wait_until
from tenex.lib import limits

PROJECT = Path(__file__).resolve().parents[2]


class Served:
    """A process of the app under test, on `port`."""

    def __init__(self, name: str, port: int, *, drain_timeout_s: float, shared: bool) -> None:
        self.port = port
        arguments = [name, str(port), str(drain_timeout_s), "shared" if shared else "alone"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.app_under_test", *arguments], cwd=PROJECT
        )

    def told(self) -> dict[str, object] | None:
        """What an HTTP request is answered; None if nobody does."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                return dict(json.loads(answer.read()))
        except OSError:
            return None

    def ended_within(self, seconds: float) -> bool:
        return wait_until(lambda: self.process.poll() is not None, timeout_s=seconds)


@pytest.fixture
def started() -> Iterator[list[Served]]:
    processes: list[Served] = []
    yield processes
    for served in processes:
        served.process.kill()
        served.process.wait()


def _serve(started: list[Served], *, drain_timeout_s: float = 30) -> Served:
    served = Served("one", free_port(), drain_timeout_s=drain_timeout_s, shared=False)
    started.append(served)
    assert wait_until(lambda: served.told() is not None, timeout_s=30)
    return served


async def _alive(call: object) -> bool:
    await call.send("are you there")  # type: ignore[attr-defined]
    return bool(await asyncio.wait_for(call.recv(), 5) == "are you there")  # type: ignore[attr-defined]


async def test_without_calls_the_first_signal_ends_it_at_once(started: list[Served]) -> None:
    served = _serve(started)
    served.process.send_signal(signal.SIGTERM)
    assert served.ended_within(5)
    assert served.process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_live_call_goes_on_and_the_process_ends_after_it(
    started: list[Served], number: signal.Signals
) -> None:
    served = _serve(started)
    async with connect(f"ws://127.0.0.1:{served.port}/twilio/media") as call:
        served.process.send_signal(number)
        assert wait_until(lambda: (served.told() or {}).get("draining") is True, timeout_s=5)
        for _ in range(5):
            assert await _alive(call)
        assert served.process.poll() is None
    closed_at = time.monotonic()
    assert served.ended_within(10)
    # G1: at most one second after the last call; twice that here, for two busy cores.
    assert time.monotonic() - closed_at < 2
    assert served.process.returncode == 0


async def test_deadline_cuts_what_is_left(started: list[Served]) -> None:
    served = _serve(started, drain_timeout_s=0.5)
    async with connect(f"ws://127.0.0.1:{served.port}/twilio/media") as call:
        assert await _alive(call)
        served.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(call.recv(), 10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    assert served.ended_within(5)


async def test_second_signal_ends_at_once(started: list[Served]) -> None:
    served = _serve(started)
    async with connect(f"ws://127.0.0.1:{served.port}/twilio/media") as call:
        assert await _alive(call)
        served.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: (served.told() or {}).get("draining") is True, timeout_s=5)
        served.process.send_signal(signal.SIGTERM)
        assert served.ended_within(5)


async def test_rolling_restart_cuts_and_refuses_nobody(started: list[Served]) -> None:
    port = free_port()
    old = Served("old", port, drain_timeout_s=30, shared=True)
    started.append(old)
    assert wait_until(lambda: old.told() is not None, timeout_s=30)
    calls = [await connect(f"ws://127.0.0.1:{port}/twilio/media") for _ in range(20)]
    new = Served("new", port, drain_timeout_s=30, shared=True)
    started.append(new)
    assert wait_until(lambda: (new.told() or {}).get("name") == "new", timeout_s=30)
    old.process.send_signal(signal.SIGTERM)
    assert wait_until(lambda: all((old.told() or {}).get("name") == "new" for _ in range(10)), timeout_s=5)

    newer = [await connect(f"ws://127.0.0.1:{port}/twilio/media") for _ in range(20)]
    assert all([await _alive(call) for call in calls + newer])
    assert old.process.poll() is None
    for call in calls:
        await call.close()
    assert old.ended_within(10)
    assert all([await _alive(call) for call in newer])
    for call in newer:
        await call.close()


async def test_oversize_frame_closes_that_socket_alone(started: list[Served]) -> None:
    served = _serve(started)
    async with (
        connect(f"ws://127.0.0.1:{served.port}/twilio/media") as good,
        connect(f"ws://127.0.0.1:{served.port}/twilio/media") as bad,
    ):
        await bad.send("x" * (limits.FRAME_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(bad.recv(), 5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        assert await _alive(good)


def test_taken_port_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "manage.py", "serve", f"--port={port}"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert f"Port {port} on 127.0.0.1 is in use. Choose another with PORT=" in done.stderr
    assert "Traceback" not in done.stderr


def test_web_role_runs_under_daphne() -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "daphne", "--port", str(port), "tenex.asgi:application"],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:

        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz/ready", timeout=5) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        assert wait_until(answers, timeout_s=40, every_s=0.1)
    finally:
        process.kill()
        process.wait()
