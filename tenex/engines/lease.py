"""The user's side of an engine: find it or start its keeper, and hold it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tenex.engines.errors import EngineError
from tenex.engines.folder import EngineFolder, try_lock, wait_lock
from tenex.engines.process import is_alive

_START_TIMEOUT_S = 90
_STOP_TIMEOUT_S = 60
_EVERY_S = 0.02
_PROJECT = Path(__file__).resolve().parents[2]

# Of this process: folder of an engine -> descriptor of the shared lock; folder -> keeper that we started
# last.
_leases: dict[Path, int] = {}
_keepers: dict[Path, int] = {}


@dataclass(frozen=True)
class Engines:
    """Where the engines are. An address is empty for an engine that was not asked for."""

    data_dir: Path
    database_url: str
    redis_url: str


def ensure(
    data_dir: Path | str,
    *,
    postgres: bool = True,
    valkey: bool = True,
    tcp: bool = False,
    throwaway: bool = False,
) -> Engines:
    """Have the engines of a data folder running, and hold them until `stop` or the end of this process.

    Args:
        data_dir: the data folder; made if it is not there.
        postgres: whether PostgreSQL is wanted.
        valkey: whether Valkey is wanted.
        tcp: PostgreSQL on a loopback port with a password, instead of a Unix socket.
        throwaway: nothing in it is worth a disk write, and the last user takes the engines' folders with it.

    Raises:
        EngineError: one of them cannot be started; the message says why.
    """
    root = Path(data_dir).resolve()
    root.mkdir(parents=True, exist_ok=True)
    options = (["--tcp"] if tcp else []) + (["--throwaway"] if throwaway else [])
    folders = {
        name: EngineFolder(root / name)
        for name, wanted in (("postgres", postgres), ("valkey", valkey))
        if wanted
    }
    failed_before = {name: _keeper_of_a_failure(folder) for name, folder in folders.items()}
    for name, folder in folders.items():
        if folder.path not in _leases:
            _leases[folder.path] = wait_lock(folder.users_lock, shared=True, timeout_s=_STOP_TIMEOUT_S)
        _start_keeper_if_none(name, folder, options)
    urls = {
        name: _wait_until_ready(name, folder, options, failed_before[name])
        for name, folder in folders.items()
    }
    state = folders["postgres"].read_state() if postgres else None
    if tcp and state is not None and not state.tcp:
        raise EngineError(
            f"PostgreSQL of {root} already runs, on its Unix socket only: stop what uses it first."
        )
    return Engines(root, urls.get("postgres", ""), urls.get("valkey", ""))


def stop(data_dir: Path | str | None = None, *, wait: bool = True) -> None:
    """Let go of the engines that this process holds. The last user ends them.

    Args:
        data_dir: those of this data folder; None means all.
        wait: come back only when they have ended; without delay for an engine that somebody else still uses.

    Raises:
        EngineError: an engine that nobody uses did not end.
    """
    root = Path(data_dir).resolve() if data_dir is not None else None
    held = [path for path in _leases if root is None or path.parent == root]
    for path in held:
        os.close(_leases.pop(path))
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    for path in held if wait else ():
        folder = EngineFolder(path)
        while _keeper_lives(folder) and not _has_users(folder):
            if time.monotonic() > deadline:
                raise EngineError(f"The engine in {path} does not end.")
            time.sleep(_EVERY_S)
    _reap()


def _wait_until_ready(name: str, folder: EngineFolder, options: list[str], failed_before: int) -> str:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        state = folder.read_state()
        if state is not None and state.error and state.keeper_pid != failed_before:
            raise EngineError(state.error)
        if state is not None and state.url and _keeper_lives(folder) and is_alive(state.keeper_pid):
            return state.url
        if time.monotonic() > deadline:
            raise EngineError(
                f"{name} in {folder.path} is not ready after {_START_TIMEOUT_S} s:\n{folder.log_tail()}"
            )
        _start_keeper_if_none(name, folder, options)
        time.sleep(_EVERY_S)


def _keeper_of_a_failure(folder: EngineFolder) -> int:
    """Which keeper wrote the failure that lies here from an earlier try (0: none does)."""
    state = folder.read_state()
    return state.keeper_pid if state is not None and state.error else 0


def _keeper_lives(folder: EngineFolder) -> bool:
    return not _can_lock(folder.keeper_lock, shared=False)


def _has_users(folder: EngineFolder) -> bool:
    """Whether a process holds the shared lock. (A keeper that is shutting down holds the exclusive one.)"""
    return not _can_lock(folder.users_lock, shared=False) and _can_lock(folder.users_lock, shared=True)


def _can_lock(path: Path, *, shared: bool) -> bool:
    if not path.exists():
        return True
    with contextlib.suppress(FileNotFoundError):
        descriptor = try_lock(path, shared=shared, create=False)
        if descriptor is None:
            return False
        os.close(descriptor)
    return True


def _start_keeper_if_none(name: str, folder: EngineFolder, options: list[str]) -> None:
    """Start a keeper unless one lives. Of two started at the same time one finds the lock taken and ends."""
    _reap()
    if _keeper_lives(folder) or folder.path in _keepers:
        return
    folder.create()
    environment = os.environ | {"PYTHONPATH": str(_PROJECT)}
    _keepers[folder.path] = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "tenex.engines.keeper", name, str(folder.path), *options],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _reap() -> None:
    """Collect keepers of ours that have ended."""
    for path, pid in list(_keepers.items()):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            ended = pid
        if ended:
            del _keepers[path]
