"""API keys of a workspace."""

import uuid

from django.db.models import Q, QuerySet

from tenex.errors import existing
from tenex.workspaces.models import ApiKey, Workspace


def all_of(workspace: Workspace) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(workspace=workspace)


def find(workspace: Workspace, name: str) -> ApiKey:
    """By id or by prefix.

    Raises:
        NotFound: no such key in this workspace.
    """
    try:
        which = Q(pk=uuid.UUID(name))
    except ValueError:
        which = Q(prefix=name)
    return existing(all_of(workspace).filter(which).first() if "\x00" not in name else None)
