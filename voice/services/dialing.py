"""One outbound call: asked for here, dialed by the dialer's next tick."""

from typing import Any

from django.db import transaction

from crm.models import Calendar, Lead
from crm.selectors import leads
from tenex.errors import Conflict, InvalidInput
from tenex.lib.phone import normalize
from tenex.lib.wake import wake
from tenex.workspaces.models import Workspace
from voice.models import Agent, AgentVersion, Call, Direction, PhoneNumber
from voice.services import caller_lead, journal, parts
from voice.services.eligibility import reject, reject_number


def place(
    workspace: Workspace,
    *,
    lead: Lead | None = None,
    phone: str = "",
    agent: Agent | None = None,
    agent_version: AgentVersion | None = None,
    number: PhoneNumber | None = None,
    calendar: Calendar | None = None,
    objective: str = "",
    variables: dict[str, Any] | None = None,
) -> Call:
    """A queued call to a lead, or to a number (whose lead is found or made).

    The dialer checks calling hours, caps and the do-not-call list again when it dials.

    Raises:
        InvalidInput: neither lead nor number, or something that is not this workspace's.
        Conflict: the lead may not be called; `code` says why (`opted_out`, `suppressed`, …).
    """
    if lead is None:
        if not phone:
            raise InvalidInput("a lead or a phone number", loc=("body", "lead_id"), type_="missing")
        e164 = normalize(phone, region=workspace.default_region)
        lead = leads.by_phone(workspace.pk, e164)
        refusal = reject(lead) if lead else reject_number(workspace.pk, e164)
    elif lead.workspace_id != workspace.pk:
        raise InvalidInput("no such lead", loc=("body", "lead_id"), type_="missing")
    else:
        e164, refusal = lead.phone or "", reject(lead)
    if refusal is not None:
        raise Conflict(refusal.detail, code=refusal.code)
    agent = agent_version.agent if agent_version else agent or parts.default_agent(workspace)
    parts.check_own(workspace, agent=agent, number=number, calendar=calendar)
    number = number or parts.default_number(workspace, agent)
    with transaction.atomic():
        call = Call.objects.create(
            workspace=workspace,
            direction=Direction.OUTBOUND,
            from_number=number.e164,
            to_number=e164,
            number=number,
            agent_version=agent_version or agent.current_version,
            lead=lead,
            calendar=calendar or agent.calendar,
            objective=objective,
            variables=variables or {},
        )
        journal.append(call.pk, [journal.Line("call.queued", {})])
        if lead is None:
            call.lead = caller_lead.ensure(call.pk)
        wake("voice.outbound.tick")
    return call
