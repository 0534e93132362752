"""Filters of the list of leads: each is a condition of the engine that segments are made of."""

import re
import uuid
from typing import Any, ClassVar

import django_filters as df
from django.db.models import QuerySet
from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter

from crm.models import ConsentPurpose, Lead, Qualification, Stage
from crm.selectors import conditions, fields, segments
from crm.selectors import leads as read
from crm.services.custom_values import from_text
from tenex.errors import InvalidInput
from tenex.lib import phone as phones
from tenex.rest import filters as strict
from tenex.rest.filters import Flag
from tenex.rest.pagination import PAGE_PARAMETERS
from tenex.rest.schema import filter_parameters
from tenex.workspaces.models import Workspace

_CUSTOM = re.compile(r"custom\[([^\]]*)\]")
_CONDITIONS = {
    "stage": ("stage", "eq"),
    "qualification": ("qualification", "eq"),
    "source": ("source", "eq"),
    "email": ("email", "eq"),
    "country": ("country", "eq"),
    "region": ("region", "eq"),
    "owner_id": ("owner_id", "eq"),
    "organization_id": ("organization_id", "eq"),
    "opted_out": ("opted_out", "eq"),
    "has_phone": ("phone", "is_set"),
    "has_email": ("email", "is_set"),
    "has_owner": ("owner_id", "is_set"),
    "consent": ("consent", "eq"),
    "created_from": ("created_at", "gte"),
    "created_to": ("created_at", "lt"),
    "updated_from": ("updated_at", "gte"),
    "updated_to": ("updated_at", "lt"),
    "last_call_from": ("last_call_at", "gte"),
    "last_call_to": ("last_call_at", "lt"),
    "q": ("q", "contains"),
}
_FLAGS = {"opted_out", "has_phone", "has_email", "has_owner"}


class LeadFilters(df.FilterSet):  # type: ignore[misc]
    """`custom[key]` comes on top, see :func:`filtered`."""

    stage = df.ChoiceFilter(choices=Stage.choices, method="ask", help_text="Stage of the sale.")
    qualification = df.ChoiceFilter(
        choices=Qualification.choices, method="ask", help_text="What the last verdict said."
    )
    owner_id = df.UUIDFilter(method="ask", help_text="Leads of this member of the workspace.")
    organization_id = df.UUIDFilter(method="ask", help_text="Leads of this firm.")
    segment_id = df.UUIDFilter(method="in_segment", help_text="Leads that belong to this segment now.")
    source = df.CharFilter(
        method="ask", max_length=80, help_text="Where the lead came from; letter case does not matter."
    )
    phone = df.CharFilter(method="has_number", max_length=40, help_text="This number, in international form.")
    email = df.CharFilter(method="ask", max_length=200, help_text="This address.")
    country = df.CharFilter(method="ask", max_length=2, help_text="Country of the address, ISO code.")
    region = df.CharFilter(method="ask", max_length=10, help_text="State or province of the address, code.")
    has_phone = Flag(method="ask", help_text="Whether a phone is known.")
    has_email = Flag(method="ask", help_text="Whether an e-mail address is known.")
    has_owner = Flag(method="ask", help_text="Whether somebody owns the lead.")
    consent = df.ChoiceFilter(
        choices=ConsentPurpose.choices, method="ask", help_text="Whose consent to this holds now."
    )
    opted_out = Flag(method="ask", help_text="Whether they asked not to be called.")
    created_from = df.IsoDateTimeFilter(method="ask", help_text="Created at this instant or later.")
    created_to = df.IsoDateTimeFilter(method="ask", help_text="Created before this instant.")
    updated_from = df.IsoDateTimeFilter(method="ask", help_text="Changed at this instant or later.")
    updated_to = df.IsoDateTimeFilter(method="ask", help_text="Changed before this instant.")
    last_call_from = df.IsoDateTimeFilter(method="ask", help_text="Last called at this instant or later.")
    last_call_to = df.IsoDateTimeFilter(method="ask", help_text="Last called before this instant.")
    archived = Flag(
        "archived_at",
        lookup_expr="isnull",
        exclude=True,
        help_text="Archived leads (`true`); without it only the others.",
    )
    q = df.CharFilter(
        method="ask",
        max_length=100,
        help_text="Words, each a part of name, e-mail or firm, or digits of the phone in any form.",
    )
    workspace_id: ClassVar[uuid.UUID]
    customs: ClassVar[conditions.Customs] = {}

    def ask(self, rows: QuerySet[Lead], name: str, value: Any) -> QuerySet[Lead]:
        field, op = _CONDITIONS[name]
        try:
            return rows.filter(conditions.condition(field, op, value, {}, loc=()))
        except InvalidInput as exc:
            exc.loc = ("query", name)
            raise

    def has_number(self, rows: QuerySet[Lead], name: str, value: str) -> QuerySet[Lead]:
        text = value.strip()
        if text[:1].isdigit():
            text = f"+{text}"  # the plus of an address that was not encoded is a space
        return rows.filter(phone=phones.normalize(text, loc=("query", "phone")))

    def in_segment(self, rows: QuerySet[Lead], name: str, value: uuid.UUID) -> QuerySet[Lead]:
        segment = segments.all_of(self.workspace_id).filter(pk=value).first()
        if segment is None:
            return rows.none()  # as for any other id that names nothing
        return rows.filter(segments.belongs(segment), archived_at=None)

    def custom(self, rows: QuerySet[Lead], name: str, value: str) -> QuerySet[Lead]:
        loc = ("query", name)
        key = name[len("custom[") : -1]
        wanted = from_text(self.customs[key], value, loc)
        return rows.filter(conditions.condition(f"custom.{key}", "eq", wanted, self.customs, loc=loc))


def filtered(workspace: Workspace, query: QueryDict) -> QuerySet[Lead]:
    """The leads that a query asks for, the newest first.

    Raises:
        InvalidInput, QueryInvalid: a filter that does not exist, or with a value that makes no sense.
    """
    rows = read.all_of(workspace.pk, archived=None if "archived" in query else False)
    wanted = {name: found[1] for name in query if (found := _CUSTOM.fullmatch(name))}
    customs = fields.by_key(workspace.pk) if wanted else {}
    for name, key in wanted.items():
        if key not in customs:
            raise InvalidInput(
                "no such custom field is defined", loc=("query", name), type_="extra_forbidden"
            )
    more = {name: df.CharFilter(method="custom", max_length=1000) for name in wanted}
    bound = type(
        "BoundLeadFilters", (LeadFilters,), {"workspace_id": workspace.pk, "customs": customs, **more}
    )
    return strict.apply(bound, query, rows)


def as_rules(query: QueryDict) -> dict[str, Any]:
    """The same filters as the rules of a segment.

    Raises:
        InvalidInput: a filter that a segment cannot have.
    """
    nodes: list[dict[str, Any]] = []
    for name, given in query.items():
        value = str(given)
        if name in PAGE_PARAMETERS:
            continue
        if found := _CUSTOM.fullmatch(name):
            nodes.append({"field": f"custom.{found[1]}", "op": "eq", "value": value})
        elif name in _CONDITIONS:
            field, op = _CONDITIONS[name]
            flag = {"true": True, "false": False}.get(value, value) if name in _FLAGS else value
            nodes.append({"field": field, "op": op, "value": flag})
        else:
            raise InvalidInput("a segment cannot have this condition", loc=("query", name))
    return {"all": nodes}


PARAMETERS = [
    *filter_parameters(LeadFilters),
    OpenApiParameter(
        "custom",
        {"type": "object", "additionalProperties": {"type": "string"}},
        style="deepObject",
        explode=True,
        description="Equality of custom fields that are defined: `custom[plan]=pro`.",
    ),
]
"""Of the list."""
UNPAGED = [one for one in PARAMETERS if one.name not in ("limit", "cursor")]
"""Of the export."""
