"""What keeps the lanes moving inside one worker process: a thread that claims, and a thread a request.

Celery only wakes it, so a receiver that hangs holds a thread here and never a worker's task. Any number of
processes may run one: the rows decide who sends what.
"""

import contextlib
import heapq
import os
import threading
import time

import structlog
from django.db import connection

from tenex.webhooks.services import deliveries, lanes, relay
from tenex.webhooks.services.lanes import Claim

log = structlog.get_logger(__name__)
SLOTS = 32
"""Requests of this process on their way at a time."""
FAILING_SLOTS = 16
"""So many of them for lanes that fail: those that are well always find room."""
IDLE_S = 30.0
"""After this without work the thread ends; the next wake-up starts another."""
_NEAR_S = 60.0
"""Later tries are found by the sweep."""


class Pump:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._busy = 0
        self._failing = 0
        self._later: list[float] = []
        """Monotonic times at which something will be due; a heap."""

    def wake(self) -> None:
        """There may be something to do."""
        with self._lock:
            self._work.set()
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._run, name="webhook-pump", daemon=True)
                self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Claim nothing more and wait for what is on its way; what is not back then is sent again."""
        self._stopping = True
        self._work.set()
        until_s = time.monotonic() + timeout_s
        while self._busy and time.monotonic() < until_s:
            time.sleep(0.02)

    def _run(self) -> None:
        quiet_since_s = time.monotonic()
        while not self._stopping:
            self._work.clear()
            try:
                moved = self._round()
            except Exception as exc:  # the top of a thread; mostly the database is away
                log.warning("webhook lanes not read", error=type(exc).__name__)
                moved = False
                self._at(time.monotonic() + 1.0)
            finally:
                connection.close()  # back to the pool while we wait
            if moved:
                quiet_since_s = time.monotonic()
                continue
            if self._ends(quiet_since_s):
                return
            self._work.wait(self._wait_s())

    def _ends(self, quiet_since_s: float) -> bool:
        with self._lock:
            if self._busy or self._later or self._work.is_set() or time.monotonic() - quiet_since_s < IDLE_S:
                return False
            self._thread = None
            return True

    def _round(self) -> bool:
        """One look at everything; whether another one at once makes sense."""
        relayed = relay.relay()
        with self._lock:
            room, failing_room = SLOTS - self._busy, FAILING_SLOTS - self._failing
        claimed = lanes.claim(room, failing_room=min(room, failing_room)) if room > 0 else []
        for one in claimed:
            self._send(one)
        return bool(claimed) or relayed > 0

    def _send(self, claim: Claim) -> None:
        failing = claim.delivery.subscription.failing_since is not None
        with self._lock:
            self._busy += 1
            self._failing += failing
        threading.Thread(
            target=self._attempt, args=(claim, failing), name="webhook-request", daemon=True
        ).start()

    def _attempt(self, claim: Claim, failing: bool) -> None:
        wait_s: float | None = None
        try:
            wait_s = deliveries.attempt(claim)
        except Exception:  # the top of a thread; the lease runs out and the delivery is tried again
            log.exception("webhook delivery broke", delivery_id=str(claim.delivery.pk))
        finally:
            connection.close()
            with self._lock:
                self._busy -= 1
                self._failing -= failing
        if wait_s is not None and 0 < wait_s <= _NEAR_S:
            self._at(time.monotonic() + wait_s)
        self._work.set()

    def _at(self, when_s: float) -> None:
        with self._lock:
            heapq.heappush(self._later, when_s)

    def _wait_s(self) -> float:
        """Until the next thing that is known to come; what has come is taken off."""
        with self._lock:
            now_s = time.monotonic()
            while self._later and self._later[0] <= now_s:
                heapq.heappop(self._later)
                self._work.set()
            return max(0.0, self._later[0] - now_s) + 0.005 if self._later else IDLE_S


_pumps: dict[int, Pump] = {}


def here() -> Pump:
    """The pump of this process; a forked child has its own."""
    return _pumps.setdefault(os.getpid(), Pump())


def stop(timeout_s: float) -> None:
    """End the pump of this process, if there is one."""
    with contextlib.suppress(KeyError):
        _pumps[os.getpid()].stop(timeout_s)
