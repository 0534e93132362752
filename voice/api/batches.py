"""Outbound batches."""

import uuid
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
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
from voice.api.filters import BatchFilters
from voice.api.inputs import AppendLeadsIn, BatchIn, BatchPatchIn
from voice.api.outputs import AppendedOut, BatchOut, CreatedBatchOut
from voice.models import Batch
from voice.selectors import agents as read_agents
from voice.selectors import batches as read
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


def _rejected(rejected: Any) -> list[dict[str, str]]:
    return [{"lead_id": str(one.lead_id), "code": one.code, "detail": one.detail} for one in rejected]


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
        "With a `client_reference` that was used before, the earlier batch is answered.",
        tag=TAG,
        request=BatchIn,
        response=CreatedBatchOut,
        status=201,
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        data = self.body(BatchIn)
        agent = named(read_agents.agents(self.workspace), data.pop("agent_id", None), "agent_id")
        pinned = data.pop("agent_version", None)
        number = named(read_agents.numbers(self.workspace), data.pop("number_id", None), "number_id")
        calendars = read_calendars.all_of(self.workspace.pk)
        calendar = named(calendars, data.pop("calendar_connector_id", None), "calendar_connector_id")
        segment = named(segments.all_of(self.workspace.pk), data.pop("segment_id", None), "segment_id")
        version = None
        if pinned is not None:
            if agent is None:
                raise InvalidInput("name the agent too", loc=("body", "agent_id"), type_="missing")
            version = read_agents.versions(agent).filter(number=pinned).first()
            if version is None:
                raise InvalidInput("no such version", loc=("body", "agent_version"), type_="missing")
        made = write.create(
            self.workspace,
            agent=agent,
            agent_version=version,
            segment=segment,
            number=number,
            calendar=calendar,
            actor=self.principal.actor,
            **data,
        )
        context = {
            "counters": read.counters([made.batch.pk]),
            "accepted": made.accepted,
            "rejected": _rejected(made.rejected),
        }
        return created(CreatedBatchOut(made.batch, context=context).data)


class BatchDetail(ApiView):
    scopes: ClassVar = {"GET": "batches:read", "PATCH": "batches:write"}

    @operation(
        "batches_get",
        "Get a batch",
        "One batch with its counters.",
        tag=TAG,
        response=BatchOut,
        errors=(404,),
    )
    def get(self, request: Request, batch_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(_shown(read.one(self.workspace, batch_id)))

    @operation(
        "batches_update",
        "Change a batch",
        "Name, objective, concurrency and retries of a batch that is not over. Holds from the next call on.",
        tag=TAG,
        request=BatchPatchIn,
        response=BatchOut,
        errors=(404, 409),
    )
    def patch(self, request: Request, batch_id: uuid.UUID) -> Response:
        batch = read.one(self.workspace, batch_id)
        write.update(batch, self.body(BatchPatchIn), self.principal.actor)
        return Response(_shown(read.one(self.workspace, batch_id)))


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
        made = write.append(batch, self.body(AppendLeadsIn)["lead_ids"], actor=self.principal.actor)
        answer = {
            "call_batch_id": str(batch.pk),
            "accepted": made.accepted,
            "rejected": _rejected(made.rejected),
        }
        return created(answer)


class BatchPause(ApiView):
    scopes: ClassVar = {"POST": "batches:write"}

    @operation(
        "batches_pause",
        "Pause",
        "No further lead is called; calls that run go on. A batch that is paused stays so.",
        tag=TAG,
        response=BatchOut,
        errors=(404, 409),
    )
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        write.pause(read.one(self.workspace, batch_id), actor=self.principal.actor)
        return Response(_shown(read.one(self.workspace, batch_id)))


class BatchResume(ApiView):
    scopes: ClassVar = {"POST": "batches:write"}

    @operation("batches_resume", "Resume", "Goes on calling.", tag=TAG, response=BatchOut, errors=(404, 409))
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        write.resume(read.one(self.workspace, batch_id), actor=self.principal.actor)
        return Response(_shown(read.one(self.workspace, batch_id)))


class BatchCancel(ApiView):
    scopes: ClassVar = {"POST": "batches:write"}

    @operation(
        "batches_cancel",
        "Cancel",
        "Ends the batch: leads that were not called yet will not be. Once canceled, again does nothing.",
        tag=TAG,
        response=BatchOut,
        errors=(404, 409),
    )
    def post(self, request: Request, batch_id: uuid.UUID) -> Response:
        write.cancel(read.one(self.workspace, batch_id), actor=self.principal.actor)
        return Response(_shown(read.one(self.workspace, batch_id)))


def _shown(batch: Batch) -> Any:
    return BatchOut(batch, context={"counters": read.counters([batch.pk])}).data
