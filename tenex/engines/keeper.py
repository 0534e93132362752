"""The keeper of one engine: a small process that starts it, restarts it, ends it when nobody uses it.

    python -m tenex.engines.keeper postgres|valkey FOLDER [--tcp] [--throwaway]

The keeper belongs to no terminal and to no single user of the engine: `manage.py up`, a shell beside it and a
test run share one engine, whoever came first, and it ends with the last of them, however that one ended. If
the keeper itself is killed, Linux tells the engine (PR_SET_PDEATHSIG), and the next keeper clears up.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Protocol

from tenex.engines.errors import EngineError
from tenex.engines.folder import EngineFolder, State, try_lock
from tenex.engines.postgres import Postgres
from tenex.engines.process import wait_until
from tenex.engines.valkey import Valkey

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
_TICK_S = 0.2
_RESTART_DELAYS_S = (0.2, 0.5, 1, 2, 5)
_FIRST_START_TRIES = 3
_LOG_MAX_BYTES = 10 * 1024 * 1024


class Engine(Protocol):
    """What a keeper needs to know about the engine it keeps."""

    @property
    def title(self) -> str: ...
    @property
    def tcp(self) -> bool: ...
    @property
    def stop_signal(self) -> signal.Signals: ...
    def prepare(self, earlier: State | None) -> None: ...
    def start(self, log: BinaryIO) -> subprocess.Popen[bytes]: ...
    def is_ready(self, server: subprocess.Popen[bytes]) -> bool: ...
    def url(self) -> str: ...
    def clean_up(self) -> None: ...


class Keeper:
    """Runs one engine as its child for as long as a process holds the users' lock."""

    def __init__(self, engine: Engine, folder: EngineFolder, *, throwaway: bool, log: BinaryIO) -> None:
        self._engine = engine
        self._folder = folder
        self._throwaway = throwaway
        self._log = log
        self._asked_to_stop = False
        self._last_use: int | None = None

    def run(self, earlier: State | None) -> int:
        """Keep the engine until nobody uses it. Returns the exit status of the keeper."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._on_terminate)
        server: subprocess.Popen[bytes] | None = None
        try:
            server = self._first_start(earlier)
            self._tell(server)
            server = self._keep(server)
        except (EngineError, OSError, subprocess.SubprocessError) as error:
            self._note(f"{self._engine.title} cannot be started: {error}")
            self._folder.write_state(State(keeper_pid=os.getpid(), error=str(error)))
            return 1
        if server is not None:
            self._stop(server)
        self._engine.clean_up()
        self._folder.state_file.unlink(missing_ok=True)
        if self._throwaway:
            shutil.rmtree(self._folder.path, ignore_errors=True)
            with contextlib.suppress(OSError):
                self._folder.path.parent.rmdir()
        return 0

    def _keep(self, server: subprocess.Popen[bytes]) -> subprocess.Popen[bytes] | None:
        """Watch the server until it is no longer wanted; a server that ended is started again."""
        failures = 0
        while self._wanted():
            if server.poll() is None:
                time.sleep(_TICK_S)
                continue
            self._note(
                f"{self._engine.title} ended by itself (status {server.returncode}): starting it again"
            )
            self._folder.write_state(State(keeper_pid=os.getpid(), tcp=self._engine.tcp))
            time.sleep(_RESTART_DELAYS_S[min(failures, len(_RESTART_DELAYS_S) - 1)])
            try:
                server = self._start(None)
            except EngineError as error:
                failures += 1
                self._note(str(error))
                continue
            failures = 0
            self._tell(server)
        return server

    def _wanted(self) -> bool:
        if self._asked_to_stop:
            return False
        # Kept until this process ends: whoever comes now waits for it, and starts a fresh engine.
        self._last_use = try_lock(self._folder.users_lock, shared=False)
        return self._last_use is None

    def _first_start(self, earlier: State | None) -> subprocess.Popen[bytes]:
        for left in range(_FIRST_START_TRIES - 1, -1, -1):
            try:
                return self._start(earlier)
            except EngineError as error:
                # The port may have been taken between the choice and the start; anything else fails again.
                if not left or not self._engine.tcp:
                    raise
                self._note(str(error))
        raise AssertionError("unreachable")

    def _start(self, earlier: State | None) -> subprocess.Popen[bytes]:
        self._engine.prepare(earlier)
        server = self._engine.start(self._log)
        ready = wait_until(
            lambda: server.poll() is not None or self._engine.is_ready(server), timeout_s=START_TIMEOUT_S
        )
        if server.poll() is not None:
            raise EngineError(
                f"{self._engine.title} ended with status {server.returncode} while starting:\n"
                f"{self._folder.log_tail()}"
            )
        if not ready:
            self._stop(server)
            raise EngineError(
                f"{self._engine.title} was not ready within {START_TIMEOUT_S} s:\n{self._folder.log_tail()}"
            )
        return server

    def _stop(self, server: subprocess.Popen[bytes]) -> None:
        for number in (self._engine.stop_signal, signal.SIGQUIT, signal.SIGKILL):
            if server.poll() is not None:
                return
            server.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(STOP_TIMEOUT_S)

    def _tell(self, server: subprocess.Popen[bytes]) -> None:
        self._folder.write_state(
            State(keeper_pid=os.getpid(), engine_pid=server.pid, url=self._engine.url(), tcp=self._engine.tcp)
        )

    def _note(self, text: str) -> None:
        self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} keeper[{os.getpid()}] {text}\n".encode())
        self._log.flush()

    def _on_terminate(self, number: int, frame: FrameType | None) -> None:
        self._asked_to_stop = True


def main(arguments: list[str]) -> int:
    """Entry of the keeper's process. Returns 0 also if another keeper already keeps this folder."""
    parser = argparse.ArgumentParser(prog="tenex.engines.keeper")
    parser.add_argument("engine", choices=("postgres", "valkey"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tcp", action="store_true")
    parser.add_argument("--throwaway", action="store_true")
    chosen = parser.parse_args(arguments)

    folder = EngineFolder(chosen.folder)
    folder.create()
    lock = try_lock(folder.keeper_lock, shared=False)
    if lock is None:
        return 0
    earlier = folder.read_state()
    folder.state_file.unlink(missing_ok=True)
    if folder.log.exists() and folder.log.stat().st_size > _LOG_MAX_BYTES:
        folder.log.replace(folder.log.with_suffix(".1"))
    with folder.log.open("ab") as log:
        engine: Engine
        try:
            if chosen.engine == "postgres":
                engine = Postgres(folder, tcp=chosen.tcp, throwaway=chosen.throwaway)
            else:
                engine = Valkey(folder, throwaway=chosen.throwaway)
        except EngineError as error:
            folder.write_state(State(keeper_pid=os.getpid(), error=str(error)))
            return 1
        return Keeper(engine, folder, throwaway=chosen.throwaway, log=log).run(earlier)


if __name__ == "__main__":
    # Nothing of the starting process may be kept open by a process that outlives it.
    os.closerange(3, 1024)
    sys.exit(main(sys.argv[1:]))
