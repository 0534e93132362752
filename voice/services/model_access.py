"""With whose key a workspace's calls reach the speech model: its own, or that of the settings."""

import uuid

from django.conf import settings

from crm.knowledge.embedding import engines
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


def for_vectors(workspace_id: uuid.UUID) -> engines.Account:
    """The same account for embeddings, which the CRM asks for.

    Raises:
        vault.Unreadable: as :func:`of`.
    """
    access = of(workspace_id)
    return engines.Account(access.api_key, access.base_url, access.organization, access.project)
