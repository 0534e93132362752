"""The list of calls, and the same as a file."""

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.utils import timezone

from tenex.errors import InvalidInput
from tenex.pages.forms import problems
from tenex.pages.views import PageView
from tenex.rest import csv_stream
from tenex.rest.errors import QueryInvalid
from tenex.rest.off_loop import off_loop
from tenex.rest.pagination import PAGE_PARAMETERS, Page, page
from tenex.workspaces.models import Workspace
from tenex.workspaces.services import audit
from voice.console import call_filters
from voice.models import Call

_PORTION = "200"
COLUMNS = (
    "id", "created_at", "direction", "status", "outcome", "end_reason", "from", "to", "lead_id", "lead_name",
    "organization", "agent", "agent_version", "batch", "answered_at", "ended_at", "duration_s",
    "first_audio_ms", "answer_p50_ms", "qualification", "confidence", "needs_review", "corrected_at",
    "summary", "recording",
)  # fmt: skip


class CallList(PageView):
    """Filters as the API's list has them; what makes no sense is said above the list, which is then empty."""

    scope = "calls:read"
    nav = "calls"

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = call_filters.asked(request.GET)
        offered = call_filters.choices(self.workspace)
        context: dict[str, Any] = {
            "asked": request.GET,
            "picked": [part for value in request.GET.getlist("outcome") for part in value.split(",") if part],
            "offered": offered,
            "chips": call_filters.chips(request.GET, offered),
            "further": _FURTHER & {name for name in request.GET if request.GET[name].strip()},
            "export": f"calls.csv?{_unpaged(request.GET).urlencode()}",
        }
        try:
            found = _page(self.workspace, asked)
        except (InvalidInput, QueryInvalid) as exc:
            return self.page("console/calls.html", {**context, "problems": problems(exc)}, status=422)
        return self.page(
            "console/calls.html", {**context, "calls": found.items, "next_cursor": found.next_cursor}
        )


_FURTHER = {"direction", "batch_id", "number_id", "status", "version", "lead_id", "hour", "weekday"}
"""Filters that stand in the second row of the form."""


class CallExport(PageView):
    """All calls that the filters leave, the newest first, as CSV; noted in the audit log."""

    scope = "calls:read"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        asked = call_filters.asked(_unpaged(request.GET))
        workspace, zone = self.workspace, timezone.get_current_timezone()
        call_filters.rows(workspace, asked)  # what makes no sense is an error page, not a broken file
        audit.record(
            workspace.pk,
            self.principal.actor,
            "calls.exported",
            object_type="workspace",
            object_id=workspace.pk,
            data={"query": asked.urlencode()[:1000]},
        )

        @off_loop
        def portion(cursor: str | None) -> tuple[list[csv_stream.Row], str | None]:
            query = asked.copy()
            query["limit"] = _PORTION
            if cursor:
                query["cursor"] = cursor
            with timezone.override(zone):
                found = _page(workspace, query)
            return [_cells(call) for call in found.items], found.next_cursor

        answer = csv_stream.response(COLUMNS, portion, name=f"calls-{timezone.localdate():%Y-%m-%d}.csv")
        answer["Cache-Control"] = "no-store"
        return answer


def _page(workspace: Workspace, query: QueryDict) -> Page[Call]:
    return page(call_filters.rows(workspace, query), query, bound_to=f"console-calls:{workspace.pk}")


def _unpaged(query: QueryDict) -> QueryDict:
    kept = query.copy()
    for name in PAGE_PARAMETERS:
        kept.pop(name, None)
    return kept


def _cells(call: Call) -> csv_stream.Row:
    verdict, lead = getattr(call, "verdict", None), call.lead
    return (
        call.pk, call.created_at.isoformat(), call.direction, call.status, call.outcome, call.end_reason,
        call.from_number, call.to_number, call.lead_id, lead.name if lead else None,
        lead.company.name if lead and lead.company else None, call.agent.name if call.agent else None,
        call.agent_version.number if call.agent_version else None, call.batch.name if call.batch else None,
        call.answered_at and call.answered_at.isoformat(), call.ended_at and call.ended_at.isoformat(),
        None if call.duration_ms is None else round(call.duration_ms / 1000, 1),
        call.latency.get("first_audio_ms"), call.latency.get("turn_ms", {}).get("p50"),
        verdict.qualification if verdict else None, verdict.confidence if verdict else None,
        verdict.needs_review if verdict else None,
        verdict.corrected_at.isoformat() if verdict and verdict.corrected_at else None,
        verdict.summary if verdict else None, bool(getattr(call, "recorded", False)),
    )  # fmt: skip
