"""Taking the next call of a workspace: gate, call row, attempt and its instant in one transaction (R3).

One at a time a workspace, under an advisory lock, so that its caps hold whatever the number of workers; and
at the end under the lock of the carrier's account, for what all workspaces share: pace, lines, slots.
Locks in order: the advisory lock, recipient, call, attempt, account; or, where a call is refused for good,
call and event counter, and nothing after that.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Exists, F, FloatField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from tenex.lib import failpoint
from tenex.workspaces.models import Workspace
from voice.models import (
    Batch,
    BatchStatus,
    Call,
    CallStatus,
    CredentialKind,
    DialAttempt,
    Direction,
    EndReason,
    Pacer,
    Recipient,
    RecipientStatus,
)
from voice.models.agents import AgentVersion
from voice.outbound import facts
from voice.outbound.contactability import Allow, Refuse, decide
from voice.services import (
    attempts,
    calls,
    capacity,
    decisions,
    entrusted,
    journal,
    pacing,
    readiness,
    switches,
)
from voice.services.decisions import About, Decided
from voice.services.pacing import Later, Turn

_LOOK_AT = 4
"""Waiting ones that one claim reads; if it refuses them all, it commits that and asks again."""

_FULL_AGAIN = timedelta(seconds=1)
"""When to look again at a queued call whose batch has all its lines in use."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Committed: the attempt may be dialed at `at_s` (monotonic), before its fence falls."""

    attempt_id: uuid.UUID
    at_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """The pace allows the next call in so many (real) seconds. `account`: any call of that account."""

    seconds: float
    account: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """Something was refused for good, and is committed; ask again at once."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Another worker is at this workspace."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No line free, or nobody due."""


@dataclass(frozen=True, slots=True)
class Full:
    """No call can be carried now: of anybody, or of who uses what the settings have of it."""

    lack: capacity.Lack


type Claim = Claimed | Wait | Again | Busy | Nothing | Full


class _TakenBack(Exception):
    """The transaction is rolled back: no instant for the call that it had prepared."""

    def __init__(self, answer: Wait | Full) -> None:
        self.answer = answer


def claim(workspace_id: uuid.UUID) -> Claim:
    """Take the next due call of the workspace, if its caps and the paces allow one."""
    try:
        with transaction.atomic():
            found = _claim(workspace_id)
            failpoint.hit("dial.claimed")
    except _TakenBack as back:
        return back.answer
    failpoint.hit("dial.prepared")
    return found


def _claim(workspace_id: uuid.UUID) -> Claim:
    locked = pacing.lock_workspace(workspace_id)
    if locked is None:
        return Busy()
    pacer, now_s = locked
    workspace = Workspace.objects.get(pk=workspace_id)
    if workspace.calling_paused_at is not None or switches.is_stopped():
        return Nothing()
    if readiness.lines_in_use(workspace_id) >= workspace.max_concurrent_calls:
        return Nothing()
    now = timezone.now()
    wait_s = pacing.own_wait_s(pacer.next_at_s, now_s)
    if wait_s > 0:
        return Wait(wait_s) if _anything_due(workspace, now) else Nothing()
    found = _due_call(workspace, now, now_s) or _due_recipient(workspace, pacer, now, now_s)
    if not isinstance(found, _Due):
        return found or Nothing()
    attempt = attempts.prepare(found.call_id)
    if attempt is None:
        return Nothing()
    return Claimed(attempt.pk, _take_turn(attempt, workspace, found).at_s)


def _take_turn(attempt: DialAttempt, workspace: Workspace, due: "_Due") -> Turn:
    """Under the account's lock: is there room, and when. What does not fit is rolled back."""
    account, batch = pacing.account_sid(due.account_sid), due.batch
    pacing.lock_account(account)
    room = capacity.room(without=attempt.call_id)
    lack = room.lack(own_account=bool(due.account_sid))
    if lack == capacity.Lack.MODEL:  # looked up only where it decides
        own = entrusted.has(workspace.pk, CredentialKind.OPENAI)
        lack = room.lack(own_account=bool(due.account_sid), own_model=own)
    if lack is not None:
        raise _TakenBack(Full(lack))
    turn = pacing.take(
        attempt.pk,
        account=account,
        workspace_id=workspace.pk,
        workspace_per_s=workspace.calls_per_second,
        batch_id=batch.pk if batch else None,
        batch_per_s=batch.calls_per_second if batch else None,
    )
    if isinstance(turn, Later):
        raise _TakenBack(Wait(turn.seconds, account=account))
    return turn


def workspaces_with_work() -> list[uuid.UUID]:
    """Workspaces that have a queued call, or a running batch with somebody due."""
    now = timezone.now()
    queued = Call.objects.filter(status=CallStatus.QUEUED).filter(Q(sweep_at=None) | Q(sweep_at__lte=now))
    running = Batch.objects.filter(_has_due(now), status=BatchStatus.RUNNING)
    found = set(queued.order_by().values_list("workspace_id", flat=True).distinct())
    found |= set(running.order_by().values_list("workspace_id", flat=True).distinct())
    return sorted(found)


@dataclass(frozen=True, slots=True)
class _Due:
    """A queued call that may be dialed now."""

    call_id: uuid.UUID
    batch: Batch | None
    account_sid: str


# --- who is next ---------------------------------------------------------------------------------


def _due_call(workspace: Workspace, now: datetime, now_s: float) -> _Due | Again | None:
    """A call that waits for its (next) attempt: a single call, or one that the carrier did not take.

    A refusal for good ends a call and so takes the event counter, the last of all locks: nothing else may
    follow in that transaction.
    """
    waiting = (
        _queued(workspace, now)
        .select_related("lead", "number", "batch__pacer", "agent_version__agent", "recipient")
        .order_by("created_at")[:_LOOK_AT]
    )
    passed = False
    for call in waiting:
        again_at = _no_room_until(call.batch, now, now_s) if call.batch else None
        if again_at is not None:
            Call.objects.filter(pk=call.pk, status=CallStatus.QUEUED).update(sweep_at=again_at)
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
                return _Due(call.pk, call.batch, call.account_sid)
            case Refuse(until=None) as refusal:
                _refuse_call(call, refusal)
                return Again()
            case Refuse() as refusal:
                Call.objects.filter(pk=call.pk, status=CallStatus.QUEUED).update(sweep_at=refusal.until)
                passed = True
    return Again() if passed else None


def _due_recipient(
    workspace: Workspace, pacer: Pacer, now: datetime, now_s: float
) -> _Due | Again | Wait | None:
    """The next recipient of the batch whose turn it is, as a queued call."""
    refused, wait_s = False, float("inf")
    for batch in _batches_with_room(workspace, pacer):
        batch_wait_s = pacing.own_wait_s(_next_at_s(batch), now_s)
        if batch_wait_s > 0:
            wait_s = min(wait_s, batch_wait_s)
            continue
        for recipient in _waiting(batch, now):
            lead = recipient.lead
            version = recipient.agent_version or batch.agent_version or batch.agent.current_version
            usable = version if batch.agent.archived_at is None else None
            known = facts.to_dial(workspace, lead, lead.phone or "", batch.number, usable, batch)
            answer = decide(known, now)
            due = None
            if isinstance(answer, Allow):
                due = _Due(_call_for(recipient, batch, usable), batch, batch.number.account_sid)
            about = About(workspace.pk, lead.pk, batch.pk, recipient.pk, due.call_id if due else None)
            decisions.record_dial(Decided(about, known, answer, now))
            match answer:
                case Allow():
                    return due
                case Refuse(until=None) as refusal:
                    _refuse_recipient(recipient, refusal)
                case Refuse() as refusal:
                    Recipient.objects.filter(pk=recipient.pk).update(next_at=refusal.until)
            refused = True
    if refused:
        return Again()
    return Wait(wait_s) if wait_s < float("inf") else None


def _queued(workspace: Workspace, now: datetime) -> QuerySet[Call]:
    return Call.objects.filter(
        workspace=workspace, status=CallStatus.QUEUED, direction=Direction.OUTBOUND
    ).filter(Q(sweep_at=None) | Q(sweep_at__lte=now))


def _batches_with_room(workspace: Workspace, pacer: Pacer) -> QuerySet[Batch]:
    """Running ones with a line free and somebody due: by priority, then whoever was given least."""
    live = Call.objects.filter(
        batch=OuterRef("pk"), status__in=(CallStatus.DIALING, CallStatus.RINGING, CallStatus.IN_PROGRESS)
    )
    count = live.order_by().values("batch").values(n=Count("pk"))
    given = Coalesce("pacer__finish", 0.0, output_field=FloatField())
    return (
        Batch.objects.filter(
            _has_due(timezone.now()), workspace=workspace, status=BatchStatus.RUNNING, soft_budget_at=None
        )
        .annotate(live=Coalesce(Subquery(count), 0), turn=Greatest(given, Value(pacer.batch_virtual)))
        .filter(live__lt=F("concurrency"))
        .select_related("pacer", "agent__current_version__agent", "agent_version__agent", "number")
        .order_by("-priority", "turn", "live", "created_at")
    )


def _has_due(now: datetime) -> Q:
    """Whether a batch has somebody to call now: one look into each of its two queues."""
    mine = Recipient.objects.filter(batch=OuterRef("pk"), status=RecipientStatus.PENDING)
    return Q(Exists(mine.filter(next_at__isnull=True))) | Q(Exists(mine.filter(next_at__lte=now)))


def _waiting(batch: Batch, now: datetime) -> list[Recipient]:
    """The next ones of a batch, locked: first whose instant has come, then who was never called."""
    pending = (
        Recipient.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("lead", "agent_version__agent", "callback_of")
        .filter(batch=batch, status=RecipientStatus.PENDING)
    )
    due = list(pending.filter(next_at__lte=now).order_by("next_at", "position")[:_LOOK_AT])
    if len(due) < _LOOK_AT:
        due += pending.filter(next_at__isnull=True).order_by("position")[: _LOOK_AT - len(due)]
    return due


def _no_room_until(batch: Batch, now: datetime, now_s: float) -> datetime | None:
    """When to look again at a queued call of a batch without a free line, or whose pace says later."""
    live = batch.calls.filter(status__in=(CallStatus.DIALING, CallStatus.RINGING, CallStatus.IN_PROGRESS))
    if live.count() >= batch.concurrency:
        return now + _FULL_AGAIN
    wait_s = pacing.own_wait_s(_next_at_s(batch), now_s)
    return now + timedelta(seconds=wait_s) if wait_s > 0 else None


def _next_at_s(batch: Batch) -> float:
    return batch.pacer.next_at_s if hasattr(batch, "pacer") else 0.0


def _anything_due(workspace: Workspace, now: datetime) -> bool:
    if _queued(workspace, now).exists():
        return True
    return _batches_with_room(workspace, Pacer(batch_virtual=0.0)).exists()


# --- what happens to them ------------------------------------------------------------------------


def _call_for(recipient: Recipient, batch: Batch, version: AgentVersion | None) -> uuid.UUID:
    call = Call.objects.create(
        workspace_id=batch.workspace_id,
        direction=Direction.OUTBOUND,
        from_number=batch.number.e164,
        to_number=recipient.lead.phone or "",
        number=batch.number,
        account_sid=batch.number.account_sid,
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
