"""The one mover of a call's status (promises.md R2).

A move is a conditional UPDATE: it happens if the call is in one of the sources that the table names, and
else changes nothing and says so. No other code assigns `status`.
"""

import uuid
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from crm.services import slot_holds
from tenex.events import services as events
from tenex.lib.wake import wake
from tenex.monitoring import counts
from voice.models import Call, CallStatus, Direction, EndReason
from voice.services import journal, runs

MOVES: dict[CallStatus, tuple[CallStatus, ...]] = {
    CallStatus.QUEUED: (CallStatus.DIALING,),  # 429: not taken by the carrier, asked again later
    CallStatus.DIALING: (CallStatus.QUEUED,),
    CallStatus.RINGING: (CallStatus.DIALING,),
    CallStatus.IN_PROGRESS: (CallStatus.DIALING, CallStatus.RINGING),
    CallStatus.ENDED: (CallStatus.QUEUED, CallStatus.DIALING, CallStatus.RINGING, CallStatus.IN_PROGRESS),
    CallStatus.FINALIZING: (CallStatus.ENDED,),
    CallStatus.FINALIZED: (CallStatus.FINALIZING,),
}
"""target -> sources. docs/architecture.md draws its diagram from this table."""

_ENDED = {
    (direction, reason): counts.CALLS_ENDED.labels(direction, reason)
    for direction in Direction
    for reason in EndReason
}


def move(call_id: uuid.UUID, to: CallStatus, **fields: Any) -> bool:
    """Move a call to `to` and set `fields` in the same statement; False if it is not in a source state."""
    return bool(Call.objects.filter(pk=call_id, status__in=MOVES[to]).update(status=to, **fields))


def ring(call_id: uuid.UUID) -> bool:
    """The other side's phone rings."""
    with transaction.atomic(savepoint=False):
        if not move(call_id, CallStatus.RINGING):
            return False
        _announce(call_id, "call.ringing")
    return True


def begin_ringing(call: Call, *others: events.Fact) -> None:
    """First journal line and event of a call that this very transaction has made as ringing.

    `others` are facts that came before it. Last in the transaction, as `events.record_first`.
    """
    journal.begin(call, journal.Line("call.ringing", facts(call)))
    if call.is_test:
        return
    ringing = events.Fact("call.ringing", facts(call), once=str(call.pk), call_id=call.pk)
    events.record_first(call.workspace_id, [*others, ringing])


def answer(call_id: uuid.UUID, *, at: datetime | None = None) -> bool:
    """The call was picked up: the agent's run starts."""
    with transaction.atomic(savepoint=False):
        # Clocks of several machines differ: an answer is never before the dial.
        answered_at = Greatest(Value(at or timezone.now()), F("placed_at"))
        if not move(call_id, CallStatus.IN_PROGRESS, answered_at=answered_at):
            return False
        _announce(call_id, "call.answered")
        runs.started(call_id)
    return True


def end(call_id: uuid.UUID, reason: EndReason, *, at: datetime | None = None, **fields: Any) -> bool:
    """The phone call is over: the first caller wins, whoever it is, and post-call is woken.

    What we know (an end that we asked for, a transfer) beats the carrier's plain "completed", given here as
    CALLER_HANGUP.
    """
    ended_at = at or timezone.now()
    with transaction.atomic(savepoint=False):
        call = Call.objects.select_for_update().filter(pk=call_id).first()
        if call is None or call.status not in MOVES[CallStatus.ENDED]:
            return False
        if reason == EndReason.CALLER_HANGUP:
            reason = _why(call)
        if call.answered_at:
            ended_at = max(ended_at, call.answered_at)
            fields.setdefault("duration_ms", int((ended_at - call.answered_at).total_seconds() * 1000))
        if not move(
            call_id,
            CallStatus.ENDED,
            ended_at=ended_at,
            end_reason=reason,
            lease_until=None,
            sweep_at=None,
            **fields,
        ):
            return False
        slot_holds.release(call_id)
        _announce(call_id, "call.ended", end_reason=str(reason))
        wake("voice.postcall.finalize", str(call_id))
        transaction.on_commit(_ENDED[Direction(call.direction), EndReason(reason)].inc, robust=True)
    return True


def _why(call: Call) -> EndReason:
    """Why a call that the carrier calls completed is over."""
    if call.end_hint:
        return EndReason(call.end_hint)
    # Whoever hangs up while a person is being rung has not been handed over.
    return EndReason.TRANSFERRED if call.transfer_state == "bridged" else EndReason.CALLER_HANGUP


def hint_end(call_id: uuid.UUID, reason: EndReason) -> None:
    """Remember why we are about to end this call; the first hint stays."""
    Call.objects.filter(pk=call_id, end_hint="").update(end_hint=reason)


def _announce(call_id: uuid.UUID, type_: str, **extra: Any) -> None:
    """Journal line and event of a status change, in the caller's transaction."""
    call = Call.objects.get(pk=call_id)
    data = {**facts(call), **extra}
    journal.append(call_id, [journal.Line(type_, data)])
    if call.is_test:
        return
    events.record(workspace_id=call.workspace_id, type=type_, data=data, call_id=call_id, once=str(call_id))


def facts(call: Call) -> dict[str, Any]:
    """What every event about a call carries."""
    return {
        "call_id": str(call.id),
        "direction": call.direction,
        "status": call.status,
        "from": call.from_number,
        "to": call.to_number,
        "lead_id": str(call.lead_id) if call.lead_id else None,
        "batch_id": str(call.batch_id) if call.batch_id else None,
    }
