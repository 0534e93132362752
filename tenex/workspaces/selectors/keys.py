"""API keys of a workspace."""

import uuid

from django.db.models import Q, QuerySet

from tenex.errors import NotFound
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
    key = all_of(workspace).filter(which).first() if "\x00" not in name else None
    if key is None:
        raise NotFound("there is no such thing here")
    return key
