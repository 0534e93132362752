"""With whose key a workspace's calls reach the speech model: its own, or that of the settings."""

import uuid

from django.conf import settings

from voice.models import CredentialKind
from voice.services import entrusted
from voice.wire.model_access import ModelAccess


def of(workspace_id: uuid.UUID) -> ModelAccess:
    """Raises:
    vault.Unreadable: the workspace has a key of its own that cannot be opened.
    """
    own = entrusted.load(workspace_id, CredentialKind.OPENAI)
    if own is None:
        return of_settings()
    return ModelAccess(settings.OPENAI_BASE_URL, own.secrets["api_key"], own.account, own.project)


def of_settings() -> ModelAccess:
    return ModelAccess(settings.OPENAI_BASE_URL, settings.OPENAI_API_KEY)


def usable(workspace_id: uuid.UUID) -> bool:
    """Whether there is a key, or a server that may need none. Opens nothing."""
    return of_settings().usable or entrusted.has(workspace_id, CredentialKind.OPENAI)
