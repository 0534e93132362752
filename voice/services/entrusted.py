"""Credentials of workspaces as the system uses them: opened, in memory for as long as one use lasts.

Queries and opens; never on an event loop. A live call has what it needs in its context (voice.services.live).
"""

import json
import time
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from tenex.lib import redact
from tenex.workspaces.services import vault
from voice.models import Credential, CredentialKind

_NOTE_EVERY_S: Final = 60.0
_noted: dict[uuid.UUID, float] = {}


@dataclass(frozen=True, slots=True)
class Entrusted:
    """A credential in plain. `secrets` by part: `auth_token`, `api_key_secret`, `api_key`, …"""

    account: str
    project: str
    api_key_sid: str
    secrets: dict[str, str] = field(repr=False)


def load(workspace_id: uuid.UUID, kind: CredentialKind) -> Entrusted | None:
    """The workspace's own; None if it has none and uses that of the settings.

    Raises:
        vault.Unreadable: it has one that cannot be opened. Never fall back then: a workspace that has an
            account of its own is not billed to another.
    """
    row = Credential.objects.filter(workspace_id=workspace_id, kind=kind).first()
    if row is None:
        return None
    opened = open_row(row)
    _note(row.pk)
    return opened


def open_row(row: Credential) -> Entrusted:
    """As :func:`load`, of a row that is at hand."""
    parts = json.loads(vault.unseal(row.workspace_id, vault.place(row, "sealed"), row.sealed))
    for secret in parts.values():
        redact.remember(secret)
    return Entrusted(row.account, row.project, row.api_key_sid, dict(parts))


def has(workspace_id: uuid.UUID, kind: CredentialKind) -> bool:
    return Credential.objects.filter(workspace_id=workspace_id, kind=kind).exists()


def _note(pk: uuid.UUID) -> None:
    """When it was last used, at most once a minute and process."""
    now_s = time.monotonic()
    if now_s - _noted.get(pk, -_NOTE_EVERY_S) < _NOTE_EVERY_S:
        return
    _noted[pk] = now_s
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - timedelta(seconds=_NOTE_EVERY_S))
    Credential.objects.filter(stale, pk=pk).update(last_used_at=now)
