"""Why leads were called, or not: the decisions, with what they were made of."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.rest import filters as strict
from tenex.rest.pagination import page
from tenex.rest.schema import filter_parameters, operation, page_of
from tenex.rest.serializers import Output
from tenex.rest.views import ApiView
from voice.api.filters import DecisionFilters
from voice.models import Decision, DecisionStage
from voice.selectors import decisions as read

TAG = "Decisions"


class DecisionOut(Output):
    """One answer to the question whether a lead may be called."""

    id = f.UUIDField()
    lead_id = f.UUIDField(allow_null=True)
    batch_id = f.UUIDField(allow_null=True)
    recipient_id = f.UUIDField(allow_null=True)
    call_id = f.UUIDField(allow_null=True)
    stage = f.ChoiceField(choices=DecisionStage.choices)
    allowed = f.BooleanField()
    code = f.SerializerMethodField(help_text="The first reason against it; null if allowed.")
    detail = f.CharField()
    until = f.DateTimeField(allow_null=True, help_text="When it is asked again; null: never, or allowed.")
    inputs = f.DictField(
        help_text="What it was made of: zones with where they come from and what their clocks showed, the "
        "hours of that day, laws, version of the rules, consent, attempts and limits."
    )
    at = f.DateTimeField(help_text="The instant that was decided about.")

    @extend_schema_field(f.CharField(allow_null=True))
    def get_code(self, decision: Decision) -> str | None:
        return decision.code or None


class DecisionList(ApiView):
    scopes: ClassVar = {"GET": "calls:read"}

    @operation(
        "decisions_list",
        "List decisions",
        "Why leads were called, or were not: each answer of the contactability engine, the newest first. "
        "Written when a lead is taken into a batch or a single call is asked for, and right before each "
        "dial; a refusal that repeats itself stands once.",
        tag=TAG,
        response=page_of(DecisionOut),
        parameters=filter_parameters(DecisionFilters),
    )
    def get(self, request: Request) -> Response:
        rows = strict.apply(DecisionFilters, self.query, read.all_of(self.workspace))
        found = page(rows, self.query, bound_to=f"decisions:{self.workspace.pk}")
        return Response(found.as_json(DecisionOut))
