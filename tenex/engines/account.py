"""Which operating-system account PostgreSQL runs under, and how a child becomes it.

PostgreSQL refuses to run as root. For an ordinary user nothing has to be done. For root a child gives up its
rights before it executes the server: it becomes an unprivileged account, and where that account could not
walk down to the data folder or to the server's program (a checkout under /root, a private temporary folder)
it keeps the single right to pass through directories, as an ambient capability. No account is made, and no
mode of a folder that is not ours is changed.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import stat
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tenex.engines.errors import EngineError

ACCOUNT_VARIABLE = "TENEX_POSTGRES_ACCOUNT"
_CANDIDATES = ("postgres", "nobody")

# linux/prctl.h, linux/capability.h
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@dataclass(frozen=True)
class Account:
    """An account of this machine: what a server process runs as."""

    name: str
    uid: int
    gid: int


def server_account(data_folder: Path) -> Account | None:
    """The account for a server that works in `data_folder`; None means "as we are" (we are not root).

    The owner of data that exists already wins, then TENEX_POSTGRES_ACCOUNT, then `postgres`, then `nobody`.

    Raises:
        EngineError: no such account.
    """
    if os.geteuid() != 0:
        return None
    if data_folder.exists() and (uid := data_folder.stat().st_uid) != 0:
        entry = pwd.getpwuid(uid)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    wished = os.environ.get(ACCOUNT_VARIABLE, "")
    for name in (wished,) if wished else _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise EngineError(
        "PostgreSQL does not run as root, and this machine has no unprivileged account for it "
        f"(tried {wished or ', '.join(_CANDIDATES)}). Name one in {ACCOUNT_VARIABLE}, run as an "
        "ordinary user, or set DATABASE_URL."
    )


def can_walk_to(account: Account, path: Path) -> bool:
    """Whether `account` may pass through every directory above `path`."""
    for folder in path.resolve().parents:
        info = folder.stat()
        if info.st_uid == account.uid:
            needed = stat.S_IXUSR
        elif info.st_gid == account.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not info.st_mode & needed:
            return False
    return True


def child_set_up(account: Account | None, reached: Iterable[Path], death_signal: int) -> Callable[[], None]:
    """What a forked child does before it executes a server: drop rights, die with its parent.

    Args:
        account: the account to become; None keeps the present one.
        reached: paths that the server must be able to walk to.
        death_signal: what Linux sends to the server when its parent dies; elsewhere nothing is sent.

    Raises:
        EngineError: the account cannot reach a path, and we hold no right to let it.
    """
    capability = None
    if account is not None:
        blocked = [path for path in reached if not can_walk_to(account, path)]
        if blocked:
            capability = _capability_to_walk(account, blocked[0])

    def set_up() -> None:
        if account is not None:
            _become(account, capability)
        if _LIBC is not None:
            # After the change of account, which clears it.
            _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return set_up


def die_with_parent(death_signal: int = signal.SIGTERM) -> None:
    """In a freshly forked child: let Linux send `death_signal` when the parent dies. A no-op elsewhere."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)


def _capability_to_walk(account: Account, path: Path) -> int:
    held = _effective_capabilities()
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if held & (1 << capability):
            return capability
    raise EngineError(
        f"PostgreSQL does not run as root, and the account {account.name!r} may not reach {path}. "
        "Use a checkout and a TENEX_DATA_DIR that others may enter, run as an ordinary user, or set "
        "DATABASE_URL."
    )


def _effective_capabilities() -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _become(account: Account, capability: int | None) -> None:
    if capability is not None and _LIBC is not None:
        _LIBC.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if capability is None or _LIBC is None:
        return
    bit = 1 << capability
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    data = (_CapabilityData * 2)(_CapabilityData(bit, bit, bit), _CapabilityData(0, 0, 0))
    if _LIBC.capset(ctypes.byref(header), ctypes.byref(data)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    if _LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_CAP_AMBIENT)")
