"""`manage.py rehearse` as an operator uses it, in processes of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tenex.engines.process import free_port
from voice.rehearsal.carrier.options import ACCOUNT_SID

PROJECT = Path(__file__).resolve().parents[2]


def manage(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", "rehearse", *arguments],
        cwd=PROJECT, env=_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def _environment() -> dict[str, str]:
    return {**os.environ, "TENEX_REHEARSAL": "1", "TWILIO_ACCOUNT_SID": "", "TWILIO_API_BASE_URL": ""}


@pytest.fixture(scope="module")
def carrier() -> Iterator[str]:
    """A rehearsal whose application does not answer; ends with SIGTERM and status 0."""
    port = free_port()
    command = [sys.executable, "manage.py", "rehearse", "serve", f"--carrier-port={port}", "--speed=20"]
    command += [f"--openai-port={free_port()}", "--app-url=http://127.0.0.1:9"]
    with subprocess.Popen(
        command, cwd=PROJECT, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        url = f"http://127.0.0.1:{port}"
        _await(f"{url}/control/health", process)
        yield url
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=20)
        assert process.returncode == 0, printed
        assert f"TWILIO_ACCOUNT_SID={ACCOUNT_SID}".encode() in printed


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(url, timeout=2, trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise AssertionError("the rehearsal did not come up")


def test_the_scenarios_are_listed() -> None:
    done = manage("list")
    assert done.returncode == 0, done.stderr
    assert "inbound-qualified" in done.stdout


def test_a_call_is_placed_and_told(carrier: str) -> None:
    done = manage("call", "dtmf", f"--carrier-url={carrier}")
    assert done.returncode == 0, done.stderr
    assert "completed, ended by carrier" in done.stdout  # the application does not answer: an apology
    assert "debugger 11205" in done.stdout


def test_a_run_fails_if_an_expectation_is_not_met(carrier: str) -> None:
    done = manage("run", "dtmf", f"--carrier-url={carrier}")
    assert done.returncode == 1
    assert "FAIL text contains: i have your number" in done.stdout
    assert "ok   status: completed" in done.stdout


def test_mistakes_are_told_in_one_line(carrier: str, tmp_path: Path) -> None:
    assert "no scenario 'nonsense'" in manage("call", "nonsense", f"--carrier-url={carrier}").stderr
    assert "use a batch" in manage("call", "voicemail", f"--carrier-url={carrier}").stderr
    assert "where is the carrier?" in manage("call", "dtmf").stderr
    assert "does not answer" in manage("call", "dtmf", "--carrier-url=http://127.0.0.1:9").stderr
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: broken\nscript: 5\n")
    assert f"{broken}:2: script:" in manage("call", str(broken), f"--carrier-url={carrier}").stderr


def test_the_control_door(carrier: str) -> None:
    with httpx2.Client(base_url=f"{carrier}/control", trust_env=False, timeout=10) as door:
        assert door.get("/health").json()["ok"]
        plan = {"name": "x", "call": {"direction": "outbound", "to": "+14155550160", "answer": "busy"}}
        made = door.post("/scenarios", json={"scenario": plan}).json()
        assert made == {"number": "+14155550160", "scenarios": ["x"]}
        assert door.post("/scenarios", json={"scenario": {"name": "x", "who": 1}}).status_code == 422
        assert door.post("/calls", json={"scenario": "dtmf", "to": "+14155550161"}).status_code == 404
        assert door.put("/faults", json={"earthquake": 1}).status_code == 422
        assert door.put("/faults", json={"fail_500": 0.5}).json()["fail_500"] == 0.5
        assert door.patch("/faults", json={"callback_drop": 1}).json()["fail_500"] == 0.5
        assert door.put("/faults", json={}).json()["fail_500"] == 0
        door.put("/numbers/+14155550162", json={"voice_url": "http://127.0.0.1:9/v"})
        assert door.get("/numbers").json()["numbers"]["+14155550162"] == "http://127.0.0.1:9/v"
        sid = door.post("/calls", json={"scenario": "dtmf", "to": "+14155550162"}).json()["sid"]
        assert door.post(f"/calls/{sid}/hangup").json()["status"] == "completed"
        truth = door.get(f"/calls/{sid}").json()
        assert (truth["hung_up_by"], truth["to"]) == ("caller", "+14155550162")
        assert door.get("/calls", params={"number": "+14155550162"}).json()["calls"] == [truth]
        assert door.get("/dials").json() == {}
        assert "alerts" in door.get("/debugger").json()
