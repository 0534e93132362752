"""Reading decisions: why somebody was called, or was not."""

from django.db.models import QuerySet

from tenex.workspaces.models import Workspace
from voice.models import Decision


def all_of(workspace: Workspace) -> QuerySet[Decision]:
    """The workspace's, the newest first."""
    return Decision.objects.filter(workspace=workspace)
