"""The lead of a call. A caller whom nobody knows becomes one as soon as there is something to write down."""

import uuid

from django.db import transaction

from crm.models import Lead
from crm.selectors import leads as read
from crm.services import leads
from tenex.errors import Conflict
from tenex.events import services as events
from tenex.lib import phone as phones
from voice.models import Call, Direction


def ensure(call_id: uuid.UUID) -> Lead:
    """The call's lead, made from the number of the other side if there is none yet.

    The call's row lock comes first, as everywhere: call, then lead, then the event counter.
    """
    with transaction.atomic():
        call = (
            Call.objects.select_for_update(of=("self",)).select_related("workspace", "lead").get(pk=call_id)
        )
        if call.lead is not None:
            return call.lead
        lead = _find_or_create(call)
        Call.objects.filter(pk=call_id).update(lead=lead)
    return lead


def _find_or_create(call: Call) -> Lead:
    number = phones.normalize_or_none(call.remote_number)
    if number and (known := read.by_phone(call.workspace_id, number)):
        return known
    source = "inbound call" if call.direction == Direction.INBOUND else "outbound call"
    try:
        return leads.create(call.workspace, actor=f"call:{call.pk}", phone=number, source=source)
    except Conflict as exc:  # somebody else added this number just now
        return read.get(call.workspace_id, uuid.UUID(exc.extra["lead_id"]))


def of_ringing(call: Call) -> tuple[uuid.UUID, events.Fact | None]:
    """The lead of a call that is about to be written, in that transaction; a new one comes with its fact.

    Raises:
        IntegrityError: as :func:`crm.services.leads.meet`.
    """
    if known := read.id_by_phone(call.workspace_id, call.from_number):
        return known, None
    lead, fact = leads.meet(
        call.workspace_id, call.from_number, source="inbound call", actor=f"call:{call.pk}"
    )
    return lead.pk, fact
