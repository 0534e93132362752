"""Reads about realtime sessions."""

import uuid

from tenex.errors import existing
from tenex.workspaces.models import Workspace
from voice.models import VoiceSession


def one(workspace: Workspace, session_id: uuid.UUID) -> VoiceSession:
    """A session with its call.

    Raises:
        NotFound: none such in this workspace.
    """
    return existing(
        VoiceSession.objects.select_related("call", "call__agent_version")
        .filter(workspace=workspace, pk=session_id)
        .first()
    )
