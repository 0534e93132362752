"""MCP tools about leads, knowledge and calendars."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers as f

from crm.api import knowledge, lead_filters
from crm.api.knowledge_outputs import FoundOut
from crm.api.leads import LeadOut
from crm.models import Calendar, CalendarKind, Qualification, Stage
from crm.selectors import calendars, retrieval
from crm.selectors import leads as read
from tenex.mcp.forms import PageArguments, UntrustedOut, one_page, query
from tenex.mcp.registry import Tool
from tenex.rest.schema import page_of
from tenex.rest.serializers import Input, Output
from tenex.workspaces.principal import Principal


class ListLeadsIn(PageArguments):
    """Which leads."""

    q = f.CharField(max_length=100, required=False, help_text="Words of name, e-mail, phone or firm.")
    stage = f.ChoiceField(choices=Stage.choices, required=False)
    qualification = f.ChoiceField(choices=Qualification.choices, required=False)


def _list_leads(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    workspace = principal.workspace
    rows = read.with_consents(lead_filters.filtered(workspace, query(arguments)))
    return one_page(rows, LeadOut, arguments, bound_to=f"leads:{workspace.pk}")


class SearchKnowledgeIn(Input):
    """A question, as a caller would ask it."""

    query = f.CharField(max_length=retrieval.MAX_QUERY, help_text="What one wants to know, in a few words.")
    limit = f.IntegerField(
        min_value=1,
        max_value=knowledge.MAX_RESULTS,
        required=False,
        help_text="Passages at most; 5 if absent.",
    )


class KnowledgeFoundOut(UntrustedOut):
    """Passages, best first; none if nothing is near the question."""

    items = FoundOut(many=True)
    model = f.CharField(help_text="Whose vectors were compared.")
    without_vectors = f.CharField(allow_null=True, help_text="Why meaning took no part; null when it did.")


def _search_knowledge(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    limit = arguments.get("limit") or 5
    return knowledge.searched(
        retrieval.search(principal.workspace.pk, arguments["query"], limit, explain=True)
    )


class CalendarOut(Output):
    """A calendar that meetings can be booked in."""

    id = f.UUIDField(help_text="The calendar_connector_id of run_voice_qualifier.")
    name = f.CharField()
    kind = f.ChoiceField(choices=CalendarKind.choices)
    time_zone = f.CharField()
    is_default = f.BooleanField()
    state = f.SerializerMethodField(help_text="`ok`, or why it cannot be booked in now.")

    def get_state(self, calendar: Calendar) -> str:
        account = getattr(calendar, "account", None)
        return str(account.state) if account is not None else "ok"


def _list_calendars(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    workspace = principal.workspace
    rows = calendars.all_of(workspace.pk).select_related("account")
    return one_page(rows, CalendarOut, arguments, bound_to=f"calendars:{workspace.pk}")


TOOLS = (
    Tool(
        name="list_leads",
        title="List leads",
        description="Leads of the workspace that are not archived, the newest first, 50 at a time.",
        arguments=ListLeadsIn,
        answer=page_of(LeadOut, UntrustedOut),
        run=_list_leads,
        scope="leads:read",
        read_only=True,
        untrusted=True,
    ),
    Tool(
        name="search_knowledge",
        title="Search the documents",
        description="What an agent of the workspace finds when it looks something up in a call: passages "
        "with document, heading and page, and why each was found.",
        arguments=SearchKnowledgeIn,
        answer=KnowledgeFoundOut,
        run=_search_knowledge,
        scope="knowledge:read",
        read_only=True,
        untrusted=True,
    ),
    Tool(
        name="list_calendars",
        title="List calendars",
        description="Calendars that agents can book meetings in, the newest first, 50 at a time.",
        arguments=PageArguments,
        answer=page_of(CalendarOut),
        run=_list_calendars,
        scope="connectors:read",
        read_only=True,
    ),
)
