"""Lines of a lead's history."""

import uuid
from collections.abc import Iterable
from typing import Any

from crm.models import Lead, TimelineEntry
from tenex.lib import storable


def add(
    lead: Lead,
    type_: str,
    summary: str,
    *,
    call_id: uuid.UUID | None = None,
    data: dict[str, Any] | None = None,
) -> TimelineEntry:
    """Append one line; `summary` is cut at 500 characters."""
    return TimelineEntry.objects.create(
        workspace_id=lead.workspace_id,
        lead=lead,
        type=type_,
        call_id=call_id,
        summary=storable.text(summary)[:500],
        data=storable.json_value(data or {}),
    )


FORGOTTEN = "(deleted after its retention)"


def forget_calls(call_ids: Iterable[uuid.UUID]) -> int:
    """Take the words out of what these calls wrote into histories; the lines themselves stay. How many."""
    return TimelineEntry.objects.filter(call_id__in=list(call_ids)).update(summary=FORGOTTEN, data={})
