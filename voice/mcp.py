"""MCP tools of the voice module: the two qualifier tools, and what leads to them and on from them."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f

from crm.selectors import calendars as read_calendars
from tenex.lib import limits
from tenex.mcp.forms import PageArguments, UntrustedOut, one_page, query
from tenex.mcp.registry import Tool
from tenex.rest.pagination import page_in_order
from tenex.rest.schema import page_of
from tenex.rest.serializers import Input, Output
from tenex.workspaces.principal import Principal
from voice.api import transcripts
from voice.api.batch_outputs import (
    BatchResultOut,
    CountersOut,
    ProgressOut,
    RejectedLeadOut,
)
from voice.api.batches import named, progress
from voice.api.outputs import CallDetailOut, TranscriptItemOut
from voice.mcp_prompts import PROMPTS
from voice.models import Agent, BatchStatus, CallStatus
from voice.outbound import foresight
from voice.selectors import agents as read_agents
from voice.selectors import batches as read_batches
from voice.selectors import calls as read_calls
from voice.services import batch_members
from voice.services import batches as write
from voice.services.eligibility import Rejection

__all__ = ["PROMPTS", "TOOLS"]


# --- run_voice_qualifier --------------------------------------------------------------------------


class QualifierIn(Input):
    """Whom to call, and what for."""

    lead_ids = f.ListField(child=f.UUIDField(), min_length=1, max_length=limits.BULK_ITEMS)
    objective = f.CharField(max_length=4000, help_text="What the agent is to find out or to reach.")
    calendar_connector_id = f.UUIDField(
        required=False,
        allow_null=True,
        help_text="Of list_calendars: where to book meetings; the agent's own if absent.",
    )
    agent_id = f.UUIDField(required=False, help_text="The workspace's only agent if absent.")
    number_id = f.UUIDField(required=False, help_text="Number to call from; the agent's if absent.")
    client_reference = f.CharField(
        max_length=120,
        required=False,
        help_text="Your id of this request. Sent again (after a time-out, say) it calls nobody twice: the "
        "first batch is the answer.",
    )
    dry_run = f.BooleanField(
        required=False, default=False, help_text="Only tell who would be called and who not; nothing happens."
    )


class WaitOut(Output):
    """Why a lead would not be called at once."""

    code = f.CharField()
    detail = f.CharField()
    until = f.DateTimeField(allow_null=True, help_text="When it would be looked at again.")


class WouldCallOut(Output):
    """A lead that would be called."""

    lead_id = f.UUIDField()
    waits_for = WaitOut(allow_null=True, help_text="null: at once, as lines and pace allow.")


class QualifierOut(Output):
    """The batch, and which leads it does not take. `would_call` is there in a dry run only."""

    call_batch_id = f.UUIDField(allow_null=True, help_text="For get_call_results; null in a dry run.")
    status = f.ChoiceField(choices=[*BatchStatus.values, "dry_run"])
    accepted = f.IntegerField(help_text="How many leads are (or would be) called.")
    rejected = RejectedLeadOut(many=True)
    would_call = WouldCallOut(many=True, required=False)


def _run_voice_qualifier(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    workspace = principal.workspace
    calendars = read_calendars.all_of(workspace.pk)
    parts: dict[str, Any] = {
        "lead_ids": arguments["lead_ids"],
        "agent": named(read_agents.agents(workspace), arguments.get("agent_id"), "agent_id"),
        "number": named(read_agents.numbers(workspace), arguments.get("number_id"), "number_id"),
        "calendar": named(calendars, arguments.get("calendar_connector_id"), "calendar_connector_id"),
    }
    if arguments["dry_run"]:
        return _foreseen(principal, arguments["objective"], parts)
    made = write.create(
        workspace,
        objective=arguments["objective"],
        client_reference=arguments.get("client_reference"),
        actor=principal.actor,
        **parts,
    )
    return {
        "call_batch_id": made.batch.pk,
        "status": made.batch.status,
        "accepted": made.accepted,
        "rejected": [_rejected(one) for one in made.rejected],
    }


def _foreseen(principal: Principal, objective: str, parts: dict[str, Any]) -> Mapping[str, Any]:
    """As the preview of a batch has it: by the dialer's own decision."""
    lead_ids = parts.pop("lead_ids")
    batch = write.planned(principal.workspace, objective=objective, **parts)
    members = batch_members.members(principal.workspace, lead_ids)
    judged = batch_members.judge(batch, [member.lead for member in members])
    found = batch_members.sort(members, judged, known=set())
    rejected, would_call = list(found.rejected), []
    for one in foresight.of_leads(batch, [member.lead for member in found.accepted], timezone.now()):
        if one.at is None:
            rejected.append(Rejection(str(one.lead_id), one.code, one.detail))
            continue
        wait = {"code": one.code, "detail": one.detail, "until": one.at} if one.code else None
        would_call.append({"lead_id": one.lead_id, "waits_for": wait})
    return {
        "call_batch_id": None,
        "status": "dry_run",
        "accepted": len(would_call),
        "rejected": [_rejected(one) for one in rejected],
        "would_call": would_call,
    }


def _rejected(one: Rejection) -> dict[str, str]:
    return {"lead_id": one.lead_id, "code": one.code, "detail": one.detail}


# --- get_call_results -----------------------------------------------------------------------------


class CallResultsIn(PageArguments):
    """Which batch."""

    call_batch_id = f.UUIDField(help_text="Of run_voice_qualifier.")


class CallResultsOut(UntrustedOut):
    """How far the batch is. `results` has one item a lead; beyond 200 of them `next_cursor` is set."""

    call_batch_id = f.UUIDField()
    status = f.ChoiceField(choices=BatchStatus.choices)
    totals = CountersOut()
    progress = ProgressOut()
    results = BatchResultOut(many=True)
    next_cursor = f.CharField(allow_null=True)


def _get_call_results(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    asked = dict(arguments)
    batch = read_batches.whole(principal.workspace, asked.pop("call_batch_id"))
    counters = read_batches.counters([batch.pk])[batch.pk]
    found = page_in_order(
        read_batches.results(batch),
        query(asked, limit=limits.PAGE_ITEMS_MOST),
        by="position",
        bound_to=f"results:{batch.pk}",
    )
    return {
        "call_batch_id": batch.pk,
        "status": batch.status,
        "totals": CountersOut(counters).data,
        "progress": ProgressOut(progress(batch, counters)).data,
        "results": BatchResultOut(found.items, many=True).data,
        "next_cursor": found.next_cursor,
    }


# --- looking around -------------------------------------------------------------------------------


class AgentBriefOut(Output):
    """An agent that can call."""

    id = f.UUIDField()
    name = f.CharField()
    slug = f.CharField()
    objective = f.SerializerMethodField()
    version = f.SerializerMethodField()

    @extend_schema_field(f.CharField(allow_null=True))
    def get_objective(self, agent: Agent) -> str | None:
        return agent.current_version.objective if agent.current_version else None

    @extend_schema_field(f.IntegerField(allow_null=True))
    def get_version(self, agent: Agent) -> int | None:
        return agent.current_version.number if agent.current_version else None


def _list_agents(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    workspace = principal.workspace
    rows = read_agents.agents(workspace)
    return one_page(rows, AgentBriefOut, arguments, bound_to=f"agents:{workspace.pk}")


class OneCallIn(Input):
    """Which call."""

    call_id = f.UUIDField()


class CallOut(UntrustedOut, CallDetailOut):
    """A phone call with all that is known about it."""


def _get_call(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return CallDetailOut(read_calls.one(principal.workspace, arguments["call_id"])).data


class TranscriptOut(UntrustedOut):
    """The conversation, in order."""

    call_id = f.UUIDField()
    status = f.ChoiceField(choices=CallStatus.choices, help_text="Until `finalized`, texts may still change.")
    items = TranscriptItemOut(many=True)


def _get_transcript(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    call = read_calls.bare(principal.workspace, arguments["call_id"])
    told = read_calls.conversation(call)
    return {"call_id": call.pk, "status": call.status, "items": [transcripts.as_item(one) for one in told]}


TOOLS = (
    Tool(
        name="run_voice_qualifier",
        title="Call leads and qualify them",
        description="Calls up to 500 leads by phone with one objective. People are called for real: use "
        "`dry_run` first and ask the user. Leads that may not be called are in `rejected`, with a reason. "
        "Calls run in the background: ask get_call_results.",
        arguments=QualifierIn,
        answer=QualifierOut,
        run=_run_voice_qualifier,
        scope="batches:write",
        open_world=True,
    ),
    Tool(
        name="get_call_results",
        title="Get the results of a batch",
        description="Status and totals of a batch of run_voice_qualifier, and for each lead its status, "
        "outcome, last call and verdict so far.",
        arguments=CallResultsIn,
        answer=CallResultsOut,
        run=_get_call_results,
        scope="batches:read",
        read_only=True,
        untrusted=True,
    ),
    Tool(
        name="list_agents",
        title="List agents",
        description="Phone agents of the workspace, the newest first.",
        arguments=PageArguments,
        answer=page_of(AgentBriefOut, UntrustedOut),
        run=_list_agents,
        scope="agents:read",
        read_only=True,
        untrusted=True,
    ),
    Tool(
        name="get_call",
        title="Get a call",
        description="One phone call with its outcome, verdict, sessions and latencies.",
        arguments=OneCallIn,
        answer=CallOut,
        run=_get_call,
        scope="calls:read",
        read_only=True,
        untrusted=True,
    ),
    Tool(
        name="get_transcript",
        title="Get a transcript",
        description="What was said in a call and which tools ran, in order.",
        arguments=OneCallIn,
        answer=TranscriptOut,
        run=_get_transcript,
        scope="calls:read",
        read_only=True,
        untrusted=True,
    ),
)
