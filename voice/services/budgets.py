"""What a batch has spent, and what happens at its budgets.

At the soft budget nobody else is dialed and calls under way are brought to their end; at the hard one, and
when the last call after the soft one is over, the batch is paused with the code `budget`.
"""

import uuid

import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from tenex.errors import Conflict, Unavailable
from voice.models import Batch, BatchStatus, Call, CallEvent, CallStatus, PauseCode
from voice.services import batches, costs, operator

log = structlog.get_logger(__name__)

ACTOR = "system:budget"
_LIVE = (CallStatus.DIALING, CallStatus.RINGING, CallStatus.IN_PROGRESS)


def spend(batch: Batch, call: Call) -> None:
    """Count a finished call, in the transaction that settles it: once a call."""
    cost = costs.of_call(call.usage, call.duration_ms)
    if cost:
        Batch.objects.filter(pk=batch.pk).update(spent_microusd=F("spent_microusd") + cost)


def watch() -> int:
    """Look at the running batches that have a budget; how many reached one."""
    capped = Batch.objects.filter(status=BatchStatus.RUNNING).filter(
        Q(budget_soft_minor__isnull=False) | Q(budget_hard_minor__isnull=False)
    )
    return sum(_look_at(batch.pk) for batch in capped.only("pk"))


def live_microusd(batch: Batch) -> tuple[int, int]:
    """Calls of the batch that are under way, and what they have cost so far."""
    now = timezone.now()
    live = Call.objects.filter(batch=batch, status__in=_LIVE).values_list("usage", "answered_at")
    spent = [
        costs.of_call(usage, round((now - answered_at).total_seconds() * 1000) if answered_at else None)
        for usage, answered_at in live
    ]
    return len(spent), sum(spent)


def _look_at(batch_id: uuid.UUID) -> bool:
    """Note a spent budget, and pause when it is time. The common case reads two rows and writes nothing."""
    batch = Batch.objects.get(pk=batch_id)
    lines, live = live_microusd(batch)
    spent = batch.spent_microusd + live
    soft, hard = _reached(batch.budget_soft_minor, spent), _reached(batch.budget_hard_minor, spent)
    if not (soft or hard):
        return False
    with transaction.atomic():
        locked = batches.lock(batch_id)
        if locked.status != BatchStatus.RUNNING:
            return False
        _wrap_up(locked)
        if locked.soft_budget_at is None:
            locked.soft_budget_at = timezone.now()
            locked.save(update_fields=["soft_budget_at"])
            batches.note(locked, ACTOR, "batch.budget_reached", spent_minor=costs.minor(spent))
        if hard or not lines:
            name = "hard" if hard else "soft"
            batches.pause(locked, reason=f"The {name} budget is spent.", code=PauseCode.BUDGET, actor=ACTOR)
    return True


def _wrap_up(batch: Batch) -> None:
    """Ask whoever talks in the batch to come to an end, also those that were ringing before.

    Again until the call's journal says that its agent was told.
    """
    talking = Call.objects.filter(batch=batch, status=CallStatus.IN_PROGRESS)
    told = CallEvent.objects.filter(call=OuterRef("pk"), type="call.wrap_up")
    for call in talking.exclude(Exists(told)):
        try:
            operator.wrap_up(call, reason="the budget of the batch is spent", actor=ACTOR)
        except (Conflict, Unavailable) as exc:
            log.info("call not asked to wrap up yet", call_id=str(call.pk), code=exc.code)


def _reached(budget_minor: int | None, spent_microusd: int) -> bool:
    return budget_minor is not None and spent_microusd >= budget_minor * costs.MICRO_PER_MINOR
