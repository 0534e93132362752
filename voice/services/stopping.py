"""A number that must not be called any more: calls to it that are under way end, whatever they wait for.

The rows say so first (`end_hint`), in the transaction of the suppression itself: a queued call is not dialed,
the fence of one that is being dialed does not fall, and the sweeper hangs up what rings. Telling the carrier
at once is a courtesy on top. Whoever talks with us already goes on talking.
"""

import uuid

from django.db.models import Q
from django.utils import timezone

from crm.services import suppressions
from tenex.lib.wake import wake
from voice.models import Call, CallStatus, Direction, EndReason

_BEFORE_TALK = (CallStatus.QUEUED, CallStatus.DIALING, CallStatus.RINGING)


def is_stopped(call: Call) -> bool:
    """Whether the number of this call was suppressed meanwhile."""
    return call.direction == Direction.OUTBOUND and suppressions.is_suppressed(
        call.workspace_id, call.to_number
    )


def stop_calls(workspace_id: uuid.UUID, e164: str | None, lead_id: uuid.UUID | None) -> None:
    """In the transaction that suppresses the number or the lead."""
    who = Q(pk__in=())
    if e164:
        who |= Q(to_number=e164)
    if lead_id:
        who |= Q(lead_id=lead_id)
    under_way = Call.objects.filter(
        who, workspace_id=workspace_id, direction=Direction.OUTBOUND, status__in=_BEFORE_TALK
    )
    ids = list(under_way.order_by("pk").select_for_update().values_list("pk", flat=True))
    if not ids:
        return
    hinted = Call.objects.filter(pk__in=ids, status__in=_BEFORE_TALK)
    hinted.filter(end_hint="").update(end_hint=EndReason.CANCELED)
    hinted.exclude(status=CallStatus.QUEUED).update(sweep_at=timezone.now())
    at_carrier = hinted.exclude(provider_sid=None)
    for sid, account_sid in at_carrier.values_list("provider_sid", "account_sid"):
        wake("voice.outbound.drop", sid, str(workspace_id), account_sid)
    wake("voice.sweep")
