"""Legal holds: what must not be deleted, whatever its time is."""

import uuid
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from crm.selectors import leads as read_leads
from tenex.rest import filters as strict
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import page
from tenex.rest.schema import filter_parameters, operation, page_of
from tenex.rest.serializers import Input, Output, either
from tenex.rest.views import ApiView, created
from voice.api.batches import named
from voice.api.filters import HoldFilters
from voice.models import LegalHold
from voice.selectors import calls as read_calls
from voice.selectors import retention as read
from voice.services import holds

TAG = "Retention"
_ABOUT = ("call_id", "lead_id", "everything")


@extend_schema_field({"type": "boolean", "enum": [True]})
class OnlyTrue(f.BooleanField):
    """It is said, or left out."""

    default_error_messages = {"only_true": "is true or left out"}

    def to_internal_value(self, data: Any) -> bool:
        if not super().to_internal_value(data):
            self.fail("only_true")
        return True


class HoldIn(Input):
    """What to hold, and why: exactly one of `call_id`, `lead_id` and `everything`."""

    call_id = f.UUIDField(required=False, help_text="This call.")
    lead_id = f.UUIDField(required=False, help_text="This lead and all calls with it.")
    everything = OnlyTrue(required=False, help_text="All that the workspace has.")
    reason = f.CharField(
        min_length=holds.REASON_CHARS_LEAST,
        max_length=holds.REASON_CHARS,
        help_text="Kept with who held it.",
    )

    together: ClassVar[dict[str, Any]] = either(*_ABOUT)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len([name for name in _ABOUT if name in attrs]) != 1:
            wrong = f.ErrorDetail("give exactly one of call_id, lead_id and everything", code="one_of")
            raise f.ValidationError({"call_id": [wrong]})
        return attrs


class HoldOut(Output):
    """While it is not released, nothing of what it is about is deleted, by its time or by an erasure."""

    id = f.UUIDField()
    call_id = f.UUIDField(allow_null=True)
    lead_id = f.UUIDField(allow_null=True)
    everything = f.SerializerMethodField(help_text="It is about all that the workspace has.")
    reason = f.CharField()
    held_by = f.CharField(help_text="`key:<prefix>` or `user:<e-mail>`.")
    created_at = f.DateTimeField()
    released_at = f.DateTimeField(allow_null=True)

    def get_everything(self, hold: LegalHold) -> bool:
        return hold.call_id is None and hold.lead_id is None


class HoldList(ApiView):
    scopes: ClassVar = {"GET": "settings:read", "POST": "settings:write"}

    @operation(
        "retention_holds_list",
        "List legal holds",
        "The newest first, also those that are released.",
        tag=TAG,
        response=page_of(HoldOut),
        parameters=filter_parameters(HoldFilters),
    )
    def get(self, request: Request) -> Response:
        rows = strict.apply(HoldFilters, self.query, read.all_holds(self.workspace))
        found = page(rows, self.query, bound_to=f"holds:{self.workspace.pk}")
        return Response({"items": HoldOut(found.items, many=True).data, "next_cursor": found.next_cursor})

    @operation(
        "retention_holds_create",
        "Hold",
        "From now on nothing of it is deleted, and an erasure of whom it is about waits. Noted in the audit "
        "log.",
        tag=TAG,
        request=HoldIn,
        response=HoldOut,
        status=201,
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        self.known_query()
        sent = self.body(HoldIn)
        call = named(read_calls.all_of(self.workspace), sent.get("call_id"), "call_id")
        lead = named(read_leads.all_of(self.workspace.pk, archived=None), sent.get("lead_id"), "lead_id")
        made = holds.hold(
            self.workspace,
            reason=sent["reason"],
            actor=self.principal.actor,
            call_id=call.pk if call else None,
            lead_id=lead.pk if lead else None,
        )
        return created(HoldOut(made).data)


class HoldDetail(ApiView):
    scopes: ClassVar = {"GET": "settings:read"}

    @operation(
        "retention_holds_get",
        "Get a legal hold",
        "What it is about, why, by whom, and whether it is released.",
        tag=TAG,
        response=HoldOut,
        errors=(404,),
    )
    def get(self, request: Request, hold_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(HoldOut(read.hold(self.workspace, hold_id)).data)


class HoldRelease(ApiView):
    scopes: ClassVar = {"POST": "settings:write"}

    @operation(
        "retention_holds_release",
        "Release a legal hold",
        "What is past its time, and erasures that wait for it, go within minutes. The hold stays in the "
        "list. Noted in the audit log. 409 `hold_released` if it was before.",
        tag=TAG,
        response=HoldOut,
        errors=(404, 409),
    )
    def post(self, request: Request, hold_id: uuid.UUID) -> Response:
        self.known_query()
        holds.release(read.hold(self.workspace, hold_id), actor=self.principal.actor)
        return Response(HoldOut(read.hold(self.workspace, hold_id)).data)
