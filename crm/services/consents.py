"""What leads have agreed to: written once, revoked once, never edited."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from crm.imports.columns import Agreed
from crm.models import Consent, ConsentPurpose, Lead, TimelineEntry
from crm.selectors import leads as read
from crm.services import timeline
from crm.services.lead_changes import updated_data
from tenex.errors import InvalidInput, existing
from tenex.events import services as events
from tenex.lib import storable
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit

_SKEW = timedelta(minutes=5)


def add(
    workspace: Workspace,
    lead_id: uuid.UUID,
    *,
    purpose: str,
    source: str,
    proof: str = "",
    given_at: datetime,
    expires_at: datetime | None = None,
    actor: str,
) -> Consent:
    """Record an agreement: the row, a line of the timeline, an audit line, `lead.updated`.

    Raises:
        NotFound: no such lead.
        InvalidInput: given in the future, or over before it began.
    """
    lead = read.get(workspace.id, lead_id)
    if given_at > timezone.now() + _SKEW:
        raise InvalidInput("must not be in the future", loc=("body", "given_at"), type_="in_the_future")
    if expires_at is not None and expires_at <= given_at:
        raise InvalidInput("must be after given_at", loc=("body", "expires_at"), type_="in_the_past")
    with transaction.atomic():
        consent = Consent.objects.create(
            workspace=workspace,
            lead=lead,
            purpose=ConsentPurpose(purpose),
            source=storable.text(source),
            proof=storable.text(proof),
            given_at=given_at,
            expires_at=expires_at,
            recorded_by=actor,
        )
        _tell(lead, consent, actor, "given", f"Consent to {purpose} calls recorded ({source})")
    return consent


def import_many(
    workspace: Workspace,
    given: Sequence[tuple[uuid.UUID, Agreed]],
    *,
    actor: str,
    import_id: uuid.UUID,
) -> int:
    """Consents out of a file, in the transaction that reads it; how many were new.

    One that is known (the same lead, purpose and instant) stays as it is, also if it was revoked. A line of
    each lead's timeline, one line of the audit log; whoever follows the leads hears of them by the import.
    """
    if not given:
        return 0
    rows = Consent.objects.filter(workspace=workspace, lead__in={lead_id for lead_id, _ in given})
    known = set(rows.values_list("lead_id", "purpose", "given_at"))
    new: dict[tuple[uuid.UUID, str, datetime], Consent] = {}
    for lead_id, one in given:
        key = (lead_id, str(one.purpose), one.given_at)
        if key not in known:
            new[key] = Consent(
                workspace=workspace,
                lead_id=lead_id,
                purpose=one.purpose,
                source=one.source,
                proof=one.proof,
                given_at=one.given_at,
                recorded_by=actor,
            )
    Consent.objects.bulk_create(new.values())
    TimelineEntry.objects.bulk_create(
        TimelineEntry(
            workspace=workspace,
            lead_id=one.lead_id,
            type="consent.given",
            summary=f"Consent to {one.purpose} calls recorded ({one.source})",
            data={"consent_id": str(one.pk), "purpose": one.purpose, "actor": actor},
        )
        for one in new.values()
    )
    if new:
        audit.record(
            workspace.pk,
            actor,
            "consent.imported",
            object_type="lead_import",
            object_id=import_id,
            data={"consents": len(new)},
        )
    return len(new)


def revoke(
    workspace: Workspace, lead_id: uuid.UUID, consent_id: uuid.UUID, *, reason: str = "", actor: str
) -> Consent:
    """End an agreement from now on. Doing it twice changes nothing.

    Raises:
        NotFound.
    """
    with transaction.atomic():
        lead = read.get(workspace.id, lead_id)
        consent = existing(
            Consent.objects.select_for_update().filter(workspace=workspace, lead=lead, pk=consent_id).first(),
            "no such consent",
        )
        if consent.revoked_at is None:
            consent.revoked_at = max(timezone.now(), consent.given_at)
            consent.revoked_reason = storable.text(reason)[:300]
            consent.save(update_fields=["revoked_at", "revoked_reason"])
            _tell(lead, consent, actor, "revoked", f"Consent to {consent.purpose} calls revoked. {reason}")
    return consent


def _tell(lead: Lead, consent: Consent, actor: str, what: str, summary: str) -> None:
    data = {"consent_id": str(consent.id), "purpose": consent.purpose}
    timeline.add(lead, f"consent.{what}", summary.strip(), data={**data, "actor": actor})
    audit.record(
        lead.workspace_id,
        actor,
        f"consent.{what}",
        object_type="lead",
        object_id=lead.pk,
        data={**data, "source": consent.source},
    )
    change = {"consent": (None, consent.purpose) if what == "given" else (consent.purpose, None)}
    events.record(workspace_id=lead.workspace_id, type="lead.updated", data=updated_data(lead, change, actor))
