"""Fault hooks (promises.md R20): a named place in the code where a test can make this process die.

They do nothing until :func:`arm` is called, which the settings allow for tests and rehearsals only.
"""

import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import Literal, get_args

Action = Literal["kill", "hang", "raise", "stop"]


class FailpointReached(Exception):
    """Raised by a failpoint whose action is `raise`. Not a TenexError: nothing may handle it kindly."""


@dataclass(slots=True)
class _Armed:
    name: str
    action: Action
    at: int
    hits: int = 0


_armed: _Armed | None = None
_lock = threading.Lock()


def arm(spec: str) -> None:
    """Set the one failpoint of this process: `name:action[@n]`, at its n-th passing (first is 1).

    `kill` ends the process at once, `hang` its thread, `stop` freezes it until somebody sends SIGCONT.

    An empty `spec` disarms.

    Raises:
        ValueError: not of that form.
    """
    global _armed  # noqa: PLW0603 - one per process by design
    if not spec:
        _armed = None
        return
    name, _, rest = spec.partition(":")
    action, _, nth = rest.partition("@")
    if not name or action not in get_args(Action) or not (nth or "1").isdigit() or int(nth or "1") < 1:
        raise ValueError(f"FAILPOINT must be name:kill|hang|raise|stop@n, not {spec!r}")
    _armed = _Armed(name, action, int(nth or "1"))  # type: ignore[arg-type]


def hit(name: str) -> None:
    """Pass the place `name`."""
    armed = _armed
    if armed is None or armed.name != name:
        return
    with _lock:
        armed.hits += 1
        if armed.hits != armed.at:
            return
    match armed.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "hang":
            while True:
                time.sleep(3600)
        case "raise":
            raise FailpointReached(name)
