"""Reads about batches: the rows, their counters, the result of each lead."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, Exists, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import JSONObject

from tenex.errors import existing
from tenex.workspaces.models import Workspace
from voice.models import (
    Batch,
    BatchUpload,
    BatchVersion,
    Call,
    DialAttempt,
    Recipient,
    RecipientStatus,
)


@dataclass(slots=True)
class Counters:
    """How far a batch is. The five states add up to `total`."""

    total: int = 0
    pending: int = 0
    calling: int = 0
    done: int = 0
    refused: int = 0
    canceled: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)


_OF_DIAL = ("number", "state", "posted_at", "resolved_at", "http_status", "error_code")


def all_of(workspace: Workspace) -> QuerySet[Batch]:
    """With their split, and whether a file is still being put in (`files_open`)."""
    versions = BatchVersion.objects.select_related("agent_version").order_by("agent_version__number")
    return (
        Batch.objects.filter(workspace=workspace)
        .select_related("agent_version")
        .prefetch_related(Prefetch("versions", queryset=versions))
        .annotate(files_open=Exists(BatchUpload.objects.filter(batch=OuterRef("pk"), done_at=None)))
    )


def named(workspace: Workspace, *, at_most: int = 100) -> QuerySet[Batch]:
    """The newest ones with their names only, to choose from."""
    return Batch.objects.filter(workspace=workspace).only("name", "created_at")[:at_most]


def one(workspace: Workspace, batch_id: uuid.UUID) -> Batch:
    """Raises NotFound."""
    return existing(all_of(workspace).filter(pk=batch_id).first())


def counters(batch_ids: list[uuid.UUID]) -> dict[uuid.UUID, Counters]:
    """Counters of several batches, in one query."""
    found = {batch_id: Counters() for batch_id in batch_ids}
    rows = (
        Recipient.objects.filter(batch_id__in=batch_ids)
        .order_by()
        .values_list("batch_id", "status", "outcome")
        .annotate(n=Count("pk"))
    )
    for batch_id, status, outcome, n in rows:
        one_batch = found[batch_id]
        one_batch.total += n
        match RecipientStatus(status):
            case RecipientStatus.PENDING:
                one_batch.pending += n
            case RecipientStatus.CALLING:
                one_batch.calling += n
            case RecipientStatus.DONE:
                one_batch.done += n
            case RecipientStatus.REFUSED:
                one_batch.refused += n
            case RecipientStatus.CANCELED:
                one_batch.canceled += n
        if outcome:
            one_batch.outcomes[outcome] = one_batch.outcomes.get(outcome, 0) + n
    return found


def whole(workspace: Workspace, batch_id: uuid.UUID) -> Batch:
    """With all that a decision about its leads asks for. Raises NotFound."""
    parts = ("workspace", "agent__current_version__agent", "agent_version__agent", "number")
    return existing(all_of(workspace).select_related(*parts).filter(pk=batch_id).first())


def uploads(batch: Batch) -> list[BatchUpload]:
    return list(batch.uploads.select_related("lead_import")[:20])


def names(workspace: Workspace, batch_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """What these are called."""
    rows = Batch.objects.filter(workspace=workspace, pk__in=batch_ids).only("name")
    return {row.pk: str(row) for row in rows}


def recipient(batch: Batch, recipient_id: uuid.UUID) -> Recipient:
    """Raises NotFound."""
    return existing(results(batch).filter(pk=recipient_id).first())


def results(batch: Batch) -> QuerySet[Recipient]:
    """One row a lead and callback, with its calls (the newest first), their verdicts and dials.

    `callback_status` and `callback_next_at` are of the callback that one of these calls gave rise to.
    """
    dials = DialAttempt.objects.filter(call=OuterRef("pk")).order_by("number")
    calls = (
        Call.objects.select_related("verdict", "agent_version")
        .annotate(dials=ArraySubquery(dials.values(json=JSONObject(**{name: name for name in _OF_DIAL}))))
        .order_by("-created_at", "-id")
    )
    later = Recipient.objects.filter(callback_of__recipient=OuterRef("pk")).order_by("-created_at")
    return (
        Recipient.objects.filter(batch=batch)
        .select_related("lead")
        .annotate(
            callback_status=Subquery(later.values("status")[:1]),
            callback_next_at=Subquery(later.values("next_at")[:1]),
        )
        .prefetch_related(Prefetch("calls", queryset=calls))
    )
