"""Reading companies (`organization` on the wire)."""

import uuid

from django.db.models import QuerySet

from crm.models import Company
from tenex.errors import existing


def all_of(workspace_id: uuid.UUID) -> QuerySet[Company]:
    return Company.objects.filter(workspace_id=workspace_id)


def get(workspace_id: uuid.UUID, company_id: uuid.UUID) -> Company:
    """
    Raises:
        NotFound: not there, or of another workspace.
    """
    return existing(all_of(workspace_id).filter(pk=company_id).first(), "no such organization")
