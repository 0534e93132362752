"""The folder of one engine: its files, its two locks, and what its keeper tells about itself.

    <data dir>/<engine>/
      cluster/ or data/   the engine's own data
      log                 what the engine and its keeper print
      state.json          written by the keeper: pids, address, or why it failed
      users.lock          shared lock: held by every process that uses the engine
      keeper.lock         exclusive lock: held by the engine's keeper as long as it lives

Both locks are `flock` locks: the kernel drops them when their process dies, however it dies. So a process
that uses an engine cannot be forgotten, and a keeper that was killed cannot be mistaken for a living one.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tenex.engines.errors import EngineError


@dataclass(frozen=True)
class State:
    """What a keeper tells about its engine.

    Attributes:
        keeper_pid: the keeper.
        engine_pid: the engine; 0 while it is down.
        url: its address; empty while it is down.
        tcp: whether it listens on the loopback network.
        error: why it could not be started, as a sentence.
    """

    keeper_pid: int
    engine_pid: int = 0
    url: str = ""
    tcp: bool = False
    error: str = ""


class EngineFolder:
    """Names and locks below one engine's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log"
        self.state_file = path / "state.json"
        self.users_lock = path / "users.lock"
        self.keeper_lock = path / "keeper.lock"

    def create(self) -> None:
        """Make the folder; its mode lets a server that runs under another account pass through."""
        self.path.mkdir(parents=True, exist_ok=True)

    def write_state(self, state: State) -> None:
        """Replace the state file in one step. It may hold a password: only the owner reads it."""
        fresh = self.state_file.with_suffix(f".{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(state), file)
        fresh.replace(self.state_file)

    def read_state(self) -> State | None:
        """The state as last written; None if there is none (or it is none of ours)."""
        try:
            return State(**json.loads(self.state_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def log_tail(self, lines: int = 12) -> str:
        """The end of the log, for an error message."""
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def try_lock(path: Path, *, shared: bool, create: bool = True) -> int | None:
    """Take a lock without waiting. Returns the descriptor that holds it (close it to let go), or None.

    Raises:
        FileNotFoundError: the file is not there and is not to be made, or its folder is not there.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    # The folder of a throw-away engine goes away with its keeper: a lock on a deleted file protects nothing.
    try:
        same = os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        same = False
    if same:
        return descriptor
    os.close(descriptor)
    return None


def wait_lock(path: Path, *, shared: bool, timeout_s: float) -> int:
    """Take a lock, waiting at most `timeout_s` seconds.

    Raises:
        EngineError: somebody else held it all the time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = try_lock(path, shared=shared)
        if descriptor is not None:
            return descriptor
        if time.monotonic() > deadline:
            raise EngineError(
                f"{path} stayed locked for {timeout_s:.0f} s: is another engine still shutting down?"
            )
        time.sleep(0.02)
