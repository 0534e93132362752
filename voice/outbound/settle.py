"""Recipients whose call is over, batches whose recipients are done. The first half of each tick."""

import uuid
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from tenex.lib import failpoint
from voice.models import (
    Batch,
    BatchStatus,
    Call,
    CallStatus,
    EndReason,
    Outcome,
    Recipient,
    RecipientStatus,
)
from voice.services import batches, calls
from voice.services.timing import scaled
from voice.telephony.client import Carrier
from voice.telephony.errors import CarrierError, CarrierGone
from voice.telephony.statuses import RETRYABLE

log = structlog.get_logger(__name__)

_PER_TICK = 200
_ASK_AGAIN = timedelta(seconds=5)


def start_due() -> None:
    """Batches whose hour has come run."""
    Batch.objects.filter(status=BatchStatus.QUEUED).filter(
        Q(starts_at=None) | Q(starts_at__lte=timezone.now())
    ).update(status=BatchStatus.RUNNING)


def settle() -> int:
    """Write the outcome of finalized calls to their recipients, or let them wait for another try."""
    calls_of = Call.objects.filter(recipient=OuterRef("pk"))
    due = (
        Recipient.objects.filter(status=RecipientStatus.CALLING)
        .filter(Exists(calls_of), ~Exists(calls_of.exclude(status=CallStatus.FINALIZED)))
        .values_list("pk", flat=True)[:_PER_TICK]
    )
    return sum(_settle(recipient_id) for recipient_id in list(due))


def _settle(recipient_id: uuid.UUID) -> bool:
    with transaction.atomic():
        recipient = (
            Recipient.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("batch", "lead")
            .filter(pk=recipient_id, status=RecipientStatus.CALLING)
            .first()
        )
        if recipient is None:
            return False
        call = recipient.calls.order_by("-created_at", "-id").first()
        if call is None or call.status != CallStatus.FINALIZED:
            return False
        if _may_try_again(recipient, call):
            recipient.status = RecipientStatus.PENDING
            recipient.next_at = timezone.now() + scaled(recipient.batch.retry_after_s)
        elif recipient.refusal_code:
            recipient.status = RecipientStatus.REFUSED
        elif call.outcome == Outcome.CANCELED and recipient.batch.status == BatchStatus.CANCELED:
            recipient.status = RecipientStatus.CANCELED
        else:
            recipient.status = RecipientStatus.DONE
        recipient.outcome = call.outcome or ""
        recipient.save(update_fields=["status", "next_at", "outcome"])
        failpoint.hit("settle.written")
        if recipient.batch.status == BatchStatus.CANCELED:
            # Its results come in late: the batch's row is locked so that the last one sees all others.
            batches.announce_if_over(Batch.objects.select_for_update().get(pk=recipient.batch_id))
    failpoint.hit("settle.committed")
    return True


def _may_try_again(recipient: Recipient, call: Call) -> bool:
    worth_it = call.end_reason in RETRYABLE or call.outcome == Outcome.VOICEMAIL
    return (
        worth_it
        and recipient.calls_made < recipient.batch.max_attempts
        and not recipient.refusal_code
        and recipient.lead.opted_out_at is None
        and recipient.batch.status in (BatchStatus.QUEUED, BatchStatus.RUNNING, BatchStatus.PAUSED)
    )


def complete() -> int:
    """Close running batches that have nobody left."""
    open_ones = Recipient.objects.filter(
        batch=OuterRef("pk"), status__in=(RecipientStatus.PENDING, RecipientStatus.CALLING)
    )
    due = Batch.objects.filter(~Exists(open_ones), status=BatchStatus.RUNNING).values_list("pk", flat=True)
    return sum(batches.complete(batch_id) for batch_id in list(due[:_PER_TICK]))


def withdraw(carrier: Carrier) -> int:
    """Take back what a canceled batch still has outside: queued calls end, ringing ones are canceled.

    A call without a sid is not lost: its answer URL hangs up, and the reconciler finds it.
    """
    now = timezone.now()
    unanswered = (
        Call.objects.filter(
            batch__status=BatchStatus.CANCELED,
            status__in=(CallStatus.QUEUED, CallStatus.DIALING, CallStatus.RINGING),
        )
        .exclude(end_hint=EndReason.CANCELED, sweep_at__gt=now)
        .values_list("pk", "status", "provider_sid")[:_PER_TICK]
    )
    count = 0
    for call_id, status, sid in list(unanswered):
        count += 1
        if status == CallStatus.QUEUED:
            _end_queued(call_id)
            continue
        calls.hint_end(call_id, EndReason.CANCELED)
        Call.objects.filter(pk=call_id, status__in=(CallStatus.DIALING, CallStatus.RINGING)).update(
            sweep_at=now + _ASK_AGAIN
        )
        if sid:
            _cancel(carrier, call_id, sid)
    return count


def _end_queued(call_id: uuid.UUID) -> None:
    with transaction.atomic():
        if Call.objects.select_for_update().filter(pk=call_id, status=CallStatus.QUEUED).exists():
            calls.end(call_id, EndReason.CANCELED)


def _cancel(carrier: Carrier, call_id: uuid.UUID, sid: str) -> None:
    try:
        carrier.cancel(sid)
    except CarrierGone:
        log.info("canceled call was over already", call_id=str(call_id))
    except CarrierError as exc:
        log.warning("ringing call not canceled yet", call_id=str(call_id), code=exc.code)
