"""Reads about batches: the rows, their counters, the result of each lead."""

import uuid
from dataclasses import dataclass, field

from django.db.models import Count, Prefetch, QuerySet

from tenex.errors import NotFound
from tenex.workspaces.models import Workspace
from voice.models import Batch, Call, Recipient, RecipientStatus


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


def all_of(workspace: Workspace) -> QuerySet[Batch]:
    return Batch.objects.filter(workspace=workspace).select_related("agent_version")


def one(workspace: Workspace, batch_id: uuid.UUID) -> Batch:
    """Raises NotFound."""
    row = all_of(workspace).filter(pk=batch_id).first()
    if row is None:
        raise NotFound("there is no such thing here")
    return row


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


def results(batch: Batch) -> QuerySet[Recipient]:
    """One row a lead, with its calls (the newest first) and their verdicts."""
    calls = Call.objects.select_related("verdict").order_by("-created_at", "-id")
    return (
        Recipient.objects.filter(batch=batch)
        .select_related("lead")
        .prefetch_related(Prefetch("calls", queryset=calls))
    )
