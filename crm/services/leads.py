"""Writing leads. Every change is one `lead.created` or `lead.updated` event with what changed."""

import uuid
from datetime import datetime
from typing import Any, Unpack

from django.db import IntegrityError, transaction
from django.utils import timezone

from crm.models import Lead, Stage, TimelineEntry
from crm.selectors import leads as read
from crm.services import companies, lead_changes, suppressions, timeline
from crm.services.lead_changes import Changes, assign, updated_data
from crm.services.lead_fields import LeadFields, clean
from tenex.errors import Conflict, InvalidInput, existing
from tenex.events import services as events
from tenex.workspaces.models import Workspace


def create(workspace: Workspace, *, actor: str, **fields: Unpack[LeadFields]) -> Lead:
    """Add a lead. A number that must not be dialled makes a lead that has opted out.

    Raises:
        InvalidInput: a field does not fit.
        Conflict: `duplicate_lead`; `extra["lead_id"]` is the lead that has this phone or e-mail.
    """
    values = clean(workspace, fields)
    with transaction.atomic():
        lead = Lead(workspace=workspace)
        assign(lead, _with_company(workspace, values))
        if lead.phone and suppressions.is_suppressed(workspace.id, lead.phone):
            lead.opted_out_at = timezone.now()
        _save(lead, force_insert=True)
        timeline.add(lead, "lead.created", "Lead created", data={"actor": actor, "source": lead.source})
        events.record(
            workspace_id=workspace.id,
            type="lead.created",
            data={"lead_id": str(lead.id), "lead": read.facts(lead), "actor": actor},
            once=str(lead.id),
        )
    return lead


def meet(workspace_id: uuid.UUID, phone: str, *, source: str, actor: str) -> tuple[Lead, events.Fact]:
    """A lead of whom only the number (E.164) is known, in the caller's transaction, which records the fact.

    Raises:
        IntegrityError: somebody else has just added this number; the transaction is lost.
    """
    lead = Lead(workspace_id=workspace_id, phone=phone, source=source)
    if suppressions.is_suppressed(workspace_id, phone):
        lead.opted_out_at = timezone.now()
    lead.save(force_insert=True)
    timeline.add(lead, "lead.created", "Lead created", data={"actor": actor, "source": source})
    return lead, lead_changes.created(lead, actor)


def update(workspace: Workspace, lead_id: uuid.UUID, *, actor: str, **fields: Unpack[LeadFields]) -> Lead:
    """Change fields of a lead; a change of nothing writes nothing and announces nothing.

    Raises:
        NotFound, InvalidInput, Conflict: as in :func:`create`.
    """
    values = clean(workspace, fields)
    with transaction.atomic():
        lead = _lock(workspace.id, lead_id)
        changes = assign(lead, _with_company(workspace, values))
        if "phone" in changes and lead.phone and suppressions.is_suppressed(workspace.id, lead.phone):
            lead.opted_out_at = lead.opted_out_at or timezone.now()
        if changes:
            lead.updated_at = timezone.now()
            _save(lead)
            _announce_update(lead, changes, actor)
    return lead


def archive(workspace: Workspace, lead_id: uuid.UUID, *, actor: str) -> Lead:
    """Take a lead out of lists; its phone and e-mail are free again. Doing it twice changes nothing."""
    with transaction.atomic():
        lead = _lock(workspace.id, lead_id)
        if lead.archived_at is None:
            lead.archived_at = lead.updated_at = timezone.now()
            lead.save(update_fields=["archived_at", "updated_at"])
            timeline.add(lead, "lead.archived", "Lead archived", data={"actor": actor})
            _announce_update(lead, {"archived_at": (None, lead.archived_at)}, actor)
    return lead


def unarchive(workspace: Workspace, lead_id: uuid.UUID, *, actor: str) -> Lead:
    """Bring an archived lead back. Doing it twice changes nothing.

    Raises:
        NotFound.
        Conflict: `duplicate_lead`: another lead has its phone or e-mail by now.
    """
    with transaction.atomic():
        lead = _lock(workspace.id, lead_id)
        if lead.archived_at is not None:
            changes: Changes = {"archived_at": (lead.archived_at, None)}
            lead.archived_at, lead.updated_at = None, timezone.now()
            if lead.phone and suppressions.is_suppressed(workspace.id, lead.phone):
                lead.opted_out_at = lead.opted_out_at or timezone.now()
            _save(lead)
            timeline.add(lead, "lead.unarchived", "Lead brought back", data={"actor": actor})
            _announce_update(lead, changes, actor)
    return lead


def note(
    workspace: Workspace, lead_id: uuid.UUID, text: str, *, actor: str, call_id: uuid.UUID | None = None
) -> TimelineEntry:
    """Write a note into the timeline (at most 4096 characters; the summary holds its beginning).

    Raises:
        NotFound, InvalidInput.
    """
    cleaned = text.strip()
    if not cleaned:
        raise InvalidInput("a note needs a text", loc=("body", "text"), type_="missing")
    if len(cleaned) > 4096:
        raise InvalidInput("at most 4096 characters", loc=("body", "text"), type_="string_too_long")
    lead = read.get(workspace.id, lead_id)
    return timeline.add(lead, "note", cleaned, call_id=call_id, data={"text": cleaned, "actor": actor})


def opt_out(
    workspace: Workspace,
    lead_id: uuid.UUID,
    *,
    source: str,
    reason: str = "",
    actor: str = "",
    call_id: uuid.UUID | None = None,
) -> Lead:
    """The lead must not be called again. With a number, the number is suppressed too.

    Raises:
        NotFound.
    """
    lead = read.get(workspace.id, lead_id)
    suppressions.add(
        workspace.id, lead.phone, source=source, reason=reason, call_id=call_id, lead_id=lead.id, actor=actor
    )
    lead.refresh_from_db()
    return lead


def write_back(
    lead_id: uuid.UUID,
    *,
    call_id: uuid.UUID,
    called_at: datetime,
    outcome: str,
    qualification: str,
    talked: bool,
    summary: str,
    data: dict[str, Any],
) -> bool:
    """What a call concluded, into the lead: exactly once a call (the timeline row is unique).

    A call that is older than the last one known adds its line to the history and leaves the fields alone.
    False if this call was written back before.
    """
    with transaction.atomic():
        lead = Lead.objects.select_for_update(of=("self",)).select_related("company").get(pk=lead_id)
        try:
            with transaction.atomic():
                timeline.add(lead, "call.verdict", summary, call_id=call_id, data=data)
        except IntegrityError:
            return False
        values: dict[str, Any] = {}
        if lead.last_call_at is None or called_at >= lead.last_call_at:
            values = {"last_call_at": called_at, "last_outcome": outcome}
            values |= _conclusions(lead, qualification, talked=talked)
        changes = assign(lead, values)
        lead.updated_at = timezone.now()
        lead.save()
        _announce_update(lead, changes, f"call:{call_id}", call_id=call_id, once=f"write-back:{call_id}")
    return True


def correct(
    lead_id: uuid.UUID,
    *,
    call_id: uuid.UUID,
    called_at: datetime,
    outcome: str,
    qualification: str,
    was: str,
    summary: str,
    data: dict[str, Any],
    actor: str,
) -> bool:
    """A person corrected what the call concluded: the lead follows, if this call is the last one known.

    `was` is the qualification before. A person's word counts more than a model's: `undetermined` too is
    taken over. False if a later call has had its say; the history has the line either way.
    """
    with transaction.atomic():
        lead = Lead.objects.select_for_update(of=("self",)).select_related("company").get(pk=lead_id)
        timeline.add(lead, "call.verdict_corrected", summary, call_id=call_id, data=data)
        if lead.last_call_at is not None and called_at < lead.last_call_at:
            return False
        values: dict[str, Any] = {"last_outcome": outcome, "qualification": qualification}
        if qualification == "qualified" and lead.stage in (Stage.NEW, Stage.CONTACTED):
            values["stage"] = Stage.QUALIFIED
        elif was == "qualified" != qualification and lead.stage == Stage.QUALIFIED:
            values["stage"] = Stage.CONTACTED
        changes = assign(lead, values)
        if changes:
            lead.updated_at = timezone.now()
            lead.save()
            _announce_update(lead, changes, actor, call_id=call_id)
    return True


def _conclusions(lead: Lead, qualification: str, *, talked: bool) -> dict[str, Any]:
    """Qualification and stage after a call. "Don't know" never overwrites what is known."""
    values: dict[str, Any] = {}
    if qualification and not (qualification == "undetermined" and lead.qualification):
        values["qualification"] = qualification
    if qualification == "qualified" and lead.stage != Stage.CUSTOMER:
        values["stage"] = Stage.QUALIFIED
    elif talked and lead.stage == Stage.NEW:
        values["stage"] = Stage.CONTACTED
    return values


def _lock(workspace_id: uuid.UUID, lead_id: uuid.UUID) -> Lead:
    # The row lock makes before and after of the announced change true under concurrent writers.
    return existing(
        Lead.objects.select_for_update(of=("self",))
        .select_related("company")
        .filter(workspace_id=workspace_id, pk=lead_id)
        .first(),
        "no such lead",
    )


def _with_company(workspace: Workspace, values: dict[str, Any]) -> dict[str, Any]:
    name = values.pop("company_name", None)
    if name:
        values["company_id"] = companies.ensure(workspace, name).id
    return values


def _save(lead: Lead, *, force_insert: bool = False) -> None:
    try:
        with transaction.atomic():
            lead.save(force_insert=force_insert)
    except IntegrityError as exc:
        if twin := read.twin(lead):
            raise Conflict(
                "a lead with this phone or e-mail exists",
                code="duplicate_lead",
                extra={"lead_id": str(twin.id)},
            ) from exc
        raise


def _announce_update(
    lead: Lead,
    changes: Changes,
    actor: str,
    *,
    call_id: uuid.UUID | None = None,
    once: str | None = None,
) -> None:
    events.record(
        workspace_id=lead.workspace_id,
        type="lead.updated",
        data=updated_data(lead, changes, actor),
        call_id=call_id,
        once=once,
    )
