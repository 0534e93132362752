"""Reading what a workspace has entrusted to us: that it is there, never what it is."""

from django.conf import settings
from django.db.models import QuerySet

from tenex.errors import existing
from tenex.workspaces.models import Workspace
from voice.models import Credential, CredentialKind


def all_of(workspace: Workspace) -> QuerySet[Credential]:
    return Credential.objects.filter(workspace=workspace).defer("sealed").order_by("kind")


def one(workspace: Workspace, kind: str) -> Credential:
    """Raises:
    NotFound: the workspace has none of this kind.
    """
    return existing(Credential.objects.filter(workspace=workspace, kind=kind).first())


def shared_kinds(workspace: Workspace) -> dict[CredentialKind, bool]:
    """Which kinds the settings have, for workspaces without one of their own."""
    return {
        CredentialKind.TWILIO: bool(settings.TWILIO_ACCOUNT_SID and settings.TWILIO_AUTH_TOKEN),
        CredentialKind.OPENAI: bool(settings.OPENAI_API_KEY),
    }
