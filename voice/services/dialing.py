"""One outbound call: asked for here, dialed by the dialer's next tick."""

from dataclasses import replace
from typing import Any

from django.db import transaction

from crm.models import Calendar, Lead
from crm.selectors import leads
from tenex.errors import Conflict, InvalidInput
from tenex.lib.phone import normalize
from tenex.lib.wake import wake
from tenex.workspaces.models import Workspace
from voice.models import Agent, AgentVersion, Call, DecisionStage, Direction, PhoneNumber
from voice.services import decisions, journal, parts
from voice.services.decisions import About, Decided
from voice.services.eligibility import Judged, judge


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
    only_now: bool = False,
) -> Call:
    """A queued call to a lead, or to the lead with this number.

    The dialer asks again when it dials, whatever was decided here. A call that has to wait (for the hours of
    the lead, say) waits in the queue; with `only_now` it is refused too, and `extra["until"]` is till when.

    Raises:
        InvalidInput: neither lead nor number, or something that is not this workspace's.
        Conflict: the lead may not be called; `code` says why (`opted_out`, `no_consent`, …). A number without
            a lead has agreed to nothing.
    """
    if lead is None:
        if not phone:
            raise InvalidInput("a lead or a phone number", loc=("body", "lead_id"), type_="missing")
        e164 = normalize(phone, region=workspace.default_region)
        lead = leads.by_phone(workspace.pk, e164)
    elif lead.workspace_id != workspace.pk:
        raise InvalidInput("no such lead", loc=("body", "lead_id"), type_="missing")
    else:
        e164 = lead.phone or ""
    agent = agent_version.agent if agent_version else agent or parts.default_agent(workspace)
    parts.check_own(workspace, agent=agent, number=number, calendar=calendar)
    number = number or parts.default_number(workspace, agent)
    version = agent_version or agent.current_version
    judged = judge(workspace, lead, e164, number=number, version=version)
    about = About(workspace.pk, lead_id=lead.pk if lead else None)
    if judged.refused is not None:
        decisions.record_many(DecisionStage.ENQUEUE, [_decided(about, judged)])
        raise Conflict(judged.refused.detail, code=judged.refused.code)
    if only_now and (wait := judged.waits_for) is not None and wait.until is not None:
        decisions.record_many(DecisionStage.ENQUEUE, [_decided(about, judged)])
        raise Conflict(wait.detail, code=wait.code, extra={"until": wait.until.isoformat()})
    with transaction.atomic():
        call = Call.objects.create(
            workspace=workspace,
            direction=Direction.OUTBOUND,
            from_number=number.e164,
            to_number=e164,
            number=number,
            account_sid=number.account_sid,
            agent_version=version,
            lead=lead,
            calendar=calendar or agent.calendar,
            objective=objective,
            variables=variables or {},
        )
        journal.append(call.pk, [journal.Line("call.queued", {})])
        decisions.record_many(DecisionStage.ENQUEUE, [_decided(replace(about, call_id=call.pk), judged)])
        wake("voice.outbound.tick")
    return call


def _decided(about: About, judged: Judged) -> Decided:
    return Decided(about, judged.facts, judged.answer, judged.at)
