"""What leads have agreed to: written once, revoked once, never edited."""

import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from crm.models import Consent, ConsentPurpose, Lead
from crm.selectors import leads as read
from crm.services import timeline
from crm.services.lead_changes import updated_data
from tenex.errors import InvalidInput, NotFound
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


def revoke(
    workspace: Workspace, lead_id: uuid.UUID, consent_id: uuid.UUID, *, reason: str = "", actor: str
) -> Consent:
    """End an agreement from now on. Doing it twice changes nothing.

    Raises:
        NotFound.
    """
    with transaction.atomic():
        lead = read.get(workspace.id, lead_id)
        consent = (
            Consent.objects.select_for_update().filter(workspace=workspace, lead=lead, pk=consent_id).first()
        )
        if consent is None:
            raise NotFound("no such consent")
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
