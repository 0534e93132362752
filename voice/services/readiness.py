"""Whether an agent could talk at all right now."""

import uuid

from django.db.models import Q

from voice.models import Call, CallStatus
from voice.models.calls import Direction

_ON_THE_PHONE = Q(status__in=(CallStatus.DIALING, CallStatus.RINGING, CallStatus.IN_PROGRESS))


def lines_in_use(workspace_id: uuid.UUID) -> int:
    """Calls of the workspace that take a line: everything live that is not merely queued."""
    return Call.objects.filter(_ON_THE_PHONE, workspace_id=workspace_id).count()


def on_the_phone(workspace_id: uuid.UUID, e164: str) -> bool:
    """Whether an outbound call to this number is under way."""
    return Call.objects.filter(
        _ON_THE_PHONE, workspace_id=workspace_id, direction=Direction.OUTBOUND, to_number=e164
    ).exists()
