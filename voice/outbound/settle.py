"""Recipients whose call is over, batches whose recipients are done. The first half of each tick."""

import uuid

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from tenex.lib import failpoint
from voice.models import (
    Batch,
    BatchStatus,
    Call,
    CallStatus,
    Outcome,
    Recipient,
    RecipientStatus,
)
from voice.outbound import withdraw
from voice.services import batches
from voice.services.timing import scaled
from voice.telephony.statuses import RETRYABLE

_PER_TICK = 200


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
        if withdraw.may_come_again(recipient, call):
            recipient.status, recipient.next_at = RecipientStatus.PENDING, None
            recipient.calls_made = max(0, recipient.calls_made - 1)
        elif _may_try_again(recipient, call):
            recipient.status = RecipientStatus.PENDING
            recipient.next_at = timezone.now() + scaled(recipient.batch.retry_after_s)
        elif recipient.refusal_code:
            recipient.status = RecipientStatus.REFUSED
        elif call.outcome == Outcome.CANCELED and recipient.batch.status == BatchStatus.CANCELED:
            recipient.status = RecipientStatus.CANCELED
        else:
            recipient.status = RecipientStatus.DONE
        recipient.outcome = call.outcome or ""
        recipient.save(update_fields=["status", "next_at", "outcome", "calls_made"])
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
    mine = Recipient.objects.filter(batch=OuterRef("pk"))
    # Two questions: each is one look into an index of its own, also when nearly all of 50,000 are done.
    waiting = Exists(mine.filter(status=RecipientStatus.PENDING))
    called = Exists(mine.filter(status=RecipientStatus.CALLING))
    due = Batch.objects.filter(~waiting, ~called, status=BatchStatus.RUNNING).values_list("pk", flat=True)
    return sum(batches.complete(batch_id) for batch_id in list(due[:_PER_TICK]))
