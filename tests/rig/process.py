"""One real process of a rig: its own group, its own log, gone with the test run however that ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tenex.engines.account import die_with_parent

PROJECT = Path(__file__).resolve().parents[2]


class RigError(RuntimeError):
    """A process of the rig did not come up; the message ends with what it printed."""


class RealProcess:
    """A child that is started at once and whose output goes to `<folder>/<name>.log`."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self._asked = False
        self.log_path = folder / f"{name}.log"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    @property
    def pid(self) -> int:
        """Its process number, also after its end."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def log_tail(self, lines: int = 25) -> str:
        """The end of what it printed."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def wait_ready(self, is_ready: Callable[[], bool], *, timeout_s: float = 60) -> None:
        """Wait until `is_ready()`.

        Raises:
            RigError: it ended first, or the time passed.
        """
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            if self.status is not None:
                raise RigError(
                    f"{self.name} ended with status {self.status} while starting:\n{self.log_tail()}"
                )
            if time.monotonic() > deadline:
                raise RigError(f"{self.name} was not ready within {timeout_s:g} s:\n{self.log_tail()}")
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL for it and all that it started; returns when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> None:
        """SIGTERM, without waiting. `stop` does not repeat it: a second signal means "at once"."""
        self._asked = True
        if self._process.poll() is None:
            self._process.terminate()

    def stop(self, *, timeout_s: float = 30) -> int:
        """SIGTERM, wait, SIGKILL if it takes too long. Returns the exit status."""
        if not self._asked:
            self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        self.kill()
        return self._process.returncode


def answers(url: str) -> bool:
    """Whether a GET of the address is answered with 2xx."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - addresses of this machine
            return 200 <= int(answer.status) < 300
    except (urllib.error.URLError, OSError):
        return False


def listens(port: int) -> bool:
    """Whether somebody listens on this loopback port."""
    import socket

    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
