"""Workspaces with accounts and keys of their own, as rows."""

import json
import secrets
from typing import Any

from tenex.workspaces.models import Workspace
from tenex.workspaces.services import vault
from voice.models import Credential, CredentialKind, PhoneNumber


def twilio(space: Workspace, *, account: str = "", token: str = "", **more: str) -> Credential:
    """An account of the workspace's own, and its numbers in it."""
    account, token = account or "AC" + secrets.token_hex(16), token or secrets.token_hex(16)
    made = _sealed(space, CredentialKind.TWILIO, {"auth_token": token, **more}, account=account)
    PhoneNumber.objects.filter(workspace=space).update(account_sid=account)
    return made


def openai(space: Workspace, key: str = "") -> Credential:
    return _sealed(space, CredentialKind.OPENAI, {"api_key": key or "sk-" + secrets.token_hex(16)})


def _sealed(space: Workspace, kind: CredentialKind, parts: dict[str, str], **fields: Any) -> Credential:
    row = Credential(workspace=space, kind=kind, set_by="system:tests", **fields)
    row.sealed = vault.seal(space.pk, vault.place(row, "sealed"), json.dumps(parts))
    row.endings = {name: secret[-4:] for name, secret in parts.items()}
    row.save()
    return row
