"""Reading imports of leads."""

import uuid

from django.db.models import QuerySet

from crm.models import LeadImport, LeadImportError
from tenex.errors import existing


def all_of(workspace_id: uuid.UUID) -> QuerySet[LeadImport]:
    return LeadImport.objects.filter(workspace_id=workspace_id)


def get(workspace_id: uuid.UUID, import_id: uuid.UUID) -> LeadImport:
    """
    Raises:
        NotFound: not there, or of another workspace.
    """
    return existing(all_of(workspace_id).filter(pk=import_id).first(), "no such import")


def errors(row: LeadImport) -> QuerySet[LeadImportError]:
    """The rows that made no lead, in the order of the file."""
    return LeadImportError.objects.filter(lead_import=row).order_by("line")
