"""Taking back what is with the carrier and nobody has answered yet, after somebody said stop.

instance stopped, workspace paused   all of it, ringing or not
batch canceled                       all of it, and its queued calls end
batch paused                         what does not ring yet; a phone that rings may be answered

Whoever talks, talks on. A call without a sid is not lost: its answer URL hangs up, and the reconciler finds
it. Leads whose call was taken back by a pause are called again when dialing goes on: they were not reached.
"""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from voice.models import (
    BatchStatus,
    Call,
    CallStatus,
    Direction,
    EndReason,
    Outcome,
    Recipient,
)
from voice.services import accounts, calls, switches
from voice.services.accounts import Owner
from voice.telephony.errors import CarrierError, CarrierGone

log = structlog.get_logger(__name__)

_PER_TICK = 200
_PARALLEL = 8
_ASK_AGAIN = timedelta(seconds=5)
_AT_CARRIER = (CallStatus.DIALING, CallStatus.RINGING)


def withdraw() -> int:
    """One round; how many calls were taken back or asked to be."""
    now = timezone.now()
    unanswered = (
        Call.objects.filter(_stopped(), direction=Direction.OUTBOUND)
        .exclude(end_hint=EndReason.CANCELED, sweep_at__gt=now)
        .values_list("pk", "status", "provider_sid", "workspace_id", "account_sid")[:_PER_TICK]
    )
    count, at_carrier = 0, []
    for call_id, status, sid, workspace_id, account_sid in list(unanswered):
        if status == CallStatus.QUEUED:
            count += _end_queued(call_id)
        elif _take(call_id, now):
            count += 1
            if sid:
                at_carrier.append((call_id, sid, Owner(workspace_id, account_sid)))
    if at_carrier:
        # Side by side: a phone that rings does not wait for two hundred requests.
        with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="withdraw") as pool:
            list(pool.map(_cancel, at_carrier))
    return count


def may_come_again(recipient: Recipient, call: Call) -> bool:
    """Whether a pause took the call back before it was answered, and the batch is not over."""
    return (
        call.outcome == Outcome.CANCELED
        and call.end_hint == EndReason.CANCELED
        and not recipient.refusal_code
        and recipient.batch.status in (BatchStatus.QUEUED, BatchStatus.RUNNING, BatchStatus.PAUSED)
    )


def _stopped() -> Q:
    """The calls that must not be answered any more."""
    canceled = Q(batch__status=BatchStatus.CANCELED, status__in=(CallStatus.QUEUED, *_AT_CARRIER))
    paused = Q(batch__status=BatchStatus.PAUSED, status=CallStatus.DIALING)
    if switches.is_stopped():
        return canceled | Q(status__in=_AT_CARRIER)
    return canceled | paused | Q(workspace__calling_paused_at__isnull=False, status__in=_AT_CARRIER)


def _take(call_id: uuid.UUID, now: datetime) -> bool:
    """One worker asks the carrier; another one again if the call is still there a while later."""
    calls.hint_end(call_id, EndReason.CANCELED)
    mine = Call.objects.filter(pk=call_id, status__in=_AT_CARRIER)
    seen = mine.values_list("sweep_at", flat=True).first()
    return bool(mine.filter(sweep_at=seen).update(sweep_at=now + _ASK_AGAIN))


def _end_queued(call_id: uuid.UUID) -> bool:
    with transaction.atomic():
        if Call.objects.select_for_update().filter(pk=call_id, status=CallStatus.QUEUED).exists():
            return calls.end(call_id, EndReason.CANCELED)
    return False


def _cancel(call: tuple[uuid.UUID, str, Owner]) -> None:
    call_id, sid, owner = call
    try:
        accounts.carrier_of(owner.workspace_id, owner.account_sid).cancel(sid)
    except CarrierGone:
        log.info("canceled call was over already", call_id=str(call_id))
    except CarrierError as exc:
        log.warning("ringing call not canceled yet", call_id=str(call_id), code=exc.code)
    finally:
        connection.close()  # of this thread
