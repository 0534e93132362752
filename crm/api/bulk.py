"""Up to 500 leads in one request."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.leads import TAG, LeadIn, on_duplicate, on_duplicate_parameter, wire_name
from crm.services import lead_upserts
from crm.services.lead_fields import LeadFields
from crm.services.lead_upserts import Outcome, Result
from tenex.errors import InvalidInput
from tenex.rest.errors import flatten
from tenex.rest.idempotency import idempotent
from tenex.rest.schema import ErrorLocation, operation
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView


@extend_schema_field(LeadIn(many=True))
class Leads(f.ListField):
    """Items are checked one by one: a wrong one hinders no other."""


class BulkIn(Input):
    """Leads to create."""

    leads = Leads(min_length=1, max_length=lead_upserts.MAX_ITEMS)


class BulkItemOut(Output):
    """What became of one item."""

    index = f.IntegerField(help_text="Place in `leads`, from 0.")
    result = f.ChoiceField(choices=[str(one) for one in Result])
    lead_id = f.UUIDField(allow_null=True, help_text="Made, changed, or in the way.")
    errors = ErrorLocation(  # type: ignore[assignment]
        many=True, help_text="Of a failed one: as in a 422, with `duplicate_lead` among the types."
    )


class BulkOut(Output):
    """What became of all, in order."""

    created = f.IntegerField()
    updated = f.IntegerField()
    unchanged = f.IntegerField()
    skipped = f.IntegerField()
    failed = f.IntegerField()
    results = BulkItemOut(many=True)


class LeadBulk(ApiView):
    scopes: ClassVar = {"POST": "leads:write"}

    @operation(
        "leads_bulk_create",
        "Create many leads",
        "At most 500; each has its own result, and one that fails hinders no other. Items count in order: a "
        "second one with the same phone is a duplicate of the first. Events as from single requests, all in "
        "one transaction.",
        tag=TAG,
        request=BulkIn,
        response=BulkOut,
        parameters=[on_duplicate_parameter()],
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        self.known_query(("on_duplicate",))
        wanted = on_duplicate(self.query)
        given: list[Any] = self.body(BulkIn)["leads"]
        form = LeadIn()
        refused: dict[int, list[dict[str, Any]]] = {}
        items: list[LeadFields | InvalidInput] = []
        for index, item in enumerate(given):
            try:
                items.append(form.run_validation(item))
            except ValidationError as exc:
                refused[index] = list(flatten(exc.detail, ("body", "leads", index)))
                items.append(InvalidInput("refused"))
        outcomes = lead_upserts.save_many(
            self.workspace, items, on_duplicate=wanted, actor=self.principal.actor
        )
        results = [
            {
                "index": index,
                "result": str(one.result),
                "lead_id": one.lead_id,
                "errors": refused.get(index) or _errors(index, one),
            }
            for index, one in enumerate(outcomes)
        ]
        counts = {str(kind): sum(one.result == kind for one in outcomes) for kind in Result}
        return Response(BulkOut({**counts, "results": results}).data)


def _errors(index: int, outcome: Outcome) -> list[dict[str, Any]]:
    error = outcome.error
    if error is None:
        return []
    loc: list[str | int] = ["body", "leads", index]
    if isinstance(error, InvalidInput):
        loc += [wire_name(part) for part in error.loc[1:]]
        return [{"loc": loc, "msg": error.detail, "type": error.type_}]
    return [{"loc": loc, "msg": error.detail, "type": error.code}]
