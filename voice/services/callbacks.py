"""A lead who asked to be called at a time becomes a recipient of its own, once for the call that promised it.

It joins the batch of that call while it is open. A call without one (inbound, a single call, a batch that was
canceled) has it in the standing batch "Callbacks" of its agent and number, which is never completed: so no
batch that was reported as over begins to dial again, and operators find all such callbacks in one place.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from crm.models import FollowUp, FollowUpStatus, Lead
from crm.services import consents, follow_ups, suppressions, timeline
from tenex.errors import InvalidInput
from tenex.lib.wake import wake
from tenex.workspaces.models import CallingPurpose
from voice.models import (
    Batch,
    BatchStatus,
    Call,
    EndReason,
    NumberStatus,
    Outcome,
    PhoneNumber,
    Recipient,
    RecipientStatus,
    Verdict,
)
from voice.services import batch_members, batches, parts
from voice.services.eligibility import judge

ACTOR = "system:callbacks"
FURTHEST = timedelta(days=180)
_CONSENT_LASTS = timedelta(days=7)
"""After the hour that was asked for: tries that follow it are of the same request."""
_PASSED_OVER = ("no_consent", "number_released", "no_agent")
"""Asking to be called is a consent; number and agent are looked at when the batch is chosen."""
_RETRIES = {"no-answer": [900, 7200], "busy": [300, 900]}
_MISSED = (Outcome.NO_ANSWER, Outcome.BUSY, Outcome.VOICEMAIL, Outcome.FAILED, Outcome.CANCELED)


def schedule(call_id: uuid.UUID) -> dict[str, Any]:
    """Make the recipient that a finished call gave rise to, if it did; any number of times."""
    call = Call.objects.select_related(
        "lead", "batch", "workspace", "number", "agent_version__agent", "recipient"
    ).get(pk=call_id)
    if Recipient.objects.filter(callback_of=call_id).exists():
        return {"known": True}
    at, note = _asked_for(call)
    if at is None or call.lead is None or call.agent_version is None or call.is_test:
        return {"callback": None}
    if refused := _refused(call, call.lead):
        return {"refused": refused}
    try:
        row = _written(call, call.lead, at, note)
    except InvalidInput as exc:
        return {"refused": f"no number to call from: {exc.detail}"}
    if row is None:
        return {"known": True}
    return {"recipient": str(row.pk), "batch": str(row.batch_id), "at": at.isoformat()}


def made(recipient: Recipient, call: Call) -> None:
    """The callback has its result. One that reached nobody stays open, for a person."""
    if recipient.callback_of_id is not None and call.outcome not in _MISSED:
        follow_ups.settle_callback(recipient.workspace_id, recipient.callback_of_id, FollowUpStatus.DONE)


def _refused(call: Call, lead: Lead) -> str:
    """Why this lead is not called, whatever it agreed to; empty: nothing is against it."""
    assert call.agent_version is not None  # noqa: S101 - the caller has looked
    if lead.opted_out_at is not None or call.end_reason == EndReason.OPTED_OUT:
        return "opted_out"
    if suppressions.is_suppressed(call.workspace_id, call.remote_number):
        return "suppressed"
    found = judge(
        call.workspace, lead, lead.phone or "", number=call.number, version=call.agent_version
    ).refused
    return found.code if found is not None and found.code not in _PASSED_OVER else ""


def _asked_for(call: Call) -> tuple[datetime | None, str]:
    """When, and what about: what the agent promised in the call, else what the verdict read in it."""
    promised = FollowUp.objects.filter(call_id=call.pk, kind="callback").first()
    if promised is not None:
        open_ = promised.status == FollowUpStatus.OPEN
        return (promised.due_at if open_ else None), promised.note
    verdict = Verdict.objects.filter(call_id=call.pk).first()
    follow_up = verdict.follow_up if verdict else {}
    at = parse_datetime(str(follow_up.get("callback_at") or ""))
    now = timezone.now()
    if at is None or at.tzinfo is None or not now < at < now + FURTHEST:
        return None, ""
    return at, "; ".join(map(str, follow_up.get("reasons") or []))[:500]


def _written(call: Call, lead: Lead, at: datetime, note: str) -> Recipient | None:
    """The row; None if somebody else has just made it."""
    for tries_left in (2, 1, 0):
        try:
            with transaction.atomic():
                return _write(call, lead, at, note)
        except IntegrityError:  # of this callback, or of the standing batch, which is there now
            if Recipient.objects.filter(callback_of=call.pk).exists():
                return None
            if not tries_left:
                raise
    return None


def _write(call: Call, lead: Lead, at: datetime, note: str) -> Recipient:
    batch = _home(call)
    old = list(
        Recipient.objects.select_for_update(of=("self",)).filter(
            workspace_id=call.workspace_id,
            lead=lead,
            status=RecipientStatus.PENDING,
            callback_of__isnull=False,
        )
    )
    for one in old:  # the last word counts
        Recipient.objects.filter(pk=one.pk).update(status=RecipientStatus.CANCELED, next_at=None)
        if one.callback_of_id is not None:
            follow_ups.settle_callback(call.workspace_id, one.callback_of_id, FollowUpStatus.CANCELED)
    row = Recipient.objects.create(
        workspace_id=call.workspace_id,
        batch=batch,
        lead=lead,
        position=batch_members.next_position(batch),
        variables={**call.variables, "callback_note": note},
        agent_version_id=call.recipient.agent_version_id if call.recipient else None,
        callback_of=call,
        next_at=at,
    )
    if not FollowUp.objects.filter(call_id=call.pk, kind="callback").exists():
        follow_ups.schedule(lead, due_at=at, note=note, call_id=call.pk)
    timeline.add(
        lead,
        "callback.scheduled",
        f"Will be called back: {at.isoformat()}",
        call_id=call.pk,
        data={"batch_id": str(batch.pk), "recipient_id": str(row.pk), "at": at.isoformat()},
    )
    batches.note(batch, ACTOR, "batch.callback_scheduled", call_id=str(call.pk), at=at.isoformat())
    wake("voice.outbound.tick")
    if batch.is_standing:  # last: it counts an event
        said = f"Asked in call {call.pk} to be called back at {at.isoformat()}. {note}".strip()
        consents.add(
            call.workspace,
            lead.pk,
            purpose=CallingPurpose.INFORMATIONAL,
            source="call",
            proof=said,
            given_at=min(call.answered_at or call.created_at, timezone.now()),
            expires_at=max(at, timezone.now()) + _CONSENT_LASTS,
            actor=ACTOR,
        )
    return row


def _home(call: Call) -> Batch:
    """The batch that the callback is of, locked."""
    if call.batch_id is not None:
        own = batches.lock(call.batch_id)
        if own.status not in batches.OVER:
            return own
    assert call.agent_version is not None  # noqa: S101 - the caller has looked
    number = _number(call)
    standing = Batch.objects.filter(
        workspace_id=call.workspace_id,
        agent=call.agent_version.agent,
        number=number,
        is_standing=True,
        completed_at=None,
    ).first()
    return batches.lock(standing.pk) if standing else _new_home(call, number)


def _new_home(call: Call, number: PhoneNumber) -> Batch:
    assert call.agent_version is not None  # noqa: S101 - the caller has looked
    now = timezone.now()
    batch = Batch.objects.create(
        workspace_id=call.workspace_id,
        name="Callbacks",
        objective="",  # each callback has that of its call
        agent=call.agent_version.agent,
        number=number,
        calendar_id=call.calendar_id,
        purpose=CallingPurpose.INFORMATIONAL,
        retry_policy=_RETRIES,
        status=BatchStatus.RUNNING,
        started_at=now,
        is_standing=True,
    )
    batches.note(batch, ACTOR, "batch.created", standing=True)
    return batch


def _number(call: Call) -> PhoneNumber:
    """The number that the call ran over, or whichever we call from."""
    if call.number is not None and call.number.status == NumberStatus.ACTIVE:
        return call.number
    assert call.agent_version is not None  # noqa: S101 - the caller has looked
    return parts.default_number(call.workspace, call.agent_version.agent)
