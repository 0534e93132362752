"""Reads about agents, their versions, voices and numbers."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Prefetch, Q, QuerySet

from tenex.errors import InvalidInput, existing
from tenex.workspaces.models import Workspace
from voice.models import (
    Agent,
    AgentVersion,
    Batch,
    BatchVersion,
    Call,
    NumberStatus,
    Outcome,
    PhoneNumber,
    VoiceProfile,
)
from voice.models.batches import OPEN
from voice.models.calls import LIVE


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
    return existing(agents(workspace).filter(pk=agent_id).first())


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
    return existing(versions(agent).filter(number=number).first())


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
    return existing(profiles(workspace).filter(pk=profile_id).first())


def numbers(workspace: Workspace) -> QuerySet[PhoneNumber]:
    """Numbers that the workspace has, is getting, or failed to get; not those that it has given up."""
    return PhoneNumber.objects.filter(workspace=workspace).exclude(status=NumberStatus.RELEASED)


def number(workspace: Workspace, number_id: uuid.UUID) -> PhoneNumber:
    """Raises NotFound."""
    return existing(numbers(workspace).filter(pk=number_id).first())


@dataclass(frozen=True, slots=True)
class Record:
    """How a version, or an agent, did: its calls that are over."""

    calls: int = 0
    talked: int = 0
    """Calls that were answered."""
    qualified: int = 0

    @property
    def rate(self) -> float | None:
        """Qualified ones of those who answered."""
        return self.qualified / self.talked if self.talked else None


def records(agent: Agent) -> dict[uuid.UUID, Record]:
    """Version id -> how it did, of all its calls."""
    rows = Call.objects.filter(agent=agent, ended_at__isnull=False).order_by()
    return {row[0]: Record(*row[1:]) for row in rows.values_list("agent_version_id").annotate(**_record())}


def records_of_all(workspace: Workspace, since: datetime) -> dict[uuid.UUID, Record]:
    """Agent id -> how it did since then."""
    rows = Call.objects.filter(workspace=workspace, created_at__gte=since, ended_at__isnull=False).order_by()
    return {row[0]: Record(*row[1:]) for row in rows.values_list("agent_id").annotate(**_record())}


def _record() -> dict[str, Any]:
    return {
        "all_calls": Count("pk"),
        "talked": Count("pk", filter=Q(answered_at__isnull=False)),
        "qualified": Count("pk", filter=Q(outcome=Outcome.QUALIFIED)),
    }


def numbers_of(agent: Agent) -> QuerySet[PhoneNumber]:
    """Numbers that lead to the agent."""
    return numbers(agent.workspace).filter(agent=agent)


def live_calls(agent: Agent) -> int:
    """Calls that it is in now."""
    return Call.objects.filter(agent=agent, status__in=LIVE).count()


def open_batches(agent: Agent) -> list[Batch]:
    """Batches that are not over, with the versions that their leads are drawn for (`splits`)."""
    rows = Batch.objects.filter(agent=agent, status__in=OPEN).select_related("agent_version")
    rows = rows.prefetch_related(
        Prefetch("versions", BatchVersion.objects.select_related("agent_version"), to_attr="splits")
    )
    return list(rows.order_by("-created_at")[:20])


def with_setup(workspace: Workspace) -> list[Agent]:
    """Agents that are not archived, with voice, numbers (`led_by`) and whether there is a draft."""
    numbers_ = PhoneNumber.objects.exclude(status=NumberStatus.RELEASED)
    rows = agents(workspace).select_related("current_version", "profile", "draft")
    return list(rows.prefetch_related(Prefetch("numbers", numbers_, to_attr="led_by")).order_by("name"))


def routing_of(number: PhoneNumber) -> list[str]:
    """Who answers a number, what happens when they cannot, and who calls from it, in words."""
    if number.pk is None or number.status == NumberStatus.RELEASED:
        return ["Nobody: the number is not ours any more."] if number.pk else []
    agent = number.agent
    if agent is None:
        lines = ["Nobody answers: callers hear that the call cannot be taken. Choose an agent."]
    elif agent.current_version is None:
        lines = [f"{agent.name} has nothing to say yet: callers hear that the call cannot be taken."]
    else:
        lines = [f"{agent.name} answers (version {agent.current_version.number}), at any hour of any day."]
    spare = number.fallback_number or number.workspace.transfer_number
    lines.append(
        f"If the agent or the model cannot take the call, it is connected to {spare}."
        if spare
        else "If the agent or the model cannot take the call, callers hear an apology: there is no fallback "
        "number."
    )
    count = Batch.objects.filter(number=number, status__in=OPEN).count()
    lines.append(
        f"{count} open batch{'es' if count != 1 else ''} call from it, within the calling hours of each lead."
        if count
        else "No open batch calls from it."
    )
    return lines
