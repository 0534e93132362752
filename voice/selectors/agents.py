"""Reads about agents, their versions, voices and numbers."""

import uuid

from django.db.models import QuerySet

from tenex.errors import InvalidInput, NotFound
from tenex.workspaces.models import Workspace
from voice.models import Agent, AgentVersion, NumberStatus, PhoneNumber, VoiceProfile


def every_agent(workspace: Workspace) -> QuerySet[Agent]:
    """Archived ones too."""
    return Agent.objects.filter(workspace=workspace).select_related("current_version")


def agents(workspace: Workspace) -> QuerySet[Agent]:
    """Agents that are not archived."""
    return every_agent(workspace).filter(archived_at=None)


def talking(workspace: Workspace) -> QuerySet[Agent]:
    """Agents that can talk: not archived, with a published version."""
    return agents(workspace).filter(current_version__isnull=False).order_by("-is_default", "created_at")


def calling(workspace: Workspace) -> QuerySet[PhoneNumber]:
    """Numbers to call from."""
    return PhoneNumber.objects.filter(workspace=workspace, status=NumberStatus.ACTIVE).order_by("created_at")


def agent(workspace: Workspace, agent_id: uuid.UUID) -> Agent:
    """Raises NotFound."""
    row = agents(workspace).filter(pk=agent_id).first()
    if row is None:
        raise NotFound("there is no such thing here")
    return row


def versions(agent: Agent) -> QuerySet[AgentVersion]:
    return AgentVersion.objects.filter(agent=agent)


def any_version(workspace: Workspace, version_id: uuid.UUID) -> AgentVersion | None:
    """A version of one of the agents that are not archived."""
    rows = AgentVersion.objects.filter(agent__workspace=workspace, agent__archived_at=None)
    return rows.select_related("agent").filter(pk=version_id).first()


def versions_by_id(workspace: Workspace, version_ids: list[uuid.UUID]) -> dict[uuid.UUID, AgentVersion]:
    """These versions with the names of their agents, archived ones too; prompts stay where they are."""
    rows = AgentVersion.objects.filter(agent__workspace=workspace, pk__in=version_ids)
    return {row.pk: row for row in rows.select_related("agent").only("number", "agent__name")}


def version(agent: Agent, number: int) -> AgentVersion:
    """Raises NotFound."""
    row = versions(agent).filter(number=number).first()
    if row is None:
        raise NotFound("there is no such thing here")
    return row


def version_to_compare(agent: Agent, version: AgentVersion, number: int | None) -> AgentVersion:
    """The version with this number, or the one before; the first one compares with itself.

    Raises:
        InvalidInput: no such version.
    """
    rows = versions(agent)
    if number is None:
        return rows.filter(number__lt=version.number).order_by("-number").first() or version
    row = rows.filter(number=number).first()
    if row is None:
        raise InvalidInput("no such version", loc=("query", "against"), type_="missing")
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
    """Numbers that the workspace has, is getting, or failed to get; not those that it has given up."""
    return PhoneNumber.objects.filter(workspace=workspace).exclude(status=NumberStatus.RELEASED)


def number(workspace: Workspace, number_id: uuid.UUID) -> PhoneNumber:
    """Raises NotFound."""
    row = numbers(workspace).filter(pk=number_id).first()
    if row is None:
        raise NotFound("there is no such thing here")
    return row
