"""Batches: many leads, one objective. What the API, MCP and the admin may do with them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Max
from django.utils import timezone

from crm.models import Calendar, Lead, Segment
from crm.selectors import segments
from tenex.errors import Conflict, InvalidInput
from tenex.events import services as events
from tenex.lib import failpoint, limits
from tenex.lib.wake import wake
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import (
    Agent,
    AgentVersion,
    Batch,
    BatchStatus,
    NumberStatus,
    PauseCode,
    PhoneNumber,
    Recipient,
    RecipientStatus,
)
from voice.services import templates
from voice.services.eligibility import Rejection, reject_many

MAX_LEADS = limits.BULK_ITEMS
"""In one request (contract.md 3); more are appended."""

NOBODY = uuid.UUID(int=0)
"""Below every lead's id: a batch that none of its segment is in yet."""

_OVER = (BatchStatus.COMPLETED, BatchStatus.CANCELED)


@dataclass(frozen=True, slots=True)
class BatchCreated:
    """`created` is False for a repeated `client_reference`: the batch of the first request."""

    batch: Batch
    accepted: int
    rejected: list[Rejection] = field(default_factory=list)
    created: bool = True


@dataclass(frozen=True, slots=True)
class Preview:
    """What :func:`create` would do: whom it would take, and whom not."""

    accepted: list[Lead]
    rejected: list[Rejection]


def preview(
    workspace: Workspace,
    *,
    lead_ids: Sequence[uuid.UUID | str],
    agent: Agent | None = None,
    number: PhoneNumber | None = None,
    calendar: Calendar | None = None,
) -> Preview:
    """:func:`create` without the writing: the same checks, nothing kept.

    Raises:
        InvalidInput: as :func:`create`.
    """
    leads = _leads(workspace, lead_ids)
    agent = agent or default_agent(workspace)
    check_own(workspace, agent=agent, number=number, calendar=calendar)
    if number is None:
        default_number(workspace, agent)
    return _sort(workspace.pk, leads, known=set())


def create(
    workspace: Workspace,
    *,
    objective: str,
    lead_ids: Sequence[uuid.UUID | str] = (),
    segment: Segment | None = None,
    agent: Agent | None = None,
    agent_version: AgentVersion | None = None,
    number: PhoneNumber | None = None,
    calendar: Calendar | None = None,
    client_reference: str | None = None,
    concurrency: int = 5,
    max_attempts: int = 1,
    retry_after_s: int = 7200,
    machine_detection: bool = True,
    name: str = "",
    starts_at: datetime | None = None,
    actor: str = "",
) -> BatchCreated:
    """A batch that the dialer starts at `starts_at`, or now.

    Without `agent` the default or the only one is taken, without `number` the agent's or the only one. With a
    `segment` its leads are put in by and by; those that may not be called are in it as refused.

    Raises:
        InvalidInput: an id that is not this workspace's, too many ids, no agent or number to call with, a
            variable in the objective that nothing fills.
    """
    templates.check(objective, "objective")
    if client_reference:
        known = Batch.objects.filter(workspace=workspace, client_reference=client_reference).first()
        if known is not None:
            return _repeated(known)
    leads = [] if segment else _leads(workspace, lead_ids)
    agent = agent_version.agent if agent_version else agent or default_agent(workspace)
    check_own(workspace, agent=agent, number=number, calendar=calendar)
    number = number or default_number(workspace, agent)
    batch = Batch(
        workspace=workspace,
        name=name,
        objective=objective,
        agent=agent,
        agent_version=agent_version,
        number=number,
        calendar=calendar or agent.calendar,
        client_reference=client_reference or None,
        concurrency=concurrency,
        max_attempts=max_attempts,
        retry_after_s=retry_after_s,
        machine_detection=machine_detection,
        starts_at=starts_at,
        segment=segment,
        filling_from=NOBODY if segment else None,
    )
    try:
        with transaction.atomic():
            batch.save(force_insert=True)
            rejected: list[Rejection] = []
            if segment:
                accepted = fill(batch)
            else:
                accepted, rejected = add(batch, leads, first_position=1)
            _audit(
                batch, actor, "batch.created", leads=accepted, segment=str(segment.pk) if segment else None
            )
            wake("voice.outbound.tick")
    except IntegrityError:
        known = Batch.objects.filter(workspace=workspace, client_reference=client_reference).first()
        if known is None or not client_reference:
            raise
        return _repeated(known)
    return BatchCreated(batch, accepted, rejected)


def append(batch: Batch, lead_ids: Sequence[uuid.UUID | str], *, actor: str = "") -> BatchCreated:
    """More leads for a batch that is not over.

    Raises:
        Conflict: `batch_over`. InvalidInput: as in :func:`create`.
    """
    leads = _leads(batch.workspace, lead_ids)
    with transaction.atomic():
        locked = Batch.objects.select_for_update().get(pk=batch.pk)
        if locked.status in _OVER:
            raise Conflict("The batch is over.", code="batch_over")
        accepted, rejected = add(locked, leads, first_position=next_position(locked))
        _audit(locked, actor, "batch.appended", leads=accepted)
        wake("voice.outbound.tick")
    return BatchCreated(locked, accepted, rejected)


def fill(batch: Batch) -> int:
    """Put the next portion of its segment into a batch, in the caller's transaction; how many to call.

    The batch's row is new or locked. `filling_from` ends as None when the segment is through, or gone.
    """
    if batch.segment_id is None or batch.filling_from is None:
        ids: Sequence[uuid.UUID] = ()
    else:
        ids = segments.lead_ids(
            batch.workspace_id, batch.segment_id, after=batch.filling_from, limit=MAX_LEADS
        )
    leads = Lead.objects.in_bulk(ids)
    accepted, _ = add(
        batch,
        [leads[pk] for pk in ids if pk in leads],
        first_position=next_position(batch),
        keep_refused=True,
    )
    batch.filling_from = ids[-1] if len(ids) == MAX_LEADS else None
    batch.save(update_fields=["filling_from"])
    return accepted


def update(batch: Batch, data: dict[str, Any], actor: str) -> Batch:
    """Change name, objective, concurrency, attempts or pause between them; holds from the next call on.

    Raises:
        Conflict: `batch_over`. InvalidInput: as in :func:`create`.
    """
    if "objective" in data:
        templates.check(data["objective"], "objective")
    with transaction.atomic():
        locked = Batch.objects.select_for_update().get(pk=batch.pk)
        if locked.status in _OVER:
            raise Conflict("The batch is over.", code="batch_over")
        for name, value in data.items():
            setattr(locked, name, value)
        if data:
            locked.save(update_fields=list(data))
            _audit(locked, actor, "batch.updated", fields=sorted(data))
            wake("voice.outbound.tick")
    return locked


def pause(batch: Batch, *, reason: str = "", code: PauseCode = PauseCode.OPERATOR, actor: str = "") -> Batch:
    """Nobody is dialed any more; calls under way go on. The dialer's fence holds this to the instant.

    Raises:
        Conflict: `batch_over`.
    """
    sources = (BatchStatus.QUEUED, BatchStatus.RUNNING)
    with transaction.atomic():
        paused = _switch(batch, sources, BatchStatus.PAUSED, reason, actor, "batch.paused")
        Batch.objects.filter(pk=batch.pk, status=BatchStatus.PAUSED).update(pause_code=code)
        wake("voice.outbound.tick")  # takes back what the carrier has not begun to ring
    return paused


def resume(batch: Batch, *, actor: str = "") -> Batch:
    """Go on with a paused batch.

    Raises:
        Conflict: `batch_over`.
    """
    return _switch(batch, (BatchStatus.PAUSED,), BatchStatus.RUNNING, "", actor, "batch.resumed")


def cancel(batch: Batch, *, reason: str = "", actor: str = "") -> Batch:
    """Call nobody else. Queued calls are dropped and ringing ones taken back; whoever talks, talks on.

    The rows change here; the dialer's next tick, which this wakes, speaks with the carrier.

    Raises:
        Conflict: `batch_over` if it was completed.
    """
    with transaction.atomic():
        locked = Batch.objects.select_for_update().get(pk=batch.pk)
        if locked.status == BatchStatus.CANCELED:
            return locked
        if locked.status == BatchStatus.COMPLETED:
            raise Conflict("The batch is over.", code="batch_over")
        locked.status, locked.status_reason = BatchStatus.CANCELED, reason[:200]
        locked.completed_at, locked.filling_from = timezone.now(), None
        locked.save(update_fields=["status", "status_reason", "completed_at", "filling_from"])
        locked.recipients.filter(status=RecipientStatus.PENDING).update(
            status=RecipientStatus.CANCELED, next_at=None
        )
        _audit(locked, actor, "batch.canceled", reason=reason[:200])
        announce_if_over(locked)
        wake("voice.outbound.tick")
    return locked


def complete(batch_id: uuid.UUID) -> bool:
    """Close an open batch if nobody of it is left to call or being called."""
    with transaction.atomic():
        batch = Batch.objects.select_for_update().filter(pk=batch_id).first()
        if batch is None or batch.status not in (BatchStatus.QUEUED, BatchStatus.RUNNING):
            return False
        if batch.filling_from is not None:
            return False
        if batch.recipients.filter(status__in=(RecipientStatus.PENDING, RecipientStatus.CALLING)).exists():
            return False
        batch.status, batch.completed_at = BatchStatus.COMPLETED, timezone.now()
        batch.save(update_fields=["status", "completed_at"])
        failpoint.hit("batch.closed")
        announce_if_over(batch)
    return True


def announce_if_over(batch: Batch) -> None:
    """`batch.completed`, once, when the batch is closed and the last result of it is there."""
    if batch.status not in _OVER or batch.recipients.filter(status=RecipientStatus.CALLING).exists():
        return
    events.record(
        workspace_id=batch.workspace_id, type="batch.completed", data=facts(batch), once=str(batch.pk)
    )


def facts(batch: Batch) -> dict[str, Any]:
    """What an event about a batch carries. `outcomes` counts leads by their last outcome."""
    rows = batch.recipients.values_list("status", "outcome").annotate(n=Count("id"))
    by_status: dict[str, int] = {}
    by_outcome: dict[str, int] = {}
    for status, outcome, count in rows:
        by_status[status] = by_status.get(status, 0) + count
        if outcome:
            by_outcome[outcome] = by_outcome.get(outcome, 0) + count
    return {
        "batch_id": str(batch.pk),
        "name": batch.name,
        "status": batch.status,
        "client_reference": batch.client_reference,
        "total": sum(by_status.values()),
        "recipients": by_status,
        "outcomes": by_outcome,
    }


def default_agent(workspace: Workspace) -> Agent:
    """The workspace's default agent, or the only one that can talk."""
    usable = list(
        Agent.objects.filter(workspace=workspace, archived_at=None, current_version__isnull=False).order_by(
            "-is_default", "created_at"
        )[:2]
    )
    if not usable or (len(usable) > 1 and not usable[0].is_default):
        raise InvalidInput("say which agent calls", loc=("body", "agent_id"), type_="missing")
    return usable[0]


def default_number(workspace: Workspace, agent: Agent) -> PhoneNumber:
    """The number to call from: the first of the agent's, else the workspace's only one."""
    usable = PhoneNumber.objects.filter(workspace=workspace, status=NumberStatus.ACTIVE)
    chosen = usable.filter(agent=agent).first()
    if chosen is None and usable.count() == 1:
        chosen = usable.first()
    if chosen is None:
        raise InvalidInput("say which number to call from", loc=("body", "number_id"), type_="missing")
    return chosen


def check_own(
    workspace: Workspace, *, agent: Agent, number: PhoneNumber | None, calendar: Calendar | None
) -> None:
    """Raise InvalidInput for a part that is another workspace's, or can no longer be used."""
    if agent.workspace_id != workspace.pk or agent.archived_at is not None:
        raise InvalidInput("no such agent", loc=("body", "agent_id"), type_="missing")
    if agent.current_version_id is None:
        raise InvalidInput("the agent has no version yet", loc=("body", "agent_id"))
    if number is not None and (number.workspace_id != workspace.pk or number.status != NumberStatus.ACTIVE):
        raise InvalidInput("no such number", loc=("body", "number_id"), type_="missing")
    if calendar is not None and calendar.workspace_id != workspace.pk:
        raise InvalidInput("no such calendar", loc=("body", "calendar_connector_id"), type_="missing")


def _leads(workspace: Workspace, lead_ids: Sequence[uuid.UUID | str]) -> list[Lead]:
    """The leads in the order asked for, repeats included. All must be this workspace's."""
    if not lead_ids:
        raise InvalidInput("at least one lead", loc=("body", "lead_ids"), type_="too_short")
    if len(lead_ids) > MAX_LEADS:
        raise InvalidInput(
            f"at most {MAX_LEADS} leads in one request", loc=("body", "lead_ids"), type_="too_long"
        )
    wanted = [_uuid(raw, index) for index, raw in enumerate(lead_ids)]
    found = Lead.objects.filter(workspace=workspace).in_bulk(set(wanted))
    for index, lead_id in enumerate(wanted):
        if lead_id not in found:
            raise InvalidInput("no such lead", loc=("body", "lead_ids", index), type_="missing")
    return [found[lead_id] for lead_id in wanted]


def _uuid(raw: uuid.UUID | str, index: int) -> uuid.UUID:
    if isinstance(raw, uuid.UUID):
        return raw
    try:
        return uuid.UUID(raw)
    except ValueError as exc:
        raise InvalidInput("not an id", loc=("body", "lead_ids", index), type_="uuid_parsing") from exc


def next_position(batch: Batch) -> int:
    """Where the next lead stands; the batch's row is locked by the caller."""
    return (batch.recipients.aggregate(last=Max("position"))["last"] or 0) + 1


def add(
    batch: Batch, leads: Sequence[Lead], *, first_position: int, keep_refused: bool = False
) -> tuple[int, list[Rejection]]:
    """Put leads into a batch: how many are to be called, and why the others are not.

    `keep_refused`: they are in the batch all the same, as refused.
    """
    known = set(
        batch.recipients.filter(lead__in=[lead.pk for lead in leads]).values_list("lead_id", flat=True)
    )
    found = _sort(batch.workspace_id, leads, known=known)
    reasons = {one.lead_id: one for one in found.rejected if one.code != "duplicate"} if keep_refused else {}
    wanted = {lead.pk for lead in found.accepted} | {uuid.UUID(lead_id) for lead_id in reasons}
    rows = {
        lead.pk: _recipient(batch, lead, reasons.get(str(lead.pk))) for lead in leads if lead.pk in wanted
    }
    for position, row in enumerate(rows.values(), first_position):
        row.position = position
    Recipient.objects.bulk_create(rows.values())
    return len(found.accepted), found.rejected


def _recipient(batch: Batch, lead: Lead, refusal: Rejection | None) -> Recipient:
    return Recipient(
        workspace_id=batch.workspace_id,
        batch=batch,
        lead=lead,
        status=RecipientStatus.REFUSED if refusal else RecipientStatus.PENDING,
        refusal_code=refusal.code if refusal else "",
        refusal_detail=refusal.detail if refusal else "",
    )


def _sort(workspace_id: uuid.UUID, leads: Sequence[Lead], *, known: set[uuid.UUID]) -> Preview:
    """Who may be called and who not; `known` are in the batch already."""
    known = set(known)
    refusals = reject_many(workspace_id, leads)
    found = Preview([], [])
    for lead in leads:
        if lead.pk in known:
            found.rejected.append(Rejection(str(lead.pk), "duplicate", "The lead is in the batch already."))
            continue
        known.add(lead.pk)
        refusal = refusals.get(lead.pk)
        if refusal is not None:
            found.rejected.append(refusal)
        else:
            found.accepted.append(lead)
    return found


def _repeated(batch: Batch) -> BatchCreated:
    return BatchCreated(batch, batch.recipients.count(), [], created=False)


def _switch(
    batch: Batch, sources: tuple[BatchStatus, ...], to: BatchStatus, reason: str, actor: str, action: str
) -> Batch:
    with transaction.atomic():
        changed = Batch.objects.filter(pk=batch.pk, status__in=sources).update(
            status=to, status_reason=reason[:200]
        )
        batch.refresh_from_db()
        if not changed and batch.status in _OVER:
            raise Conflict("The batch is over.", code="batch_over")
        if changed:
            _audit(batch, actor, action, reason=reason[:200])
            wake("voice.outbound.tick")
    return batch


def _audit(batch: Batch, actor: str, action: str, **data: Any) -> None:
    said = {name: value for name, value in data.items() if value not in (None, "")}
    audit.record(
        batch.workspace_id,
        actor or "system:batches",
        action,
        object_type="batch",
        object_id=batch.pk,
        data=said,
    )
