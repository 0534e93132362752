"""Asking the embedding process (crm.knowledge.embedding.child): started on demand, one a process of ours."""

import atexit
import json
import os
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import structlog

from crm.knowledge.embedding import frames
from tenex.errors import Unavailable
from tenex.monitoring import counts

log = structlog.get_logger(__name__)

_ROOT = str(Path(__file__).resolve().parents[3])
_REST_S: Final = 5.0
"""After a child that died at once no other is started for so long."""
STUCK_S: Final = 120.0
"""A process that owes answers and has given none for so long does not work any more, though it lives."""
_COUNTED: Final = {
    result: counts.MODEL_REQUESTS.labels("embedding", result) for result in ("ok", "unavailable", "refused")
}
type Vectors = list[list[float]]


class EmbeddingFailed(Unavailable):
    """There are no vectors now. `retryable`: there may be later."""

    code = "embedding_failed"

    def __init__(self, detail: str, *, retryable: bool = True) -> None:
        super().__init__(detail)
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Account:
    """What a remote model is asked with. Empty for a local one."""

    key: str = field(default="", repr=False)
    base_url: str = ""
    organization: str = ""
    project: str = ""


class _Child:
    """One process. Answers are handed to who waits for them by the number of their question."""

    def __init__(self) -> None:
        self.started_at = time.monotonic()
        self._waiting: dict[int, Future[Vectors]] = {}
        self._lock = threading.Lock()
        self._number = 0
        self._heard_at = time.monotonic()
        self.dead = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "crm.knowledge.embedding.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", **_trust()},
            start_new_session=True,  # Ctrl-C is for us; it ends when our pipe does
        )
        self._reader = threading.Thread(target=self._read, name="embeddings", daemon=True)
        self._reader.start()

    def ask(self, request: dict[str, Any]) -> Future[Vectors]:
        future: Future[Vectors] = Future()
        with self._lock:
            if self.dead:
                future.set_exception(EmbeddingFailed("the embedding process has ended"))
                return future
            if not self._waiting:
                self._heard_at = time.monotonic()
            self._number += 1
            self._waiting[self._number] = future
            frame = json.dumps({**request, "id": self._number}).encode()
            try:
                assert self._process.stdin is not None  # noqa: S101 - it is a pipe
                frames.write(self._process.stdin, frame)
            except OSError:
                self.dead = True
        if self.dead:
            self._give_up()
        return future

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        while (frame := frames.read(self._process.stdout)) is not None:
            head, _, body = frame.partition(b"\x00")
            told = json.loads(head)
            with self._lock:
                self._heard_at = time.monotonic()
                future = self._waiting.pop(told["id"], None)
            if future is None:
                continue
            if "error" in told:
                future.set_exception(EmbeddingFailed(told["error"], retryable=told["retryable"]))
            else:
                numbers = array("f", body)  # little-endian, as all machines that we run on
                width = len(numbers) // max(1, told["rows"])
                made = [numbers[at : at + width].tolist() for at in range(0, len(numbers), width)]
                future.set_result(made)
        self.dead = True
        self._give_up()
        self._close()

    @property
    def stuck(self) -> bool:
        """Without the lock: whoever writes to a process that takes nothing has it."""
        return bool(self._waiting) and time.monotonic() - self._heard_at > STUCK_S

    def _give_up(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(EmbeddingFailed("the embedding process has ended"))

    def _close(self) -> None:
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def end(self) -> None:
        self.dead = True
        self._process.kill()
        self._reader.join(5)


_child: _Child | None = None
_starting = threading.Lock()


def _forget() -> None:
    """A fork has its parent's pipes, and must not read its answers."""
    global _child, _starting
    _child, _starting = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def _trust() -> dict[str, str]:
    """Where an operator's own certificates are."""
    return {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}


def _running() -> _Child:
    global _child  # noqa: PLW0603 - one a process
    with _starting:
        if _child is not None and _child.dead:
            if time.monotonic() - _child.started_at < _REST_S:
                raise EmbeddingFailed("the embedding process does not start")
            log.warning("embedding process ended")
            _child = None
        if _child is None:
            _child = _Child()
            atexit.register(_child.end)
        return _child


def ask(
    model: str,
    texts: Sequence[str],
    *,
    form: Literal["query", "passage"],
    account: Account,
    timeout_s: float,
) -> Future[Vectors]:
    """Vectors of length one, in the order of `texts`; the future fails with :class:`EmbeddingFailed`.

    Raises:
        EmbeddingFailed: there is no process to ask.
    """
    request = {
        "model": model,
        "as": form,
        "texts": list(texts),
        "key": account.key,
        "base_url": account.base_url,
        "organization": account.organization,
        "project": account.project,
        "timeout_s": timeout_s,
    }
    future = _running().ask(request)
    future.add_done_callback(_count)
    return future


def _count(done: Future[Vectors]) -> None:
    """For monitoring."""
    failure = done.exception()
    result = "unavailable" if getattr(failure, "retryable", True) else "refused"
    _COUNTED[result if failure else "ok"].inc()


def end_if_stuck() -> None:
    """The next question meets a new process; who waits for the old one gets :class:`EmbeddingFailed`."""
    child = _child
    if child is not None and not child.dead and child.stuck:
        log.error("embedding process stuck")
        child.end()


def wait(future: Future[Vectors], timeout_s: float) -> Vectors:
    """
    Raises:
        EmbeddingFailed: also when time is up; the answer may still come to the future.
    """
    try:
        return future.result(timeout_s)
    except FutureTimeout as exc:
        end_if_stuck()
        raise EmbeddingFailed("not in time") from exc


def warm() -> None:
    """Start the process, so that the first question does not wait for that."""
    with suppress(EmbeddingFailed):
        _running()
