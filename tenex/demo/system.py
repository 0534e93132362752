"""The processes of a demo: the rehearsal (carrier and model) and the system, in one folder."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2

PROJECT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 120.0
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
"""Of the user's environment; anything else could point the demo at a real account."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class DemoSystem:
    """Starts everything on entry, ends it on exit; logs go to files of `folder`."""

    def __init__(self, folder: Path, *, port: int, speed: float) -> None:
        self.folder = folder
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}"
        self.carrier_url = f"http://127.0.0.1:{free_port()}"
        self.openai_url = f"http://127.0.0.1:{free_port()}"
        self.account_sid = "AC" + secrets.token_hex(16)
        self.auth_token = secrets.token_hex(16)
        self.openai_key = "sk-rehearsal-" + secrets.token_hex(12)
        self.speed = speed
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    @property
    def environment(self) -> dict[str, str]:
        """What an operator would set for the real carrier and model, pointed at the rehearsal."""
        return {
            **{key: os.environ[key] for key in _KEPT if key in os.environ},
            "TENEX_DATA_DIR": str(self.folder),
            "TENEX_REHEARSAL": "1",
            "DEBUG": "1",
            "PORT": str(self.port),
            "PUBLIC_BASE_URL": self.base_url,
            "TENEX_TIME_SCALE": str(self.speed),
            "TWILIO_ACCOUNT_SID": self.account_sid,
            "TWILIO_AUTH_TOKEN": self.auth_token,
            "TWILIO_API_BASE_URL": self.carrier_url,
            "OPENAI_API_KEY": self.openai_key,
            "OPENAI_BASE_URL": f"{self.openai_url}/v1",
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        }

    def start(self) -> None:
        """Begin with an empty folder; returns when the system answers.

        Raises:
            RuntimeError: a process ended or did not answer in time; names its log.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._spawn("rehearsal", "rehearse", "serve", *self._rehearsal_arguments())
        self._await("rehearsal", f"{self.carrier_url}/control/health")
        self._spawn("system", "up")
        self._await("system", f"{self.base_url}/healthz/ready")

    def manage(self, *arguments: str) -> str:
        """Run one management command in the demo's environment; its standard output.

        Raises:
            RuntimeError: it failed; the message ends with what it said.
        """
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"manage.py {arguments[0]} failed:\n{done.stderr[-2000:]}")
        return done.stdout

    def stop(self) -> None:
        """End in order: the system first, so that its goodbyes still reach the carrier."""
        for _, process in reversed(self._running):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=45)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        self._running.clear()

    def wait(self) -> None:
        """Block until a process ends (a crash) or the caller is interrupted."""
        while all(process.poll() is None for _, process in self._running):
            time.sleep(0.5)

    def _rehearsal_arguments(self) -> list[str]:
        return [
            "--carrier-port", self.carrier_url.rsplit(":", 1)[1],
            "--openai-port", self.openai_url.rsplit(":", 1)[1],
            "--app-url", self.base_url,
            "--speed", str(self.speed),
        ]  # fmt: skip

    def _spawn(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=PROJECT, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._running.append((name, process))

    def _await(self, name: str, url: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        process = dict(self._running)[name]
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"the {name} ended at once; see {self.folder / name}.log")
            try:
                if httpx2.get(url, timeout=2.0, trust_env=False).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        raise RuntimeError(
            f"the {name} did not answer in {START_TIMEOUT_S:.0f} s; see {self.folder / name}.log"
        )
