"""The tick: settle what is over, then place what is due (promises.md R1, R3).

Ticks may run at the same time on several workers, and may die anywhere: everything that they agree on is a
row, and what a dead one left is found by the next, or by the reconciler.
"""

import time
import uuid
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from django.db import connections

from voice.outbound import claims, settle
from voice.outbound.claims import Again, Claimed, Nothing, Wait
from voice.services import attempts, budgets
from voice.telephony.client import carrier, configured

log = structlog.get_logger(__name__)

BUDGET_S = 1.0
"""A tick places calls for so long; the next one is due by then. Waiting for the pace counts in."""

_PARALLEL = 8


@dataclass(slots=True)
class TickReport:
    settled: int = 0
    completed: int = 0
    withdrawn: int = 0
    dialed: int = 0


def tick(*, budget_s: float = BUDGET_S) -> TickReport:
    """One round. Returns what it did; a refusing carrier is no error."""
    report = TickReport()
    settle.start_due()
    report.settled = settle.settle()
    budgets.watch()
    report.completed = settle.complete()
    if not configured():
        return report
    report.withdrawn = settle.withdraw(carrier())
    report.dialed = _place(time.monotonic() + budget_s)
    return report


def _place(until_s: float) -> int:
    """Claim and dial round-robin over the workspaces until nobody is due or the time is up."""
    workspaces = deque(claims.workspaces_with_work())
    if not workspaces:
        return 0
    dialed = 0
    ready_s: dict[uuid.UUID, float] = {}
    under_way: set[Future[None]] = set()
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="dial") as pool:
        while workspaces and time.monotonic() < until_s:
            under_way = {future for future in under_way if not future.done()}
            if len(under_way) >= _PARALLEL:
                # A claim must not wait for a free hand: its fence would fall.
                time.sleep(0.01)
                continue
            workspace_id = workspaces.popleft()
            if not _sleep_until(ready_s.get(workspace_id, 0.0), until_s):
                continue
            match claims.claim(workspace_id):
                case Claimed(attempt_id):
                    dialed += 1
                    under_way.add(pool.submit(_dial, attempt_id))
                    workspaces.append(workspace_id)
                case Wait(seconds):
                    ready_s[workspace_id] = time.monotonic() + seconds
                    workspaces.append(workspace_id)
                case Again():
                    workspaces.append(workspace_id)
                case Nothing():
                    pass
    return dialed


def _sleep_until(ready_s: float, until_s: float) -> bool:
    """Wait for a workspace's pace; False if that is after this tick."""
    if ready_s > until_s:
        return False
    time.sleep(max(0.0, min(ready_s - time.monotonic(), 0.05)) if ready_s else 0.0)
    return True


def _dial(attempt_id: uuid.UUID) -> None:
    try:
        attempts.dial(attempt_id, carrier())
    except Exception:
        # Left as it is: the reconciler decides by the state that was reached.
        log.exception("dial failed", attempt_id=str(attempt_id))
    finally:
        connections.close_all()
