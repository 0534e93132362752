"""Recipients whose call is over, batches whose recipients are done. The first half of each tick."""

import random
import uuid
from datetime import datetime
from zoneinfo import ZoneInfo

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
    Outcome,
    Recipient,
    RecipientStatus,
)
from voice.outbound import policy, retries, whereabouts, withdraw
from voice.services import batches, budgets, callbacks
from voice.services.timing import scaled
from voice.telephony.statuses import RETRYABLE

_PER_TICK = 200


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
        if withdraw.may_come_again(recipient, call):
            recipient.status, recipient.next_at = RecipientStatus.PENDING, None
            recipient.calls_made = max(0, recipient.calls_made - 1)
        elif again_at is not None:
            recipient.status, recipient.next_at = RecipientStatus.PENDING, again_at
        elif recipient.refusal_code:
            recipient.status = RecipientStatus.REFUSED
        elif call.outcome == Outcome.CANCELED and batch.status == BatchStatus.CANCELED:
            recipient.status = RecipientStatus.CANCELED
        else:
            recipient.status = RecipientStatus.DONE
        recipient.outcome = call.outcome or ""
        recipient.save(update_fields=["status", "next_at", "outcome", "calls_made"])
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
    mine = Recipient.objects.filter(batch=OuterRef("pk"))
    # Two questions: each is one look into an index of its own, also when nearly all of 50,000 are done.
    waiting = Exists(mine.filter(status=RecipientStatus.PENDING))
    called = Exists(mine.filter(status=RecipientStatus.CALLING))
    due = Batch.objects.filter(
        ~waiting, ~called, status=BatchStatus.RUNNING, is_standing=False, filling_from=None
    ).values_list("pk", flat=True)
    return sum(batches.complete(batch_id) for batch_id in list(due[:_PER_TICK]))
