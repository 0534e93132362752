"""The tick: settle what is over, then place what is due (promises.md R1, R3).

Ticks may run at the same time on several workers, and may die anywhere: everything that they agree on is a
row, and what a dead one left is found by the next, or by the reconciler.
"""

import random
import time
import uuid
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from django.db import connections

from voice.models import DialState
from voice.outbound import claims, settle, withdraw
from voice.outbound.claims import Again, Busy, Claimed, Full, Nothing, Wait
from voice.services import accounts, attempts, budgets, openings, pacing, switches
from voice.services.capacity import Lack
from voice.telephony.errors import CarrierNotConfigured

log = structlog.get_logger(__name__)

BUDGET_S = 1.0
"""A tick places calls for so long; the next one is due by then. Waiting for the pace counts in."""

_PARALLEL = 16
_FULL_S = 1.0
"""So long a workspace is not asked whose account or model has no room, where others have their own."""
_BUSY_S = 0.06
"""About so long a worker waits that finds others at every workspace."""
_AHEAD_S = 0.2
"""A worker holds no more starts that are still to come than the carrier takes in so long: if it dies they are
lost for a while, so the others shall have some too."""


@dataclass(slots=True)
class TickReport:
    settled: int = 0
    completed: int = 0
    withdrawn: int = 0
    dialed: int = 0


def tick(*, budget_s: float = BUDGET_S) -> TickReport:
    """One round. Returns what it did; a refusing carrier is no error."""
    report = TickReport()
    can_dial = accounts.any_usable()
    if can_dial:
        report.withdrawn = withdraw.withdraw()  # first: somebody said stop
    settle.start_due()
    report.settled = settle.settle()
    budgets.watch()
    report.completed = settle.complete()
    if not can_dial:
        return report
    report.dialed = _place(budget_s)
    return report


def _place(budget_s: float) -> int:
    """Claim and dial, first for whoever was given least, until nobody is due or the time is up."""
    candidates = set(claims.workspaces_with_work())
    if not candidates or switches.is_stopped():
        return 0
    homes = pacing.homes(candidates)
    for account in set(homes.values()):
        pacing.open_account(account)
    if min(pacing.carrier_waits_s(set(homes.values())).values()) > budget_s:
        return 0
    openings.make_ready(candidates)
    until_s = time.monotonic() + budget_s
    dialed = 0
    not_before_s: dict[uuid.UUID, float] = {}
    under_way: set[Future[None]] = set()
    rate = pacing.carrier_rate()
    most_ahead = max(1, round(_AHEAD_S * rate.starts / rate.period_s)) * len(set(homes.values()))
    ahead: deque[float] = deque(maxlen=most_ahead)
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="dial") as pool:
        while candidates and time.monotonic() < until_s:
            under_way = {future for future in under_way if not future.done()}
            # A claim must not wait for a free hand either: its fence would fall.
            if len(under_way) >= _PARALLEL or (len(ahead) == most_ahead and ahead[0] > time.monotonic()):
                time.sleep(0.01)
                continue
            waits_s = pacing.carrier_waits_s({homes[one] for one in candidates})
            wait_s = min(waits_s.values())
            if wait_s > 0:
                if time.monotonic() + wait_s > until_s:
                    break
                time.sleep(min(wait_s, 0.05))
                continue
            held = {account for account, seconds in waits_s.items() if seconds > 0}
            answer = _claim_first(candidates, not_before_s, homes, held)
            if isinstance(answer, Claimed):
                dialed += 1
                ahead.append(answer.at_s)
                under_way.add(pool.submit(_dial, answer))
            elif isinstance(answer, Full):
                log.info("no room for a call", lack=str(answer.lack))
                break
            elif isinstance(answer, Wait):
                if not candidates:
                    break
                if time.monotonic() + answer.seconds > until_s:
                    break
                time.sleep(min(answer.seconds, 0.05))
    return dialed


def _claim_first(
    candidates: set[uuid.UUID],
    not_before_s: dict[uuid.UUID, float],
    homes: Mapping[uuid.UUID, str],
    held: set[str],
) -> Claimed | Full | Wait:
    """The first workspace in turn that has a call; who has none at all is no candidate any more.

    `homes`: the account of each; those of a `held` one are not asked. What holds an account up, be it its
    pace or its lines, holds up no other.
    """
    for workspace_id in pacing.in_turn(candidates):
        home = homes[workspace_id]
        if home in held or not_before_s.get(workspace_id, 0.0) > time.monotonic():
            continue
        match claims.claim(workspace_id):
            case Claimed() as answer:
                return answer
            case Full(lack) as full:
                alone = len({homes[one] for one in candidates}) == 1
                if lack == Lack.MEDIA or (lack == Lack.LINES and alone):
                    return full
                log.info("no room for a call", lack=str(lack))
                not_before_s[workspace_id] = time.monotonic() + _FULL_S
            case Wait(seconds, account=account) if account == home:
                if all(homes[one] == home for one in candidates):
                    return Wait(seconds)
                held.add(home)
            case Wait(seconds):
                not_before_s[workspace_id] = time.monotonic() + seconds
            case Again():
                return Wait(0.0)
            case Nothing():
                candidates.discard(workspace_id)
            case Busy():
                pass
    free = [one for one in candidates if homes[one] not in held]
    earliest_s = min((not_before_s.get(one, 0.0) for one in free), default=0.0)
    return Wait(max(_BUSY_S * random.uniform(0.5, 1.5), earliest_s - time.monotonic()))


def _dial(claimed: Claimed) -> None:
    try:
        owner = accounts.of_attempt(claimed.attempt_id)
        if owner is not None:
            carrier = accounts.carrier_of(owner.workspace_id, owner.account_sid)
            attempts.dial(claimed.attempt_id, carrier, at_s=claimed.at_s)
    except CarrierNotConfigured as exc:  # taken away since it was claimed
        log.warning("dial without an account", attempt_id=str(claimed.attempt_id), reason=exc.detail)
        pacing.unused(claimed.attempt_id)
        attempts.give_back(claimed.attempt_id, why="no-account", state=DialState.PREPARED)
    except Exception:
        # Left as it is: the reconciler decides by the state that was reached.
        log.exception("dial failed", attempt_id=str(claimed.attempt_id))
    finally:
        connections.close_all()
