"""How recordings of a workspace lie, and which of them something is wrong with."""

import uuid
from dataclasses import dataclass

from django.db.models import Count, QuerySet, Sum

from tenex.errors import existing
from tenex.workspaces.models import Workspace
from voice.models import AtRest, Recording, RecordingStatus

_KEPT = (RecordingStatus.PENDING, RecordingStatus.STORED, RecordingStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Lying:
    """Stored recordings that are encrypted alike."""

    at_rest: AtRest
    files: int
    size_bytes: int


def one(workspace: Workspace, recording_id: uuid.UUID) -> Recording:
    """Raises:
    NotFound: none such in this workspace.
    """
    return existing(Recording.objects.filter(workspace=workspace, pk=recording_id).first())


def troubled(workspace: Workspace) -> QuerySet[Recording]:
    """Recordings that something is wrong with, the newest first."""
    rows = Recording.objects.filter(workspace=workspace, status__in=_KEPT).exclude(problem="")
    return rows.select_related("call__lead").order_by("-created_at")


def lying(workspace: Workspace) -> list[Lying]:
    """How what is stored is encrypted."""
    rows = Recording.objects.filter(workspace=workspace, status=RecordingStatus.STORED)
    sums = rows.order_by("at_rest").values("at_rest").annotate(files=Count("pk"), size=Sum("size_bytes"))
    return [Lying(AtRest(one["at_rest"]), one["files"], one["size"] or 0) for one in sums]
