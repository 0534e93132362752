"""Small facts about processes, ports and programs that both engines need. Standard library only."""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from tenex.engines.errors import EngineError


def packaged_program(package: str, *parts: str) -> Path:
    """A program that lies inside an installed package, without importing the package.

    Raises:
        EngineError: the package or the program is not there (another platform, a half-done install).
    """
    spec = importlib.util.find_spec(package)
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        program = Path(root, *parts)
        if program.is_file():
            return program
    raise EngineError(
        f"The package {package} has no {parts[-1]} for this machine: install requirements.txt again."
    )


def free_port(wished: int = 0) -> int:
    """A loopback TCP port nobody listens on: `wished` if it is free, else one of the system's choice."""
    for port in (wished, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise EngineError("No free TCP port on 127.0.0.1.")


def kept_secret(path: Path) -> str:
    """The password kept in `path`, made on first use and readable by the owner only."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    secret = secrets.token_urlsafe(24)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret + "\n")
    fresh.replace(path)
    return secret


def is_alive(pid: int) -> bool:
    """Whether a process of this number exists and is no zombie."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def runs_program(pid: int, program: str, argument: str = "") -> bool:
    """Whether the process runs a program of this file name, with `argument` on its command line.

    A number in a left-over pid file may long belong to somebody else: nothing is sent to it before this is
    asked.
    """
    if not is_alive(pid):
        return False
    # Not at the top: rarely needed, and a keeper should start quickly.
    import psutil

    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return bool(words) and Path(words[0]).name == program and (not argument or argument in words)


def end_orphan(pid: int, signals: tuple[signal.Signals, ...], *, each_s: float) -> None:
    """End a process that is not our child: each signal in turn, waiting up to `each_s` after it.

    Raises:
        EngineError: it is still there after the last one.
    """
    for number in signals:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if wait_until(lambda: not is_alive(pid), timeout_s=each_s):
            return
    raise EngineError(f"Process {pid} of an earlier run does not end.")


def wait_until(condition: Callable[[], bool], *, timeout_s: float, every_s: float = 0.02) -> bool:
    """Ask `condition` again and again; False if it never came true within `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True
