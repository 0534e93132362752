"""The secrets that sign deliveries: sealed at rest, opened to sign and where a new one is shown.

Earlier releases kept them in plain. A row that still has a plain one goes by it, because only such a release
writes those: it may have rotated the secret a moment ago. What is left of them is sealed as soon as no
process of that release can be running any more.
"""

import uuid
from datetime import timedelta
from typing import Final

import structlog
from django.db import models, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from tenex.webhooks.models import RetiringSecret, WebhookSubscription
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import vault

EARLIER_RELEASE: Final = timedelta(hours=1)
"""After a migration of this app. By then its processes have been restarted (docs/runbook.md, Upgrading)."""
_BATCH: Final = 500

log = structlog.get_logger(__name__)

COLUMNS: Final[tuple[tuple[type[models.Model], str, str], ...]] = (
    (Workspace, "webhook_secret", "pk"),
    (RetiringSecret, "secret", "workspace_id"),
    (WebhookSubscription, "secret", "workspace_id"),
    (WebhookSubscription, "previous_secret", "workspace_id"),
)
"""Model, plain column and the field with the workspace's id; the sealed column is `<plain>_sealed`."""


def register() -> None:
    for model, column, workspace in COLUMNS:
        vault.register(model, f"{column}_sealed", workspace=workspace)


def of(row: models.Model, column: str, workspace_id: uuid.UUID) -> str:
    """A secret in plain; empty if there is none.

    Raises:
        vault.Unreadable: it cannot be opened with the keys of this installation.
    """
    plain: str = getattr(row, column)
    if plain:
        return plain
    sealed: str = getattr(row, f"{column}_sealed")
    return vault.unseal(workspace_id, vault.place(row, f"{column}_sealed"), sealed) if sealed else ""


def of_subscription(row: WebhookSubscription) -> str:
    """As :func:`of`."""
    return of(row, "secret", row.workspace_id)


def of_workspace(workspace: Workspace) -> str:
    """As :func:`of`."""
    return of(workspace, "webhook_secret", workspace.pk)


def put(row: models.Model, column: str, workspace_id: uuid.UUID, secret: str) -> list[str]:
    """Set a secret of a row that is about to be saved; the fields that changed. Empty takes it away."""
    sealed = vault.seal(workspace_id, vault.place(row, f"{column}_sealed"), secret) if secret else ""
    setattr(row, column, "")
    setattr(row, f"{column}_sealed", sealed)
    return [column, f"{column}_sealed"]


def seal_plain(*, at_once: bool = False) -> int:
    """Seal what an earlier release left in plain, once it runs no more (`at_once`: it does not); how many."""
    if not at_once and not _earlier_release_is_gone():
        return 0
    return sum(_seal_column(*column) for column in COLUMNS)


def _earlier_release_is_gone() -> bool:
    applied = MigrationRecorder.Migration.objects.filter(app="webhooks").aggregate(at=models.Max("applied"))
    return applied["at"] is not None and applied["at"] < timezone.now() - EARLIER_RELEASE


def _seal_column(model: type[models.Model], column: str, workspace: str) -> int:
    sealed = 0
    for row in model._default_manager.exclude(**{column: ""}).order_by("pk").iterator(_BATCH):
        plain = getattr(row, column)
        try:
            with transaction.atomic():
                put(row, column, getattr(row, workspace), plain)
                # Whoever rotates it this moment wins; the next run sees what they wrote.
                sealed += model._default_manager.filter(**{"pk": row.pk, column: plain}).update(
                    **{column: "", f"{column}_sealed": getattr(row, f"{column}_sealed")}
                )
        except vault.Unreadable as exc:
            log.error("secret not sealed", place=vault.place(row, column), reason=exc.detail)
    return sealed
