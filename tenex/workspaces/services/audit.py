"""Who did what. Append-only (promises.md R17): nothing here updates or deletes."""

import uuid
from typing import Any

from tenex.workspaces.models import AuditEntry


def record(
    workspace_id: uuid.UUID,
    actor: str,
    action: str,
    *,
    object_type: str = "",
    object_id: object = "",
    data: dict[str, Any] | None = None,
) -> AuditEntry:
    """Write one line, in the transaction of the change that it tells of. Never secrets in `data`."""
    return AuditEntry.objects.create(
        workspace_id=workspace_id,
        actor=actor,
        action=action,
        object_type=object_type,
        object_id=str(object_id),
        data=data or {},
    )
