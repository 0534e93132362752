"""Batches: many leads, one objective. What the API, MCP and the admin may do with them.

draft -> queued (waits for `starts_at`) -> running <-> paused -> completed or canceled. Rows are locked from
the batch to its recipients, without keeping others from inserting calls of it; events come last.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Unpack

from django.db import IntegrityError, transaction
from django.db.models import Count
from django.utils import timezone

from crm.models import Calendar, Lead, Segment
from crm.selectors import segments
from crm.services import imports
from tenex.errors import Conflict, InvalidInput
from tenex.events import services as events
from tenex.lib import failpoint
from tenex.lib.wake import wake
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import (
    Agent,
    AgentVersion,
    Batch,
    BatchStatus,
    BatchVersion,
    PauseCode,
    PhoneNumber,
    RecipientStatus,
)
from voice.services import batch_members, batch_settings, costs
from voice.services.batch_members import MAX_LEADS, Member
from voice.services.batch_settings import Settings, Weighted
from voice.services.eligibility import Rejection
from voice.services.parts import check_own, default_agent, default_number

NOBODY = uuid.UUID(int=0)
"""Below every lead's id: a batch that none of its segment is in yet."""

OVER = (BatchStatus.COMPLETED, BatchStatus.CANCELED)

type Leads = Sequence[tuple[uuid.UUID, Mapping[str, Any]]]
"""Ids, each with the variables of that lead."""


@dataclass(frozen=True, slots=True)
class BatchCreated:
    """`created` is False for a repeated `client_reference`: the batch of the first request."""

    batch: Batch
    accepted: int
    rejected: list[Rejection] = field(default_factory=list)
    created: bool = True


def planned(
    workspace: Workspace,
    *,
    objective: str,
    agent: Agent | None = None,
    agent_version: AgentVersion | None = None,
    number: PhoneNumber | None = None,
    calendar: Calendar | None = None,
    segment: Segment | None = None,
    versions: Weighted = (),
    client_reference: str | None = None,
    draft: bool = False,
    starts_at: datetime | None = None,
    **settings: Unpack[Settings],
) -> Batch:
    """The batch that :func:`create` would make, checked and not saved.

    Raises:
        InvalidInput: as :func:`create`.
    """
    agent = agent_version.agent if agent_version else agent or default_agent(workspace)
    check_own(workspace, agent=agent, number=number, calendar=calendar)
    settings.setdefault("purpose", workspace.default_purpose)
    batch = Batch(
        workspace=workspace,
        objective=objective,
        agent=agent,
        agent_version=agent_version,
        number=number or default_number(workspace, agent),
        calendar=calendar or agent.calendar,
        client_reference=client_reference or None,
        status=BatchStatus.DRAFT if draft else BatchStatus.QUEUED,
        starts_at=starts_at,
        segment=segment,
        filling_from=NOBODY if segment else None,
        **settings,
    )
    batch_settings.check(batch)
    batch_settings.check_versions(batch, versions)
    return batch


def create(
    workspace: Workspace,
    *,
    objective: str,
    lead_ids: Sequence[uuid.UUID | str] = (),
    leads: Leads = (),
    segment: Segment | None = None,
    agent: Agent | None = None,
    agent_version: AgentVersion | None = None,
    versions: Weighted = (),
    number: PhoneNumber | None = None,
    calendar: Calendar | None = None,
    client_reference: str | None = None,
    draft: bool = False,
    empty: bool = False,
    starts_at: datetime | None = None,
    actor: str = "",
    **settings: Unpack[Settings],
) -> BatchCreated:
    """A batch that the dialer starts at `starts_at`, or now; a draft waits for :func:`start`.

    Without `agent` the default or the only one is taken, without `number` the agent's or the only one. With a
    `segment` its leads are put in by and by; those that may not be called are in it as refused. A draft, and
    whatever is filled from elsewhere (`empty`), may begin without leads.

    Raises:
        InvalidInput: an id that is not this workspace's, too many ids, no agent or number to call with, a
            variable in the objective that nothing fills, settings that make no sense together.
    """
    if client_reference:
        known = Batch.objects.filter(workspace=workspace, client_reference=client_reference).first()
        if known is not None:
            return _repeated(known)
    none_yet = bool(segment) or ((draft or empty) and not lead_ids and not leads)
    given = [] if none_yet else batch_members.members(workspace, lead_ids, leads)
    batch = planned(
        workspace,
        objective=objective,
        segment=segment,
        agent=agent,
        agent_version=agent_version,
        versions=versions,
        number=number,
        calendar=calendar,
        client_reference=client_reference,
        draft=draft,
        starts_at=starts_at,
        **settings,
    )
    try:
        with transaction.atomic():
            batch.save(force_insert=True)
            _set_versions(batch, versions)
            accepted, rejected = (fill(batch), []) if segment else batch_members.add(batch, given)
            note(
                batch,
                actor,
                "batch.created",
                leads=accepted,
                segment=str(segment.pk) if segment else None,
                draft=draft or None,
            )
            wake("voice.outbound.tick")
    except IntegrityError:
        known = Batch.objects.filter(workspace=workspace, client_reference=client_reference).first()
        if known is None or not client_reference:
            raise
        return _repeated(known)
    return BatchCreated(batch, accepted, rejected)


def append(
    batch: Batch, lead_ids: Sequence[uuid.UUID | str] = (), *, leads: Leads = (), actor: str = ""
) -> BatchCreated:
    """More leads for a batch that is not over, a draft or a running one alike.

    Raises:
        Conflict: `batch_over`. InvalidInput: as in :func:`create`.
    """
    given = batch_members.members(batch.workspace, lead_ids, leads)
    with transaction.atomic():
        locked = lock(batch.pk)
        _check_open(locked)
        accepted, rejected = batch_members.add(locked, given)
        note(locked, actor, "batch.appended", leads=accepted)
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
    accepted, _ = batch_members.add(
        batch, [Member(leads[pk]) for pk in ids if pk in leads], keep_refused=True
    )
    batch.filling_from = ids[-1] if len(ids) == MAX_LEADS else None
    batch.save(update_fields=["filling_from"])
    return accepted


def update(batch: Batch, data: Mapping[str, Any], actor: str) -> Batch:
    """Change a batch: a draft in everything, a started one in what :mod:`batch_settings` leaves open.

    `data` has `objective` and columns of :class:`batch_settings.Settings`, and of a draft also `agent`,
    `agent_version`, `versions`, `number`, `calendar`, `starts_at`. Holds from the next call on.

    Raises:
        Conflict: `batch_over`, `batch_started`. InvalidInput: as in :func:`create`.
    """
    changes = dict(data)
    with transaction.atomic():
        locked = lock(batch.pk)
        batch_settings.check_changeable(locked, changes)
        versions: Weighted | None = changes.pop("versions", None)
        for name, value in changes.items():
            setattr(locked, name, value)
        if "agent" in changes and "agent_version" not in changes:
            locked.agent_version = None  # it is of the agent before
            changes["agent_version"] = None
        _check_parts(locked, changes)
        batch_settings.check(locked)
        if locked.budget_soft_minor is None or locked.spent_microusd < (
            locked.budget_soft_minor * costs.MICRO_PER_MINOR
        ):
            locked.soft_budget_at = None
        if versions is not None or "agent" in changes:
            batch_settings.check_versions(locked, versions or ())
            _set_versions(locked, versions or ())
            batch_members.redraw(locked)
        elif "agent_version" in changes and locked.agent_version_id is not None:
            _set_versions(locked, ())
            batch_members.redraw(locked)
        if data:
            locked.save(update_fields=[*changes, "soft_budget_at"])
            note(locked, actor, "batch.updated", fields=sorted(data))
            wake("voice.outbound.tick")
    return locked


def start(batch: Batch, *, actor: str = "") -> Batch:
    """A draft waits for `starts_at` from now on, or runs. A batch that has started stays as it is.

    Raises:
        Conflict: `batch_over`, `batch_empty`.
    """
    with transaction.atomic():
        locked = lock(batch.pk)
        _check_open(locked)
        if locked.status != BatchStatus.DRAFT:
            return locked
        check_own(locked.workspace, agent=locked.agent, number=locked.number, calendar=locked.calendar)
        if not is_filling(locked) and not locked.recipients.exists():
            raise Conflict("Nobody is in the batch.", code="batch_empty")
        locked.status = BatchStatus.QUEUED
        locked.save(update_fields=["status"])
        note(locked, actor, "batch.started")
        wake("voice.outbound.tick")
    return locked


def run_due(limit: int = 200) -> int:
    """Batches whose hour has come run; how many."""
    now = timezone.now()
    due = Batch.objects.filter(status=BatchStatus.QUEUED).exclude(starts_at__gt=now)
    return sum(_run(batch_id) for batch_id in list(due.values_list("pk", flat=True)[:limit]))


def _run(batch_id: uuid.UUID) -> bool:
    with transaction.atomic():
        locked = lock(batch_id)
        if locked.status != BatchStatus.QUEUED:
            return False
        locked.status = BatchStatus.RUNNING
        locked.started_at = locked.started_at or timezone.now()
        locked.save(update_fields=["status", "started_at"])
        events.record(
            workspace_id=locked.workspace_id, type="batch.started", data=facts(locked), once=str(locked.pk)
        )
    return True


def pause(batch: Batch, *, reason: str = "", code: PauseCode = PauseCode.OPERATOR, actor: str = "") -> Batch:
    """Nobody is dialed any more; calls under way go on. The dialer's fence holds this to the instant.

    Raises:
        Conflict: `batch_over`, `batch_is_draft`.
    """
    with transaction.atomic():
        locked = lock(batch.pk)
        _check_open(locked)
        _check_started(locked)
        if locked.status != BatchStatus.PAUSED:
            locked.status, locked.pause_code, locked.status_reason = BatchStatus.PAUSED, code, reason[:200]
            locked.save(update_fields=["status", "pause_code", "status_reason"])
            note(locked, actor, "batch.paused", reason=reason[:200], code=code)
            events.record(
                workspace_id=locked.workspace_id,
                type="batch.paused",
                data={**facts(locked), "pause_code": locked.pause_code, "reason": locked.status_reason},
            )
            wake("voice.outbound.tick")  # takes back what the carrier has not begun to ring
    return locked


def resume(batch: Batch, *, actor: str = "") -> Batch:
    """Go on with a paused batch.

    Raises:
        Conflict: `batch_over`, `batch_is_draft`, `budget_spent`.
    """
    with transaction.atomic():
        locked = lock(batch.pk)
        _check_open(locked)
        _check_started(locked)
        if locked.status == BatchStatus.PAUSED:
            if budget_spent(locked):
                raise Conflict("The budget is spent: raise it first.", code="budget_spent")
            waits = locked.starts_at is not None and locked.starts_at > timezone.now()
            locked.status = BatchStatus.QUEUED if waits else BatchStatus.RUNNING
            locked.started_at = locked.started_at or (None if waits else timezone.now())
            locked.pause_code = locked.status_reason = ""
            locked.save(update_fields=["status", "started_at", "pause_code", "status_reason"])
            note(locked, actor, "batch.resumed")
            wake("voice.outbound.tick")
            events.record(workspace_id=locked.workspace_id, type="batch.resumed", data=facts(locked))
    return locked


def cancel(batch: Batch, *, reason: str = "", actor: str = "") -> Batch:
    """Call nobody else. Queued calls are dropped and ringing ones taken back; whoever talks, talks on.

    The rows change here; the dialer's next tick, which this wakes, speaks with the carrier.

    Raises:
        Conflict: `batch_over` if it was completed.
    """
    with transaction.atomic():
        locked = lock(batch.pk)
        if locked.status == BatchStatus.CANCELED:
            return locked
        _check_open(locked)
        locked.status, locked.status_reason, locked.pause_code = BatchStatus.CANCELED, reason[:200], ""
        locked.completed_at, locked.filling_from = timezone.now(), None
        locked.save(update_fields=["status", "status_reason", "pause_code", "completed_at", "filling_from"])
        locked.recipients.filter(status=RecipientStatus.PENDING).update(
            status=RecipientStatus.CANCELED, next_at=None
        )
        _stop_files(locked, actor)
        note(locked, actor, "batch.canceled", reason=reason[:200])
        announce_if_over(locked)
        wake("voice.outbound.tick")
    return locked


def complete(batch_id: uuid.UUID) -> bool:
    """Close an open batch if nobody of it is left to call or being called."""
    with transaction.atomic():
        batch = Batch.objects.select_for_update(no_key=True).filter(pk=batch_id).first()
        if batch is None or batch.status not in (BatchStatus.QUEUED, BatchStatus.RUNNING):
            return False
        if batch.is_standing or is_filling(batch):
            return False
        if batch.recipients.filter(status__in=(RecipientStatus.PENDING, RecipientStatus.CALLING)).exists():
            return False
        batch.status, batch.completed_at = BatchStatus.COMPLETED, timezone.now()
        batch.save(update_fields=["status", "completed_at"])
        failpoint.hit("batch.closed")
        announce_if_over(batch)
    return True


def is_filling(batch: Batch) -> bool:
    """Leads are still to come in, of its segment or of a file."""
    return batch.filling_from is not None or batch.uploads.filter(done_at=None).exists()


def budget_spent(batch: Batch) -> bool:
    """Nobody else is dialed: what finished calls cost has reached one of the budgets."""
    caps = [one for one in (batch.budget_soft_minor, batch.budget_hard_minor) if one is not None]
    return bool(caps) and batch.spent_microusd >= min(caps) * costs.MICRO_PER_MINOR


def lock(batch_id: uuid.UUID) -> Batch:
    """The row, locked to the end of the caller's transaction; calls of it may be inserted meanwhile."""
    return (
        Batch.objects.select_for_update(no_key=True, of=("self",))
        .select_related("workspace")
        .get(pk=batch_id)
    )


def announce_if_over(batch: Batch) -> None:
    """`batch.completed`, once, when the batch is closed and the last result of it is there."""
    if batch.status not in OVER or batch.recipients.filter(status=RecipientStatus.CALLING).exists():
        return
    events.record(
        workspace_id=batch.workspace_id, type="batch.completed", data=facts(batch), once=str(batch.pk)
    )


def facts(batch: Batch) -> dict[str, Any]:
    """What an event about a batch carries. `outcomes` counts leads by their last outcome."""
    rows = batch.recipients.order_by().values_list("status", "outcome").annotate(n=Count("id"))
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


def _check_parts(batch: Batch, changed: Iterable[str]) -> None:
    """Agent, version, number and calendar of a draft, as far as they were changed."""
    names = set(changed)
    if names & {"agent", "number", "calendar"}:
        check_own(
            batch.workspace,
            agent=batch.agent,
            number=batch.number if "number" in names else None,
            calendar=batch.calendar if "calendar" in names else None,
        )
    if batch.agent_version is not None and batch.agent_version.agent_id != batch.agent_id:
        raise InvalidInput("no such version", loc=("body", "agent_version"), type_="missing")


def _set_versions(batch: Batch, versions: Weighted) -> None:
    BatchVersion.objects.filter(batch=batch).delete()
    BatchVersion.objects.bulk_create(
        BatchVersion(batch=batch, agent_version=version, weight=weight) for version, weight in versions
    )


def _stop_files(batch: Batch, actor: str) -> None:
    """What is still to come of the batch's files does not; leads that are imported stay."""
    for upload in batch.uploads.filter(done_at=None):
        # Over meanwhile: then the rows that are left are dropped when they are taken over.
        with suppress(Conflict):
            imports.cancel(batch.workspace, upload.lead_import_id, actor=actor or "system:batches")


def _check_open(batch: Batch) -> None:
    if batch.status in OVER:
        raise Conflict("The batch is over.", code="batch_over")


def _check_started(batch: Batch) -> None:
    if batch.status == BatchStatus.DRAFT:
        raise Conflict("The batch is a draft: start it first.", code="batch_is_draft")


def _repeated(batch: Batch) -> BatchCreated:
    return BatchCreated(batch, batch.recipients.count(), [], created=False)


def note(batch: Batch, actor: str, action: str, **data: Any) -> None:
    """A line of the audit log about a batch."""
    said = {name: value for name, value in data.items() if value not in (None, "")}
    audit.record(
        batch.workspace_id,
        actor or "system:batches",
        action,
        object_type="batch",
        object_id=batch.pk,
        data=said,
    )
