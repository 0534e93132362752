"""Per-lead results of a batch, as pages of JSON or as one CSV."""

import uuid
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.errors import InvalidInput
from tenex.rest import csv_stream
from tenex.rest import filters as strict
from tenex.rest.off_loop import off_loop
from tenex.rest.pagination import page_in_order
from tenex.rest.schema import filter_parameters, operation, page_of
from tenex.rest.views import ApiView
from voice.api.filters import ResultFilters
from voice.api.outputs import BatchResultOut
from voice.models import Recipient
from voice.selectors import batches as read

_PORTION = 500
_COLUMNS = (
    "position", "lead_id", "lead_name", "status", "outcome", "attempts", "next_at", "refusal_code",
    "refusal_detail", "call_id", "called_at", "duration_s", "qualification", "confidence", "summary",
    "reasons", "meeting_start", "follow_up_at",
)  # fmt: skip


class BatchResults(ApiView):
    scopes: ClassVar = {"GET": "batches:read"}

    @operation(
        "batches_results",
        "Get the results",
        "One item a lead, in the order of the batch: status, outcome, attempts, verdict, next try. "
        "`format=csv` streams all of them as one file (no pages); cells that a spreadsheet would run as a "
        "formula begin with an apostrophe.",
        tag="Batches",
        response={(200, "application/json"): page_of(BatchResultOut), (200, "text/csv"): OpenApiTypes.STR},
        parameters=[
            OpenApiParameter("format", str, enum=["json", "csv"], default="json", description="Form."),
            *filter_parameters(ResultFilters),
        ],
        errors=(404,),
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> HttpResponseBase:
        batch = read.one(self.workspace, batch_id)
        query = self.query.copy()
        asked = query.pop("format", ["json"])
        if len(asked) > 1:
            raise InvalidInput("given more than once", loc=("query", "format"), type_="duplicate")
        form = asked[0]
        if form not in ("json", "csv"):
            raise InvalidInput("must be json or csv", loc=("query", "format"), type_="enum")
        if form == "csv" and (paged := next((one for one in ("limit", "cursor") if one in query), None)):
            raise InvalidInput("a CSV has no pages", loc=("query", paged), type_="extra_forbidden")
        rows = strict.apply(ResultFilters, query, read.results(batch))
        if form == "csv":
            return _as_csv(rows, name=f"batch-{batch.pk}.csv")
        found = page_in_order(rows, query, by="position", bound_to=f"results:{batch.pk}")
        return Response(
            {"items": BatchResultOut(found.items, many=True).data, "next_cursor": found.next_cursor}
        )


def _as_csv(rows: QuerySet[Recipient], *, name: str) -> HttpResponseBase:
    @off_loop
    def portion(after: int | None) -> tuple[list[csv_stream.Row], int | None]:
        found = list(rows.filter(position__gt=after or 0).order_by("position")[:_PORTION])
        return [_row(one) for one in found], found[-1].position if len(found) == _PORTION else None

    return csv_stream.response(_COLUMNS, portion, name=name)


def _row(row: Any) -> csv_stream.Row:
    call = next(iter(row.calls.all()), None)
    verdict = getattr(call, "verdict", None) if call else None
    meeting = (verdict.meeting or {}) if verdict else {}
    follow_up = (verdict.follow_up or {}) if verdict else {}
    return (
        row.position,
        row.lead_id,
        row.lead.name,
        row.status,
        row.outcome,
        row.calls_made,
        row.next_at.isoformat() if row.next_at else None,
        row.refusal_code,
        row.refusal_detail,
        call.pk if call else None,
        call.placed_at.isoformat() if call and call.placed_at else None,
        round(call.duration_ms / 1000) if call and call.duration_ms is not None else None,
        verdict.qualification if verdict else None,
        verdict.confidence if verdict else None,
        verdict.summary if verdict else None,
        "; ".join(map(str, verdict.reasons)) if verdict else None,
        meeting.get("start"),
        follow_up.get("callback_at"),
    )
