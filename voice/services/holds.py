"""Legal holds: what must not be deleted, whatever its retention is."""

import uuid

from django.db import transaction
from django.utils import timezone

from crm.models import Lead
from tenex.errors import Conflict, InvalidInput, NotFound
from tenex.lib.wake import wake
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.models import Call, LegalHold

REASON_CHARS_LEAST = 3
REASON_CHARS = 300


def worded(reason: str) -> str:
    """A reason as it is kept.

    Raises:
        InvalidInput: too short to be one, or too long.
    """
    text = " ".join(reason.split())
    if not REASON_CHARS_LEAST <= len(text) <= REASON_CHARS:
        raise InvalidInput(
            "say why in 3 to 300 characters: it is kept with who held it",
            loc=("body", "reason"),
            type_="reason",
        )
    return text


def hold(
    workspace: Workspace,
    *,
    reason: str,
    actor: str,
    call_id: uuid.UUID | None = None,
    lead_id: uuid.UUID | None = None,
) -> LegalHold:
    """Keep one call, all calls of one lead, or (without either) everything of the workspace.

    Raises:
        InvalidInput: as :func:`worded`. NotFound: no such call or lead in this workspace.
    """
    reason = worded(reason)
    if call_id and not Call.objects.filter(workspace=workspace, pk=call_id).exists():
        raise NotFound("there is no such call here")
    if lead_id and not Lead.objects.filter(workspace=workspace, pk=lead_id).exists():
        raise NotFound("there is no such lead here")
    with transaction.atomic():
        made = LegalHold.objects.create(
            workspace=workspace, call_id=call_id, lead_id=lead_id, reason=reason, held_by=actor
        )
        _audit(made, actor, "retention.held")
    return made


def release(made: LegalHold, *, actor: str) -> None:
    """Retention goes on, at once for what is past and for erasures that waited for it.

    Raises:
        Conflict: it was released before.
    """
    with transaction.atomic():
        released = LegalHold.objects.filter(pk=made.pk, released_at=None).update(released_at=timezone.now())
        if not released:
            raise Conflict("this hold was released before", code="hold_released")
        _audit(made, actor, "retention.released")
        wake("voice.persons.erase")


def _audit(made: LegalHold, actor: str, action: str) -> None:
    data = {
        "call_id": str(made.call_id) if made.call_id else None,
        "lead_id": str(made.lead_id) if made.lead_id else None,
        "reason": made.reason,
    }
    audit.record(made.workspace_id, actor, action, object_type="legal_hold", object_id=made.pk, data=data)
