"""Who calls and from where, if nobody says so; and whether what is named is this workspace's."""

import uuid

from crm.models import Calendar
from crm.selectors import calendars
from tenex.errors import InvalidInput
from tenex.workspaces.models import Workspace
from voice.models import Agent, NumberStatus, PhoneNumber


def default_agent(workspace: Workspace) -> Agent:
    """The workspace's default agent, or the only one that can talk."""
    usable = list(
        Agent.objects.filter(workspace=workspace, archived_at=None, current_version__isnull=False).order_by(
            "-is_default", "created_at"
        )[:2]
    )
    if not usable or (len(usable) > 1 and not usable[0].is_default):
        raise InvalidInput("say which agent calls", loc=("body", "agent_id"), type_="missing")
    return usable[0]


def default_number(workspace: Workspace, agent: Agent) -> PhoneNumber:
    """The number to call from: the first of the agent's, else the workspace's only one."""
    usable = PhoneNumber.objects.filter(workspace=workspace, status=NumberStatus.ACTIVE)
    chosen = usable.filter(agent=agent).first()
    if chosen is None and usable.count() == 1:
        chosen = usable.first()
    if chosen is None:
        raise InvalidInput("say which number to call from", loc=("body", "number_id"), type_="missing")
    return chosen


def calendar(workspace: Workspace, calendar_id: uuid.UUID | None) -> Calendar | None:
    """The calendar that an agent or a number is to book in.

    Raises:
        InvalidInput: none such in this workspace.
    """
    if calendar_id is None:
        return None
    found = calendars.all_of(workspace.pk).filter(pk=calendar_id).first()
    if found is None:
        raise InvalidInput("no such calendar", loc=("body", "calendar_id"), type_="missing")
    return found


def check_own(
    workspace: Workspace, *, agent: Agent, number: PhoneNumber | None, calendar: Calendar | None
) -> None:
    """Raise InvalidInput for a part that is another workspace's, or can no longer be used."""
    if agent.workspace_id != workspace.pk or agent.archived_at is not None:
        raise InvalidInput("no such agent", loc=("body", "agent_id"), type_="missing")
    if agent.current_version_id is None:
        raise InvalidInput("the agent has no version yet", loc=("body", "agent_id"))
    if number is not None and (number.workspace_id != workspace.pk or number.status != NumberStatus.ACTIVE):
        raise InvalidInput("no such number", loc=("body", "number_id"), type_="missing")
    if calendar is not None and (calendar.workspace_id != workspace.pk or calendar.archived_at):
        raise InvalidInput("no such calendar", loc=("body", "calendar_connector_id"), type_="missing")
