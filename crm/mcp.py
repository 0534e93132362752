"""MCP tools about leads."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers as f

from crm.api import lead_filters
from crm.api.leads import LeadOut
from crm.models import Qualification, Stage
from crm.selectors import leads as read
from tenex.mcp.forms import PageArguments, UntrustedOut, query
from tenex.mcp.registry import Tool
from tenex.rest.pagination import page
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
)
