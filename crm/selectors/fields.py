"""Reading the definitions of custom fields."""

import uuid

from django.db.models import QuerySet

from crm.models import CustomField
from tenex.errors import existing


def all_of(workspace_id: uuid.UUID) -> QuerySet[CustomField]:
    return CustomField.objects.filter(workspace_id=workspace_id)


def by_key(workspace_id: uuid.UUID) -> dict[str, CustomField]:
    """The workspace's definitions by key, in the order of the keys; one query."""
    return {field.key: field for field in all_of(workspace_id)}


def get(workspace_id: uuid.UUID, field_id: uuid.UUID) -> CustomField:
    """
    Raises:
        NotFound: not there, or of another workspace.
    """
    return existing(all_of(workspace_id).filter(pk=field_id).first(), "no such custom field")
