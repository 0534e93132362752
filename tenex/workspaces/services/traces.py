"""What the platform itself has written down about somebody: answers to requests, audit data."""

from collections.abc import Sequence
from typing import Final

import orjson
from cryptography.fernet import InvalidToken
from django.db import connection

from tenex.errors import Gone
from tenex.workspaces.models import IdempotentRequest, Workspace
from tenex.workspaces.services import answers

_ERASED: Final = Gone("the answer was about a person who was erased since", code="answer_erased")
_AT_ONCE: Final = 500


def forget(workspace: Workspace, needles: Sequence[str]) -> dict[str, int]:
    """Take texts out of the kept answers and the audit log of a workspace, in the caller's transaction; rows
    by kind.

    A request that was answered stays answered: the same key does not make them anew. An audit entry stays,
    with who did what and when; only its data goes.
    """
    patterns = [f"%{_literal(needle)}%" for needle in needles]
    emptied = _empty_answers(workspace, needles)
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM workspaces_idempotentrequest WHERE workspace_id = %s AND key ILIKE ANY(%s)",
            [workspace.pk, patterns],
        )
        deleted = cursor.rowcount
        cursor.execute(
            "UPDATE workspaces_auditentry SET data = '{\"erased\": true}'"
            " WHERE workspace_id = %s AND data::text ILIKE ANY(%s)",
            [workspace.pk, patterns],
        )
        return {"answers": emptied + deleted, "audit_data": cursor.rowcount}


def _empty_answers(workspace: Workspace, needles: Sequence[str]) -> int:
    """They are encrypted, so each has to be opened: those of 72 hours."""
    wanted = [needle.lower().encode() for needle in needles]
    kept = IdempotentRequest.objects.filter(workspace=workspace, status__isnull=False)
    found = [
        pk
        for pk, body in kept.values_list("pk", "body").iterator(chunk_size=_AT_ONCE)
        if _holds(body, wanted)
    ]
    told = orjson.dumps({"detail": _ERASED.detail, "code": _ERASED.code})
    return IdempotentRequest.objects.filter(pk__in=found).update(
        status=_ERASED.status, body=answers.seal(told)
    )


def _holds(body: str, wanted: Sequence[bytes]) -> bool:
    try:
        plain = answers.opened(body).lower()
    except InvalidToken:  # of a key that is gone: nobody reads it any more
        return False
    return any(needle in plain for needle in wanted)


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
