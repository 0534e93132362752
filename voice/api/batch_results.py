"""Per-lead results of a batch, as pages of JSON or as one CSV."""

import uuid
from datetime import datetime
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
from voice.api.batch_outputs import BatchResultOut, BatchStatsOut, next_action
from voice.api.filters import ResultFilters
from voice.models import Recipient
from voice.selectors import batch_stats
from voice.selectors import batches as read
from voice.services import batch_members, costs

_PORTION = 500
_COLUMNS = (
    "position", "lead_id", "lead_name", "phone", "status", "outcome", "attempts", "next_at", "next_action",
    "refusal_code", "refusal_detail", "call_id", "called_at", "duration_s", "agent_version", "carrier_state",
    "cost_minor", "all_outcomes", "qualification", "confidence", "summary", "reasons", "meeting_start",
    "follow_up_at", "callback_of",
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
            return as_csv(rows, name=f"batch-{batch.pk}.csv")
        found = page_in_order(rows, query, by="position", bound_to=f"results:{batch.pk}")
        return Response(found.as_json(BatchResultOut))


class BatchStats(ApiView):
    scopes: ClassVar = {"GET": "batches:read"}

    @operation(
        "batches_stats",
        "Get the figures",
        "Funnel of the leads, their outcomes, why some were not called, calls by hour of the day (by each "
        "lead's clock) and by version of the agent.",
        tag="Batches",
        response=BatchStatsOut,
        errors=(404,),
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> Response:
        self.known_query()
        batch = read.whole(self.workspace, batch_id)
        found = batch_stats.stats(batch)
        shown = {
            "batch_id": batch.pk,
            "funnel": found.funnel,
            "outcomes": found.outcomes,
            "refusals": found.refusals,
            "hours": found.hours,
            "versions": found.versions,
            "cost_microusd": batch.spent_microusd,
        }
        return Response(BatchStatsOut(shown).data)


class BatchRecipient(ApiView):
    scopes: ClassVar = {"GET": "batches:read", "DELETE": "batches:write"}

    @operation(
        "batches_recipient_get",
        "Get the result of one lead",
        "One item of the results.",
        tag="Batches",
        response=BatchResultOut,
        errors=(404,),
    )
    def get(self, request: Request, batch_id: uuid.UUID, recipient_id: uuid.UUID) -> Response:
        self.known_query()
        row = read.recipient(read.one(self.workspace, batch_id), recipient_id)
        return Response(BatchResultOut(row).data)

    @operation(
        "batches_recipient_cancel",
        "Take a lead out",
        "Does not call this one (any more), and cancels a callback. What was called stays in the results.",
        tag="Batches",
        response=BatchResultOut,
        errors=(404, 409),
    )
    def delete(self, request: Request, batch_id: uuid.UUID, recipient_id: uuid.UUID) -> Response:
        batch = read.one(self.workspace, batch_id)
        batch_members.withdraw(read.recipient(batch, recipient_id), actor=self.principal.actor)
        return Response(BatchResultOut(read.recipient(batch, recipient_id)).data)


def as_csv(rows: QuerySet[Recipient], *, name: str) -> HttpResponseBase:
    """All results as one file, in constant memory."""

    @off_loop
    def portion(after: int | None) -> tuple[list[csv_stream.Row], int | None]:
        found = list(rows.filter(position__gt=after or 0).order_by("position")[:_PORTION])
        return [_row(one) for one in found], found[-1].position if len(found) == _PORTION else None

    return csv_stream.response(_COLUMNS, portion, name=name)


def _row(row: Any) -> csv_stream.Row:
    calls = list(row.calls.all())
    call = calls[0] if calls else None
    dials = call.dials if call else []
    action = next_action(row)
    verdict = getattr(call, "verdict", None) if call else None
    meeting = (verdict.meeting or {}) if verdict else {}
    follow_up = (verdict.follow_up or {}) if verdict else {}
    return (
        row.position,
        row.lead_id,
        row.lead.name,
        row.lead.phone,
        row.status,
        row.outcome,
        row.calls_made,
        _iso(row.next_at),
        f"{action['type']} {_iso(action['at']) or ''}".strip(),
        row.refusal_code,
        row.refusal_detail,
        call.pk if call else None,
        _iso(call.placed_at) if call else None,
        round(call.duration_ms / 1000) if call and call.duration_ms is not None else None,
        call.agent_version.number if call and call.agent_version else None,
        dials[-1]["state"] if dials else None,
        sum(costs.minor(costs.of_call(one.usage, one.duration_ms)) for one in calls if one.ended_at),
        "; ".join(one.outcome or one.status for one in reversed(calls)),
        verdict.qualification if verdict else None,
        verdict.confidence if verdict else None,
        verdict.summary if verdict else None,
        "; ".join(map(str, verdict.reasons)) if verdict else None,
        meeting.get("start"),
        follow_up.get("callback_at"),
        row.callback_of_id,
    )


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
