"""What the platform itself has written down about somebody: answers to requests, audit data."""

from collections.abc import Sequence

from django.db import connection

from tenex.workspaces.models import Workspace


def forget(workspace: Workspace, needles: Sequence[str]) -> dict[str, int]:
    """Take texts out of the kept answers and the audit log of a workspace; rows by kind.

    An audit entry stays, with who did what and when; only its data goes.
    """
    patterns = [f"%{_literal(needle)}%" for needle in needles]
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM workspaces_idempotentrequest WHERE workspace_id = %s"
            " AND (body ILIKE ANY(%s) OR key ILIKE ANY(%s))",
            [workspace.pk, patterns, patterns],
        )
        answers = cursor.rowcount
        cursor.execute(
            "UPDATE workspaces_auditentry SET data = '{\"erased\": true}'"
            " WHERE workspace_id = %s AND data::text ILIKE ANY(%s)",
            [workspace.pk, patterns],
        )
        return {"answers": answers, "audit_data": cursor.rowcount}


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
