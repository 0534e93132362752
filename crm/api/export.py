"""Leads as CSV: the filters of the list, whatever the number."""

import uuid
from datetime import datetime
from typing import Any, ClassVar

import orjson
from django.db.models import Q, QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request

from crm.api import csv_streams, lead_filters
from crm.api.leads import TAG
from crm.models import Lead
from crm.selectors import fields
from tenex.errors import InvalidInput
from tenex.rest.off_loop import off_loop
from tenex.rest.pagination import PAGE_PARAMETERS
from tenex.rest.schema import operation
from tenex.rest.views import ApiView
from tenex.workspaces.services import audit

COLUMNS = (
    "id", "first_name", "last_name", "title", "phone", "email", "organization", "owner", "time_zone",
    "country", "region", "source", "stage", "qualification", "last_call_at", "last_outcome", "opted_out_at",
    "archived_at", "created_at", "updated_at", "notes",
)  # fmt: skip
"""Then one `custom.<key>` a defined field, and `custom`: what has no definition, as JSON."""

type Place = tuple[datetime, uuid.UUID]


class LeadExport(ApiView):
    scopes: ClassVar = {"GET": "leads:read"}

    @operation(
        "leads_export",
        "Export leads",
        "UTF-8 CSV of all leads that the filters leave, the newest first, as a stream. Cells that a "
        "spreadsheet would take for a formula (they begin with `=`, `+`, `-` or `@`, so phones too) have an "
        "apostrophe in front; an import takes it away again. The export is noted in the audit log.",
        tag=TAG,
        response={(200, "text/csv"): OpenApiTypes.STR},
        parameters=lead_filters.UNPAGED,
    )
    def get(self, request: Request) -> HttpResponseBase:
        for name in PAGE_PARAMETERS & set(self.query):
            raise InvalidInput("an export has no pages", loc=("query", name), type_="extra_forbidden")
        rows = lead_filters.filtered(self.workspace, self.query)
        keys = list(fields.by_key(self.workspace.pk))
        audit.record(
            self.workspace.pk,
            self.principal.actor,
            "leads.exported",
            object_type="workspace",
            object_id=self.workspace.pk,
            data={"query": request.META.get("QUERY_STRING", "")[:1000]},
        )

        @off_loop
        def read(place: Place | None) -> csv_streams.Portion[Place]:
            return _portion(rows, keys, place)

        header = [*COLUMNS, *(f"custom.{key}" for key in keys), "custom"]
        return csv_streams.response(header, read, file_name="leads.csv")


def _portion(rows: QuerySet[Lead], keys: list[str], place: Place | None) -> csv_streams.Portion[Place]:
    if place is not None:
        at, last_id = place
        rows = rows.filter(Q(created_at__lte=at) & (Q(created_at__lt=at) | Q(id__lt=last_id)))
    found = list(rows.order_by("-created_at", "-id")[: csv_streams.PORTION_ROWS])
    more = len(found) == csv_streams.PORTION_ROWS
    return [cells(lead, keys) for lead in found], (found[-1].created_at, found[-1].id) if more else None


def cells(lead: Lead, keys: list[str]) -> list[Any]:
    """Of COLUMNS, of the defined fields `keys`, and what has no definition."""
    special: dict[str, Any] = {
        "organization": lead.company.name if lead.company else "",
        "owner": lead.owner.email if lead.owner else "",
    }
    plain = [special[name] if name in special else _plain(getattr(lead, name)) for name in COLUMNS]
    custom = dict(lead.custom)
    defined = [_plain(custom.pop(key, None)) for key in keys]
    return [*plain, *defined, orjson.dumps(custom).decode() if custom else ""]


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case dict() | list():
            return orjson.dumps(value).decode()
        case uuid.UUID():
            return str(value)
    return value
