"""Reading consents: what holds, and what is over."""

import uuid
from datetime import datetime

from django.db.models import QuerySet

from crm.models import Consent
from crm.selectors import leads

STATES = ("active", "expired", "revoked", "not_yet")


def of_lead(workspace_id: uuid.UUID, lead_id: uuid.UUID) -> QuerySet[Consent]:
    """A lead's consents, the newest record first.

    Raises:
        NotFound: no such lead.
    """
    return Consent.objects.filter(workspace_id=workspace_id, lead=leads.get(workspace_id, lead_id))


def state(consent: Consent, now: datetime) -> str:
    """One of STATES."""
    if consent.revoked_at is not None:
        return "revoked"
    if consent.expires_at is not None and consent.expires_at <= now:
        return "expired"
    return "active" if consent.given_at <= now else "not_yet"
