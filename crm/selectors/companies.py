"""Reading companies (`organization` on the wire)."""

import uuid

from django.db.models import QuerySet

from crm.models import Company
from tenex.errors import NotFound


def all_of(workspace_id: uuid.UUID) -> QuerySet[Company]:
    return Company.objects.filter(workspace_id=workspace_id)


def get(workspace_id: uuid.UUID, company_id: uuid.UUID) -> Company:
    """
    Raises:
        NotFound: not there, or of another workspace.
    """
    found = all_of(workspace_id).filter(pk=company_id).first()
    if found is None:
        raise NotFound("no such organization")
    return found
