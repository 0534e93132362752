"""Taking the next call of a workspace: gate, call row and attempt in one transaction (promises.md R3).

One at a time a workspace, under an advisory lock, so that caps and pace hold whatever the number of workers.
Locks in order: the advisory lock, recipient, pacer, call, attempt, event counter.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from tenex.lib import failpoint
from tenex.lib.token_bucket import Bucket, take
from tenex.workspaces.models import Workspace
from voice.models import (
    Batch,
    BatchStatus,
    Call,
    CallStatus,
    Direction,
    EndReason,
    Pacer,
    Recipient,
    RecipientStatus,
)
from voice.models.agents import AgentVersion
from voice.outbound import facts
from voice.outbound.contactability import Allow, Refuse, decide
from voice.services import attempts, calls, decisions, journal, readiness
from voice.services.decisions import About, Decided
from voice.services.timing import scaled

_LOOK_AT = 4
"""Waiting ones that one claim reads; if it refuses them all, it commits that and asks again."""

_FULL_AGAIN = timedelta(seconds=1)
"""When to look again at a queued call whose batch has all its lines in use."""

_PACE = 0.97
"""Of the allowed rate: requests jitter on their way, and the carrier counts what arrives in a second."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Committed: the attempt may be dialed, before its fence falls."""

    attempt_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Wait:
    """The pace allows the next call in so many (real) seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Again:
    """Something was refused for good, and is committed; ask again at once."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No line free, or nobody due."""


def claim(workspace_id: uuid.UUID) -> Claimed | Wait | Again | Nothing:
    """Take the next due call of the workspace, if its caps and its pace allow one."""
    with transaction.atomic():
        _lock(workspace_id)
        workspace = Workspace.objects.get(pk=workspace_id)
        if workspace.calling_paused_at is not None:
            return Nothing()
        if readiness.lines_in_use(workspace_id) >= workspace.max_concurrent_calls:
            return Nothing()
        now = timezone.now()
        bucket, wait_s = _pace(workspace)
        if wait_s > 0:
            return Wait(wait_s) if _anything_due(workspace, now) else Nothing()
        call_id = _due_call(workspace, now)
        if isinstance(call_id, Again):
            return call_id
        call_id = call_id or _due_recipient(workspace, now)
        if call_id is None or isinstance(call_id, Again):
            return call_id or Nothing()
        Pacer.objects.filter(workspace=workspace).update(tokens=bucket.tokens, at_s=bucket.at_s)
        attempt = attempts.prepare(call_id)
        failpoint.hit("dial.claimed")
    failpoint.hit("dial.prepared")
    return Claimed(attempt.pk) if attempt is not None else Nothing()


def workspaces_with_work() -> list[uuid.UUID]:
    """Workspaces that have a queued call or a running batch."""
    now = timezone.now()
    queued = Call.objects.filter(status=CallStatus.QUEUED).filter(Q(sweep_at=None) | Q(sweep_at__lte=now))
    running = Batch.objects.filter(status=BatchStatus.RUNNING)
    found = set(queued.values_list("workspace_id", flat=True).distinct())
    found |= set(running.values_list("workspace_id", flat=True).distinct())
    return sorted(found)


# --- who is next ---------------------------------------------------------------------------------


def _due_call(workspace: Workspace, now: datetime) -> uuid.UUID | Again | None:
    """A call that waits for its (next) attempt: a single call, or one that the carrier did not take.

    A refusal for good ends a call and so takes the event counter, the last of all locks: nothing else may
    follow in that transaction.
    """
    waiting = (
        _queued(workspace, now)
        .select_related("lead", "number", "batch", "agent_version__agent", "recipient")
        .order_by("created_at")[:_LOOK_AT]
    )
    passed = False
    for call in waiting:
        if call.batch is not None and _live_calls(call.batch) >= call.batch.concurrency:
            Call.objects.filter(pk=call.pk, status=CallStatus.QUEUED).update(sweep_at=now + _FULL_AGAIN)
            passed = True
            continue
        known = facts.to_dial(
            workspace, call.lead, call.to_number, call.number, call.agent_version, call.batch
        )
        answer = decide(known, now)
        about = About(workspace.pk, call.lead_id, call.batch_id, call.recipient_id, call.pk)
        decisions.record_dial(Decided(about, known, answer, now))
        match answer:
            case Allow():
                return call.pk
            case Refuse(until=None) as refusal:
                _refuse_call(call, refusal)
                return Again()
            case Refuse() as refusal:
                Call.objects.filter(pk=call.pk, status=CallStatus.QUEUED).update(sweep_at=refusal.until)
                passed = True
    return Again() if passed else None


def _due_recipient(workspace: Workspace, now: datetime) -> uuid.UUID | Again | None:
    """The next recipient, of the batch with the fewest calls under way, as a queued call."""
    refused = False
    for batch in _batches_with_room(workspace):
        for recipient in _waiting(batch, now)[:_LOOK_AT]:
            lead = recipient.lead
            version = recipient.agent_version or batch.agent_version or batch.agent.current_version
            usable = version if batch.agent.archived_at is None else None
            known = facts.to_dial(workspace, lead, lead.phone or "", batch.number, usable, batch)
            answer = decide(known, now)
            call_id = _call_for(recipient, batch, usable) if isinstance(answer, Allow) else None
            about = About(workspace.pk, lead.pk, batch.pk, recipient.pk, call_id)
            decisions.record_dial(Decided(about, known, answer, now))
            match answer:
                case Allow():
                    return call_id
                case Refuse(until=None) as refusal:
                    _refuse_recipient(recipient, refusal)
                case Refuse() as refusal:
                    Recipient.objects.filter(pk=recipient.pk).update(next_at=refusal.until)
            refused = True
    return Again() if refused else None


def _queued(workspace: Workspace, now: datetime) -> QuerySet[Call]:
    return Call.objects.filter(
        workspace=workspace, status=CallStatus.QUEUED, direction=Direction.OUTBOUND
    ).filter(Q(sweep_at=None) | Q(sweep_at__lte=now))


def _batches_with_room(workspace: Workspace) -> QuerySet[Batch]:
    live = Call.objects.filter(
        batch=OuterRef("pk"), status__in=(CallStatus.DIALING, CallStatus.RINGING, CallStatus.IN_PROGRESS)
    )
    count = live.order_by().values("batch").values(n=Count("pk"))
    return (
        Batch.objects.filter(workspace=workspace, status=BatchStatus.RUNNING, soft_budget_at=None)
        .annotate(live=Coalesce(Subquery(count), 0))
        .filter(live__lt=F("concurrency"))
        .select_related("agent__current_version__agent", "agent_version__agent", "number")
        .order_by("live", "created_at")
    )


def _waiting(batch: Batch, now: datetime) -> QuerySet[Recipient]:
    return (
        Recipient.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("lead", "agent_version__agent", "callback_of")
        .filter(batch=batch, status=RecipientStatus.PENDING)
        .filter(Q(next_at=None) | Q(next_at__lte=now))
        .order_by("position")
    )


def _live_calls(batch: Batch) -> int:
    return batch.calls.filter(
        status__in=(CallStatus.DIALING, CallStatus.RINGING, CallStatus.IN_PROGRESS)
    ).count()


def _anything_due(workspace: Workspace, now: datetime) -> bool:
    if _queued(workspace, now).exists():
        return True
    due = Recipient.objects.filter(
        batch__in=_batches_with_room(workspace), status=RecipientStatus.PENDING
    ).filter(Q(next_at=None) | Q(next_at__lte=now))
    return due.exists()


# --- what happens to them ------------------------------------------------------------------------


def _call_for(recipient: Recipient, batch: Batch, version: AgentVersion | None) -> uuid.UUID:
    call = Call.objects.create(
        workspace_id=batch.workspace_id,
        direction=Direction.OUTBOUND,
        from_number=batch.number.e164,
        to_number=recipient.lead.phone or "",
        number=batch.number,
        agent_version=version,
        lead=recipient.lead,
        calendar_id=batch.calendar_id,
        batch=batch,
        recipient=recipient,
        objective=batch.objective or (recipient.callback_of.objective if recipient.callback_of else ""),
        variables=recipient.variables,
    )
    Recipient.objects.filter(pk=recipient.pk).update(
        status=RecipientStatus.CALLING, calls_made=F("calls_made") + 1, next_at=None
    )
    return call.pk


def _refuse_recipient(recipient: Recipient, refusal: Refuse) -> None:
    Recipient.objects.filter(pk=recipient.pk).update(
        status=RecipientStatus.REFUSED,
        refusal_code=refusal.code,
        refusal_detail=refusal.detail[:200],
        next_at=None,
    )


def _refuse_call(call: Call, refusal: Refuse) -> None:
    """A queued call that must not be made after all ends; its recipient is settled with the reason."""
    if not Call.objects.select_for_update().filter(pk=call.pk, status=CallStatus.QUEUED).exists():
        return
    data = {"code": refusal.code, "detail": refusal.detail}
    journal.append(call.pk, [journal.Line("dial.refused", data)])
    if call.recipient_id is not None:
        Recipient.objects.filter(pk=call.recipient_id).update(
            refusal_code=refusal.code, refusal_detail=refusal.detail[:200]
        )
    calls.end(call.pk, EndReason.CANCELED)


# --- locks and pace ------------------------------------------------------------------------------


def _lock(workspace_id: uuid.UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"dial:{workspace_id}"])


def _pace(workspace: Workspace) -> tuple[Bucket, float]:
    """The workspace's bucket after taking a token, and 0; or unchanged, and the real seconds to wait."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO voice_pacer (workspace_id, tokens, at_s) VALUES (%s, 1, 0)"
            " ON CONFLICT (workspace_id) DO UPDATE SET tokens = voice_pacer.tokens"
            " RETURNING tokens, at_s, extract(epoch FROM clock_timestamp())",
            [workspace.pk],
        )
        tokens, at_s, now_s = cursor.fetchone()
    rate = workspace.calls_per_second * _PACE / scaled(1.0).total_seconds()
    return take(Bucket(tokens, at_s), rate=rate, burst=1.0, now_s=float(now_s))
