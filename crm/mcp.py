"""MCP tools about leads and calendars."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers as f

from crm.api import lead_filters
from crm.api.leads import LeadOut
from crm.models import Calendar, CalendarKind, Qualification, Stage
from crm.selectors import calendars
from crm.selectors import leads as read
from tenex.mcp.forms import PageArguments, UntrustedOut, query
from tenex.mcp.registry import Tool
from tenex.rest.pagination import page
from tenex.rest.serializers import Output
from tenex.workspaces.principal import Principal


class ListLeadsIn(PageArguments):
    """Which leads."""

    q = f.CharField(max_length=100, required=False, help_text="Words of name, e-mail, phone or firm.")
    stage = f.ChoiceField(choices=Stage.choices, required=False)
    qualification = f.ChoiceField(choices=Qualification.choices, required=False)


class LeadsOut(UntrustedOut):
    """One page. `next_cursor` is null on the last one."""

    items = LeadOut(many=True)
    next_cursor = f.CharField(allow_null=True)


def _list_leads(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    workspace, asked = principal.workspace, query(arguments)
    rows = read.with_consents(lead_filters.filtered(workspace, asked))
    found = page(rows, asked, bound_to=f"leads:{workspace.pk}")
    return {"items": LeadOut(found.items, many=True).data, "next_cursor": found.next_cursor}


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


class CalendarsOut(Output):
    """One page. `next_cursor` is null on the last one."""

    items = CalendarOut(many=True)
    next_cursor = f.CharField(allow_null=True)


def _list_calendars(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    workspace, asked = principal.workspace, query(arguments)
    rows = calendars.all_of(workspace.pk).select_related("account")
    found = page(rows, asked, bound_to=f"calendars:{workspace.pk}")
    return {"items": CalendarOut(found.items, many=True).data, "next_cursor": found.next_cursor}


TOOLS = (
    Tool(
        name="list_leads",
        title="List leads",
        description="Leads of the workspace that are not archived, the newest first, 50 at a time.",
        arguments=ListLeadsIn,
        answer=LeadsOut,
        run=_list_leads,
        scope="leads:read",
        read_only=True,
        untrusted=True,
    ),
    Tool(
        name="list_calendars",
        title="List calendars",
        description="Calendars that agents can book meetings in, the newest first, 50 at a time.",
        arguments=PageArguments,
        answer=CalendarsOut,
        run=_list_calendars,
        scope="connectors:read",
        read_only=True,
    ),
)
