"""Writing a workspace's settings."""

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from tenex.errors import InvalidInput
from tenex.lib import phone
from tenex.workspaces.models import CallingRules, Workspace
from tenex.workspaces.services import audit, vault


def create(data: dict[str, Any], actor: str) -> Workspace:
    """A workspace of its own; `data` are its settings, `name` and `slug` among them.

    Raises:
        InvalidInput: as :func:`update`.
    """
    named = {name: data[name] for name in ("name", "slug")}
    rest = {name: value for name, value in data.items() if name not in named}
    with transaction.atomic():
        made = Workspace.objects.create(**named)
        give_secret(made)
        audit.record(made.pk, actor, "workspace.created", object_type="workspace", object_id=made.pk)
        return update(made, rest, actor)


def update(workspace: Workspace, data: dict[str, Any], actor: str) -> Workspace:
    """Change settings; `calling_paused` true or false sets or lifts the kill switch.

    Raises:
        InvalidInput: the calling window is empty, the transfer number is not a phone number, or the calling
            rules are loosened without a reason.
    """
    fields = dict(data)
    reason = fields.pop("calling_rules_reason", "")
    if _loosens(workspace, fields) and not reason:
        raise InvalidInput("say why", loc=("body", "calling_rules_reason"), type_="missing")
    if "legal_name" in fields:
        fields["legal_name"] = " ".join(fields["legal_name"].split())
    if "calling_paused" in fields:
        paused = fields.pop("calling_paused")
        fields["calling_paused_at"] = (workspace.calling_paused_at or timezone.now()) if paused else None
    if fields.get("transfer_number"):
        fields["transfer_number"] = phone.normalize(
            fields["transfer_number"],
            region=fields.get("default_region", workspace.default_region),
            loc=("body", "transfer_number"),
        )
    start = fields.get("calling_window_start", workspace.calling_window_start)
    end = fields.get("calling_window_end", workspace.calling_window_end)
    if start >= end and fields.keys() & {"calling_window_start", "calling_window_end"}:
        raise InvalidInput("the calling window must end after it starts", loc=("body", "calling_window_end"))
    before = {name: getattr(workspace, name) for name in fields}
    for name, value in fields.items():
        setattr(workspace, name, value)
    with transaction.atomic():
        if fields:
            workspace.save(update_fields=list(fields))
        audit.record(
            workspace.id,
            actor,
            "workspace.updated",
            object_type="workspace",
            object_id=workspace.id,
            data={
                "fields": sorted(data),
                "before": {name: _said(value) for name, value in before.items()},
                "after": {name: _said(value) for name, value in fields.items()},
                **({"reason": reason} if reason else {}),
            },
        )
    return workspace


def give_secret(workspace: Workspace) -> None:
    """Its first secret for webhooks. It is shown when it is asked for: with a subscription, or a rotation."""
    workspace.webhook_secret_sealed = vault.seal(
        workspace.pk, vault.place(workspace, "webhook_secret_sealed"), get_random_string(48)
    )
    workspace.save(update_fields=["webhook_secret_sealed"])


def _loosens(workspace: Workspace, fields: dict[str, Any]) -> bool:
    legal = fields.get("calling_rules") == CallingRules.LEGAL
    return legal and workspace.calling_rules != CallingRules.LEGAL


def _said(value: object) -> object:
    """A setting as the audit keeps it."""
    return value if value is None or isinstance(value, bool | int | float | str | list | dict) else str(value)
