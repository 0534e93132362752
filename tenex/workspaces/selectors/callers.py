"""Who calls: workspaces of one legal name are one caller, whose stops and limits hold in all of them."""

import uuid

from tenex.workspaces.models import Workspace


def workspace_ids(workspace: Workspace) -> list[uuid.UUID]:
    """The workspaces of the same caller, this one among them; without a legal name it stands alone."""
    if not workspace.legal_name:
        return [workspace.pk]
    same = Workspace.objects.filter(legal_name__iexact=workspace.legal_name)
    return sorted({workspace.pk, *same.order_by().values_list("pk", flat=True)})
