"""Reads about agents, their versions, voices and numbers."""

import uuid

from django.db.models import QuerySet

from tenex.errors import NotFound
from tenex.workspaces.models import Workspace
from voice.models import Agent, AgentVersion, PhoneNumber, VoiceProfile


def agents(workspace: Workspace) -> QuerySet[Agent]:
    """Agents that are not archived."""
    return Agent.objects.filter(workspace=workspace, archived_at=None).select_related("current_version")


def agent(workspace: Workspace, agent_id: uuid.UUID) -> Agent:
    """Raises NotFound."""
    row = agents(workspace).filter(pk=agent_id).first()
    if row is None:
        raise NotFound("there is no such thing here")
    return row


def versions(agent: Agent) -> QuerySet[AgentVersion]:
    return AgentVersion.objects.filter(agent=agent)


def version(agent: Agent, number: int) -> AgentVersion:
    """Raises NotFound."""
    row = versions(agent).filter(number=number).first()
    if row is None:
        raise NotFound("there is no such thing here")
    return row


def profiles(workspace: Workspace) -> QuerySet[VoiceProfile]:
    return VoiceProfile.objects.filter(workspace=workspace)


def profile(workspace: Workspace, profile_id: uuid.UUID) -> VoiceProfile:
    """Raises NotFound."""
    row = profiles(workspace).filter(pk=profile_id).first()
    if row is None:
        raise NotFound("there is no such thing here")
    return row


def numbers(workspace: Workspace) -> QuerySet[PhoneNumber]:
    """Numbers that the workspace has now."""
    return PhoneNumber.objects.filter(workspace=workspace, released_at=None)


def number(workspace: Workspace, number_id: uuid.UUID) -> PhoneNumber:
    """Raises NotFound."""
    row = numbers(workspace).filter(pk=number_id).first()
    if row is None:
        raise NotFound("there is no such thing here")
    return row
