"""What was promised to a lead."""

import uuid
from datetime import datetime

from django.db import transaction

from crm.models import FollowUp, FollowUpStatus, Lead
from crm.services import timeline
from tenex.errors import NotFound
from tenex.lib import storable


def schedule(
    lead: Lead,
    *,
    due_at: datetime | None,
    note: str = "",
    kind: str = "callback",
    call_id: uuid.UUID | None = None,
) -> FollowUp:
    """Promise a follow-up. A call has one of each kind: asking again moves it."""
    with transaction.atomic():
        values = {"due_at": due_at, "note": storable.text(note)[:500], "status": FollowUpStatus.OPEN}
        if call_id is None:
            row = FollowUp.objects.create(workspace_id=lead.workspace_id, lead=lead, kind=kind, **values)
            changed = True
        else:
            row, changed = FollowUp.objects.select_for_update().get_or_create(
                call_id=call_id,
                kind=kind,
                defaults={"workspace_id": lead.workspace_id, "lead": lead, **values},
            )
            if not changed and (row.due_at != due_at or row.note != values["note"]):
                FollowUp.objects.filter(pk=row.pk).update(**values)
                row.refresh_from_db()
                changed = True
        if changed:
            when = due_at.isoformat() if due_at else "no time named"
            timeline.add(
                lead,
                "follow_up.scheduled",
                f"{kind.capitalize()} promised: {when}",
                call_id=call_id,
                data={"follow_up_id": str(row.id), "due_at": due_at.isoformat() if due_at else None},
            )
    return row


def close(workspace_id: uuid.UUID, follow_up_id: uuid.UUID, status: FollowUpStatus) -> None:
    """Mark a follow-up as done or canceled.

    Raises:
        NotFound.
    """
    if not FollowUp.objects.filter(workspace_id=workspace_id, pk=follow_up_id).update(status=status):
        raise NotFound("no such follow-up")


def settle_callback(workspace_id: uuid.UUID, call_id: uuid.UUID, status: FollowUpStatus) -> bool:
    """The callback that a call promised is done, or will not be; once, with a line in the lead's history."""
    with transaction.atomic():
        row = (
            FollowUp.objects.select_for_update(of=("self",))
            .select_related("lead")
            .filter(workspace_id=workspace_id, call_id=call_id, kind="callback", status=FollowUpStatus.OPEN)
            .first()
        )
        if row is None:
            return False
        row.status = status
        row.save(update_fields=["status"])
        timeline.add(
            row.lead,
            f"follow_up.{status}",
            f"Callback {'made' if status == FollowUpStatus.DONE else 'canceled'}",
            call_id=call_id,
            data={"follow_up_id": str(row.id)},
        )
    return True
