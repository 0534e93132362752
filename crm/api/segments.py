"""Segments: leads by hand or by rules."""

import uuid
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.leads import LeadOut
from crm.models import SegmentKind
from crm.selectors import conditions
from crm.selectors import leads as read_leads
from crm.selectors import segments as read
from crm.services import segments as write
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.serializers import FreeObject, Input, Output
from tenex.rest.views import ApiView, created, no_content

TAG = "Segments"
_OPS = sorted({op for ops in conditions.OPS.values() for op in ops})
_CONDITION: dict[str, Any] = {
    "type": "object",
    "description": "A condition (`field`, `op`, `value`), or a group: `all`, `any` (lists of such objects) "
    "or `not` (one). At most 50 conditions, five levels.",
    "properties": {
        "field": {
            "type": "string",
            "description": f"{', '.join(conditions.FIELDS)} or `custom.<key>`.",
            "examples": ["stage", "custom.plan"],
        },
        "op": {"type": "string", "enum": _OPS},
        "value": {
            "type": ["string", "number", "boolean", "array"],
            "items": {"type": ["string", "number"]},
            "description": "Of the field's type; a list for `in` and `not_in`.",
        },
        "all": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
        "any": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
        "not": {"type": "object", "additionalProperties": True},
    },
    "additionalProperties": False,
}
_RULES: dict[str, Any] = {
    "type": "object",
    "description": "`all` conditions hold, or `any` of them.",
    "properties": {
        "all": {"type": "array", "items": _CONDITION},
        "any": {"type": "array", "items": _CONDITION, "minItems": 1},
    },
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "examples": [{"all": [{"field": "stage", "op": "in", "value": ["new", "contacted"]}]}],
}


@extend_schema_field(_RULES)
class Rules(FreeObject):
    """Checked by the engine that asks them."""


class SegmentPatchIn(Input):
    """Changes of a segment. Its kind stays."""

    name = f.CharField(max_length=120)
    description = f.CharField(max_length=500, required=False, allow_blank=True)
    rules = Rules(required=False, help_text="Of a segment of kind `rules`.")


class SegmentIn(SegmentPatchIn):
    """A new segment."""

    kind = f.ChoiceField(choices=SegmentKind.choices)
    together: ClassVar[dict[str, Any]] = {
        "if": {"properties": {"kind": {"const": "rules"}}},
        "then": {"required": ["rules"]},
        "else": {"not": {"required": ["rules"]}},
    }


class MembersIn(Input):
    """Leads that come or go."""

    lead_ids = f.ListField(child=f.UUIDField(), min_length=1, max_length=write.MAX_AT_ONCE)


class MembersOut(Output):
    """How many it concerned; those that were there, or gone, already are not counted."""

    changed = f.IntegerField()


class SegmentOut(Output):
    """A named set of leads."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id")
    name = f.CharField()
    description = f.CharField()
    kind = f.ChoiceField(choices=SegmentKind.choices)
    rules = f.SerializerMethodField(help_text="null if it is static.")
    created_at = f.DateTimeField()
    updated_at = f.DateTimeField()

    @extend_schema_field({"oneOf": [_RULES, {"type": "null"}]})
    def get_rules(self, segment: Any) -> Any:
        return segment.rules


class CountedSegmentOut(SegmentOut):
    """A named set of leads and how many belong to it now."""

    lead_count = f.SerializerMethodField(help_text="Leads that belong to it now; archived ones do not.")

    def get_lead_count(self, segment: Any) -> int:
        return read.leads_of(segment).count()


class SegmentList(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "POST": "leads:write"}

    @operation(
        "segments_list",
        "List segments",
        "The newest first.",
        tag=TAG,
        response=page_of(SegmentOut),
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        self.known_query(PAGE_PARAMETERS)
        found = page(read.all_of(self.workspace.pk), self.query, bound_to=f"segments:{self.workspace.pk}")
        return Response(found.as_json(SegmentOut))

    @operation(
        "segments_create",
        "Create a segment",
        "Static: a list kept by hand. Rules: whoever fits them when they are asked.",
        tag=TAG,
        request=SegmentIn,
        response=CountedSegmentOut,
        status=201,
        errors=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        self.known_query()
        segment = write.create(self.workspace, actor=self.principal.actor, **self.body(SegmentIn))
        return created(CountedSegmentOut(segment).data)


class SegmentDetail(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "PATCH": "leads:write", "DELETE": "leads:write"}

    @operation(
        "segments_get",
        "Get a segment",
        "With the number of its leads.",
        tag=TAG,
        response=CountedSegmentOut,
        errors=(404,),
    )
    def get(self, request: Request, segment_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(CountedSegmentOut(read.get(self.workspace.pk, segment_id)).data)

    @operation(
        "segments_update",
        "Change a segment",
        "Name, description, rules.",
        tag=TAG,
        request=SegmentPatchIn,
        response=CountedSegmentOut,
        errors=(404, 409),
    )
    def patch(self, request: Request, segment_id: uuid.UUID) -> Response:
        body = self.body(SegmentPatchIn)
        segment = write.update(self.workspace, segment_id, actor=self.principal.actor, **body)
        return Response(CountedSegmentOut(segment).data)

    @operation("segments_delete", "Delete a segment", "Its leads stay.", tag=TAG, status=204, errors=(404,))
    def delete(self, request: Request, segment_id: uuid.UUID) -> Response:
        write.delete(self.workspace, segment_id, actor=self.principal.actor)
        return no_content()


class SegmentLeads(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "POST": "leads:write"}

    @operation(
        "segments_leads",
        "List a segment's leads",
        "Whoever belongs to it now, the newest lead first. With more filters: `GET /leads?segment_id=`.",
        tag=TAG,
        response=page_of(LeadOut),
        parameters=PAGE,
        errors=(404,),
    )
    def get(self, request: Request, segment_id: uuid.UUID) -> Response:
        self.known_query(PAGE_PARAMETERS)
        segment = read.get(self.workspace.pk, segment_id)
        rows = read_leads.with_consents(read.leads_of(segment))
        found = page(rows, self.query, bound_to=f"segment:{segment.pk}")
        return Response(found.as_json(LeadOut))

    @operation(
        "segments_add",
        "Add leads to a static segment",
        "At most 500 a request. An id that names no lead refuses them all.",
        tag=TAG,
        request=MembersIn,
        response=MembersOut,
        errors=(404, 409),
    )
    def post(self, request: Request, segment_id: uuid.UUID) -> Response:
        self.known_query()
        lead_ids = self.body(MembersIn)["lead_ids"]
        return Response({"changed": write.add(self.workspace, segment_id, lead_ids)})


class SegmentRemoval(ApiView):
    scopes: ClassVar = {"POST": "leads:write"}

    @operation(
        "segments_remove",
        "Take leads out of a static segment",
        "At most 500 a request. The leads stay.",
        tag=TAG,
        request=MembersIn,
        response=MembersOut,
        errors=(404, 409),
    )
    def post(self, request: Request, segment_id: uuid.UUID) -> Response:
        self.known_query()
        lead_ids = self.body(MembersIn)["lead_ids"]
        return Response({"changed": write.remove(self.workspace, segment_id, lead_ids)})
