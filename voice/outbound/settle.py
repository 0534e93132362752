"""Recipients whose call is over, batches whose recipients are done. The first half of each tick."""

import random
import uuid
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from crm.models import Lead
from tenex.lib import failpoint
from tenex.workspaces.models import Workspace
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
from voice.outbound import policy, retries, whereabouts
from voice.services import batches, budgets, callbacks, calls
from voice.services.timing import scaled
from voice.telephony.client import Carrier
from voice.telephony.errors import CarrierError, CarrierGone
from voice.telephony.statuses import RETRYABLE

log = structlog.get_logger(__name__)

_PER_TICK = 200
_ASK_AGAIN = timedelta(seconds=5)


def start_due() -> None:
    """Batches whose hour has come run."""
    batches.run_due()


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
    batch_id = Recipient.objects.values_list("batch_id", flat=True).get(pk=recipient_id)
    with transaction.atomic():
        # The batch first, as everywhere: whoever cancels it sees this one either waiting or done.
        batch = batches.lock(batch_id)
        recipient = (
            Recipient.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("lead")
            .filter(pk=recipient_id, status=RecipientStatus.CALLING)
            .first()
        )
        if recipient is None:
            return False
        call = recipient.calls.order_by("-created_at", "-id").first()
        if call is None or call.status != CallStatus.FINALIZED:
            return False
        again_at = _again_at(batch, recipient, call)
        if again_at is not None:
            recipient.status, recipient.next_at = RecipientStatus.PENDING, again_at
        elif recipient.refusal_code:
            recipient.status = RecipientStatus.REFUSED
        elif call.outcome == Outcome.CANCELED and batch.status == BatchStatus.CANCELED:
            recipient.status = RecipientStatus.CANCELED
        else:
            recipient.status = RecipientStatus.DONE
        recipient.outcome = call.outcome or ""
        recipient.save(update_fields=["status", "next_at", "outcome"])
        budgets.spend(batch, call)
        if recipient.status == RecipientStatus.DONE and recipient.callback_of_id is not None:
            callbacks.made(recipient, call)
        failpoint.hit("settle.written")
        if batch.status == BatchStatus.CANCELED:
            batches.announce_if_over(batch)
    failpoint.hit("settle.committed")
    return True


def _again_at(batch: Batch, recipient: Recipient, call: Call) -> datetime | None:
    """When this one is tried again; None: the result stands."""
    if (
        recipient.refusal_code
        or recipient.lead.opted_out_at is not None
        or batch.status not in (BatchStatus.QUEUED, BatchStatus.RUNNING, BatchStatus.PAUSED)
    ):
        return None
    worth_it = call.end_reason in RETRYABLE or call.outcome == Outcome.VOICEMAIL
    if not worth_it:
        return None
    now = timezone.now()
    if not batch.retry_policy:
        left = recipient.calls_made < batch.max_attempts
        return now + scaled(batch.retry_after_s) if left else None
    where = clock_of(recipient.lead, batch.workspace)
    tried = recipient.calls.exclude(placed_at=None).values_list("placed_at", flat=True)
    local = [at.astimezone(where) for at in tried if at is not None]
    hours = [at.hour + at.minute / 60 for at in local]
    at = retries.next_try(
        retry_policy(batch),
        call.outcome or "",
        recipient.calls_made,
        hours,
        now.astimezone(where),
        random.random,
    )
    # Times of day are the real ones; a rehearsal whose clock runs faster waits less.
    return now + scaled((at - now).total_seconds()) if at is not None else None


def retry_policy(batch: Batch) -> retries.Policy:
    """The batch's retries, spread over the hours in which it calls."""
    window = policy.window_of(batch.workspace, batch)
    return retries.Policy(batch.retry_policy, window.start, window.end, window.days)


def clock_of(lead: Lead, workspace: Workspace) -> ZoneInfo:
    """The likeliest zone of a lead: what it says, its address, its number; else the workspace's."""
    found = whereabouts.of(
        phone=lead.phone or "", stated_zone=lead.time_zone, country=lead.country, region=lead.region
    )
    return ZoneInfo(next(iter(found.zone_names), workspace.time_zone))


def complete() -> int:
    """Close running batches that have nobody left."""
    open_ones = Recipient.objects.filter(
        batch=OuterRef("pk"), status__in=(RecipientStatus.PENDING, RecipientStatus.CALLING)
    )
    due = Batch.objects.filter(
        ~Exists(open_ones), status=BatchStatus.RUNNING, is_standing=False, filling_from=None
    ).values_list("pk", flat=True)
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
