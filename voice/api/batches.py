"""Outbound batches: made, changed, started and stopped."""

import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from crm.selectors import calendars as read_calendars
from crm.selectors import segments
from tenex.errors import InvalidInput
from tenex.rest import filters as strict
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import page
from tenex.rest.schema import filter_parameters, operation, page_of
from tenex.rest.views import ApiView, created
from tenex.workspaces.models import Workspace
from voice.api.batch_inputs import AppendLeadsIn, BatchIn, BatchPatchIn
from voice.api.batch_outputs import (
    AppendedOut,
    BatchDetailOut,
    BatchOut,
    CreatedBatchOut,
    PreviewOut,
)
from voice.api.filters import BatchFilters
from voice.models import Agent, AgentVersion, Batch
from voice.outbound import forecast, foresight
from voice.selectors import agents as read_agents
from voice.selectors import batch_stats
from voice.selectors import batches as read
from voice.selectors.batches import Counters
from voice.services import batch_members
from voice.services import batches as write

TAG = "Batches"


def named[T: Model](rows: QuerySet[T], row_id: uuid.UUID | None, field: str) -> T | None:
    """The row that a body names.

    Raises:
        InvalidInput: none such in this workspace.
    """
    if row_id is None:
        return None
    row = rows.filter(pk=row_id).first()
    if row is None:
        raise InvalidInput("there is no such thing here", loc=("body", field), type_="missing")
    return row


def parts(workspace: Workspace, data: dict[str, Any], *, of: Batch | None = None) -> dict[str, Any]:
    """A body with rows in the place of ids, as the services take it. `of`: the batch that it changes.

    Raises:
        InvalidInput: an id that is nobody's here.
    """
    given = dict(data)
    agent = named(read_agents.agents(workspace), given.pop("agent_id", None), "agent_id")
    number = named(read_agents.numbers(workspace), given.pop("number_id", None), "number_id")
    calendar_id = given.pop("calendar_connector_id", None)
    calendar = named(read_calendars.all_of(workspace.pk), calendar_id, "calendar_connector_id")
    segment = named(segments.all_of(workspace.pk), given.pop("segment_id", None), "segment_id")
    found = {"agent": agent, "number": number, "calendar": calendar, "segment": segment}
    given |= {name: row for name, row in found.items() if row is not None}
    if "agent_version" in given and (pinned := given.pop("agent_version")) is not None:
        given["agent_version"] = _pinned(agent or (of.agent if of else None), pinned)
    elif "agent_version" in data and of is not None:
        given["agent_version"] = None
    if "versions" in given:
        given["versions"] = [
            (_version(workspace, one["agent_version_id"], index), one["weight"])
            for index, one in enumerate(given["versions"])
        ]
        if given["versions"] and agent is None and of is None:
            given["agent"] = given["versions"][0][0].agent
    if "leads" in given:
        given["leads"] = [(one["lead_id"], one.get("variables", {})) for one in given["leads"]]
    return given


def _pinned(agent: Agent | None, number: int) -> AgentVersion:
    if agent is None:
        raise InvalidInput("name the agent too", loc=("body", "agent_id"), type_="missing")
    version = read_agents.versions(agent).filter(number=number).first()
    if version is None:
        raise InvalidInput("no such version", loc=("body", "agent_version"), type_="missing")
    return version


def _version(workspace: Workspace, version_id: uuid.UUID, index: int) -> AgentVersion:
    version = read_agents.any_version(workspace, version_id)
    if version is None:
        place = ("body", "versions", index, "agent_version_id")
        raise InvalidInput("there is no such thing here", loc=place, type_="missing")
    return version


def rejected(found: Any) -> list[dict[str, str]]:
    return [{"lead_id": str(one.lead_id), "code": one.code, "detail": one.detail} for one in found]


def progress(batch: Batch, counters: Counters) -> dict[str, Any]:
    """What :class:`ProgressOut` shows of a batch that was read whole."""
    found = batch_stats.progress(batch)
    return {
        "done": counters.done,
        "waiting": found.waiting,
        "waiting_until": found.waiting_until,
        "refused": found.refused,
        "live": found.live,
        "cost_microusd": batch.spent_microusd + found.live_microusd,
        "over_soft_budget": batch.soft_budget_at is not None,
        "expected": forecast.of(batch, found.openings, timezone.now()),
    }


def detail(workspace: Workspace, batch_id: uuid.UUID) -> Any:
    """A batch with its progress, as `GET /batches/{id}` shows it."""
    batch = read.whole(workspace, batch_id)
    counters = read.counters([batch.pk])
    context = {
        "counters": counters,
        "progress": progress(batch, counters[batch.pk]),
        "uploads": read.uploads(batch),
    }
    return BatchDetailOut(batch, context=context).data


def foreseen(workspace: Workspace, data: dict[str, Any]) -> Any:
    """What a batch of this body would do: nothing is written."""
    given = parts(workspace, data)
    lead_ids, leads = given.pop("lead_ids", ()), given.pop("leads", ())
    segment = given.get("segment")
    batch = write.planned(workspace, **given)
    at = foresight.begins(batch, timezone.now())
    if segment is not None:
        return PreviewOut(foresight.preview_of_segment(batch, segment, at)).data
    members = batch_members.members(workspace, lead_ids, leads)
    return PreviewOut(foresight.preview_of(batch, [one.lead for one in members], at)).data


class BatchList(ApiView):
    scopes: ClassVar = {"GET": "batches:read", "POST": "batches:write"}

    @operation(
        "batches_list",
        "List batches",
        "Batches with their counters, the newest first.",
        tag=TAG,
        response=page_of(BatchOut),
        parameters=filter_parameters(BatchFilters),
    )
    def get(self, request: Request) -> Response:
        rows = strict.apply(BatchFilters, self.query, read.all_of(self.workspace))
        found = page(rows, self.query, bound_to=f"batches:{self.workspace.pk}")
        counters = read.counters([batch.pk for batch in found.items])
        items = BatchOut(found.items, many=True, context={"counters": counters}).data
        return Response({"items": items, "next_cursor": found.next_cursor})

    @operation(
        "batches_create",
        "Start a batch",
        "Calls up to 500 leads, or all of a segment, with one objective. `lead_ids` and `objective` are "
        "enough. Leads that may not be called are in `rejected`, with a reason; those of a segment are "
        "in the results, as `refused`. "
        "With a `client_reference` that was used before, the earlier batch is answered. "
        "`draft` keeps it waiting for `…/start`; `dry_run` makes nothing and answers a preview.",
        tag=TAG,
        request=BatchIn,
        response={201: CreatedBatchOut, 200: PreviewOut},
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        data = self.body(BatchIn)
        if data.pop("dry_run", False):
            data.pop("draft", None)
            return Response(foreseen(self.workspace, data))
        made = write.create(self.workspace, actor=self.principal.actor, **parts(self.workspace, data))
        return created(shown_as_made(self.workspace, made))


def shown_as_made(workspace: Workspace, made: write.BatchCreated) -> Any:
    """The answer to whoever made a batch."""
    context = {
        "counters": read.counters([made.batch.pk]),
        "accepted": made.accepted,
        "rejected": rejected(made.rejected),
    }
    return CreatedBatchOut(read.one(workspace, made.batch.pk), context=context).data


class BatchDetail(ApiView):
    scopes: ClassVar = {"GET": "batches:read", "PATCH": "batches:write"}

    @operation(
        "batches_get",
        "Get a batch",
        "One batch: counters, progress, and when it would be through, as far as past calls tell.",
        tag=TAG,
        response=BatchDetailOut,
        errors=(404,),
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(detail(self.workspace, batch_id))

    @operation(
        "batches_update",
        "Change a batch",
        "A draft can be changed in everything, a batch that is not over in name, objective, hours, pace, "
        "retries, voicemail, priority and budgets; else `batch_started` with the `fields`. Holds from the "
        "next call on.",
        tag=TAG,
        request=BatchPatchIn,
        response=BatchDetailOut,
        errors=(404, 409),
    )
    def patch(self, request: Request, batch_id: uuid.UUID) -> Response:
        batch = read.whole(self.workspace, batch_id)
        changes = parts(self.workspace, self.body(BatchPatchIn), of=batch)
        write.update(batch, changes, self.principal.actor)
        return Response(detail(self.workspace, batch_id))


class BatchLeads(ApiView):
    scopes: ClassVar = {"POST": "batches:write"}

    @operation(
        "batches_append",
        "Append leads",
        "Adds up to 500 leads to a batch that is not over. A lead that is in it already is rejected.",
        tag=TAG,
        request=AppendLeadsIn,
        response=AppendedOut,
        status=201,
        errors=(404, 409),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        batch = read.one(self.workspace, batch_id)
        given = parts(self.workspace, self.body(AppendLeadsIn))
        made = write.append(
            batch, given.get("lead_ids", ()), leads=given.get("leads", ()), actor=self.principal.actor
        )
        answer = {
            "call_batch_id": str(batch.pk),
            "accepted": made.accepted,
            "rejected": rejected(made.rejected),
        }
        return created(answer)


class _Control(ApiView):
    """One verb; asking again changes nothing."""

    scopes: ClassVar = {"POST": "batches:write"}
    verb: ClassVar[Callable[..., Batch]]

    def control(self, batch_id: uuid.UUID) -> Response:
        type(self).verb(read.one(self.workspace, batch_id), actor=self.principal.actor)
        return Response(detail(self.workspace, batch_id))


class BatchStart(_Control):
    verb = staticmethod(write.start)

    @operation(
        "batches_start",
        "Start",
        "A draft begins: at `starts_at`, or now. A batch that has started stays as it is.",
        tag=TAG,
        response=BatchDetailOut,
        errors=(404, 409, 422),
    )
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        return self.control(batch_id)


class BatchPause(_Control):
    verb = staticmethod(write.pause)

    @operation(
        "batches_pause",
        "Pause",
        "No further lead is called; calls that run go on. A batch that is paused stays so.",
        tag=TAG,
        response=BatchDetailOut,
        errors=(404, 409),
    )
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        return self.control(batch_id)


class BatchResume(_Control):
    verb = staticmethod(write.resume)

    @operation(
        "batches_resume",
        "Resume",
        "Goes on calling. `budget_spent`: raise the budget first.",
        tag=TAG,
        response=BatchDetailOut,
        errors=(404, 409),
    )
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        return self.control(batch_id)


class BatchCancel(_Control):
    verb = staticmethod(write.cancel)

    @operation(
        "batches_cancel",
        "Cancel",
        "Ends the batch: leads that were not called yet will not be. Once canceled, again does nothing.",
        tag=TAG,
        response=BatchDetailOut,
        errors=(404, 409),
    )
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        return self.control(batch_id)
