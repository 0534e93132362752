"""Numbers that a workspace must not dial. Kept as HMAC only: the list outlives an erased lead."""

import hashlib
import hmac
import uuid
from collections.abc import Callable

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from crm.models import Lead, Suppression, SuppressionSource
from crm.services import timeline
from tenex.events import services as events
from tenex.lib import phone as phones
from tenex.lib import storable

OnStop = Callable[[uuid.UUID, str | None, uuid.UUID | None], None]
_told: list[OnStop] = []
"""Called with workspace, number and lead in the transaction of each `add` (apps above this one)."""


def on_stop(tell: OnStop) -> None:
    """Let `tell` be called for every number and lead that is stopped from now on."""
    if tell not in _told:
        _told.append(tell)


def is_suppressed(workspace_id: uuid.UUID, phone: str) -> bool:
    """Whether this number (any form that reads as E.164) must not be dialled."""
    number = phones.normalize_or_none(phone)
    return (
        number is not None
        and Suppression.objects.filter(workspace_id=workspace_id, phone_hash=digest(number)).exists()
    )


def add(
    workspace_id: uuid.UUID,
    phone: str | None,
    *,
    source: str,
    reason: str = "",
    call_id: uuid.UUID | None = None,
    lead_id: uuid.UUID | None = None,
    actor: str = "",
) -> bool:
    """Never dial this number again. The list's row is the first thing written; all is one transaction.

    Every lead with the number (and `lead_id`, whatever its number) is marked, gets a timeline line and a
    `lead.opted_out` event; a number without a lead gets the event too. A withheld number can't be listed:
    only the lead is marked. False if nothing was new.
    """
    source = SuppressionSource(source)
    number = phones.normalize_or_none(phone) if phone else None
    with transaction.atomic():
        listed = _list(workspace_id, number, source, reason, call_id) if number else False
        for tell in _told:  # before any lead is locked: calls come first
            tell(workspace_id, number, lead_id)
        leads = _mark_leads(workspace_id, number, lead_id)
        for lead in leads:
            timeline.add(
                lead,
                "lead.opted_out",
                f"Asked not to be called again. {reason}".strip(),
                call_id=call_id,
                data={"source": source, "reason": reason, "actor": actor},
            )
        told: list[str | None] = [str(lead.id) for lead in leads]
        if listed and not told:
            told = [str(lead_id) if lead_id else None]
        for told_lead in told:
            events.record(
                workspace_id=workspace_id,
                type="lead.opted_out",
                data={
                    "lead_id": told_lead,
                    "phone_hint": phones.mask(number) if number else None,
                    "source": source,
                    "reason": storable.text(reason)[:300],
                    "call_id": str(call_id) if call_id else None,
                },
                call_id=call_id,
            )
    return listed or bool(leads)


def digest(number: str) -> bytes:
    """HMAC-SHA-256 of an E.164 number under PHONE_HASH_KEY: 32 bytes."""
    return hmac.new(settings.PHONE_HASH_KEY, number.encode("ascii"), hashlib.sha256).digest()


def _list(
    workspace_id: uuid.UUID, number: str, source: SuppressionSource, reason: str, call_id: uuid.UUID | None
) -> bool:
    _, created = Suppression.objects.get_or_create(
        workspace_id=workspace_id,
        phone_hash=digest(number),
        defaults={
            "phone_hint": phones.mask(number),
            "source": source,
            "reason": storable.text(reason)[:300],
            "call_id": call_id,
        },
    )
    return created


def _mark_leads(workspace_id: uuid.UUID, number: str | None, lead_id: uuid.UUID | None) -> list[Lead]:
    """Mark whoever is not marked yet; in id order, so that two markers cannot block each other."""
    which = Q(pk=lead_id) if lead_id else Q(pk__in=())
    if number:
        which |= Q(phone=number)
    leads = list(
        Lead.objects.select_for_update()
        .filter(which, workspace_id=workspace_id, opted_out_at=None)
        .order_by("pk")
    )
    now = timezone.now()
    Lead.objects.filter(pk__in=[lead.pk for lead in leads]).update(opted_out_at=now, updated_at=now)
    return leads
