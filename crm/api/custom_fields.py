"""Definitions of custom fields."""

import uuid
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from crm.models import FieldType
from crm.selectors import fields as read
from crm.services import fields as write
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView, created, no_content

TAG = "Custom fields"


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 100},
        "maxItems": write.MAX_CHOICES,
        "uniqueItems": True,
    }
)
class Choices(f.ListField):
    """Each once, whatever its capitals: the service checks that."""


class CustomFieldPatchIn(Input):
    """Changes of a definition. Key and type stay: leads hold values of it."""

    label = f.CharField(max_length=100, required=False, allow_blank=True)  # type: ignore[assignment]
    choices = Choices(
        child=f.CharField(max_length=100),
        required=False,
        max_length=write.MAX_CHOICES,
        help_text="The allowed values of a `choice`, each once, whatever its capitals; what leads have "
        "already stays.",
    )


class CustomFieldIn(CustomFieldPatchIn):
    """A key of `custom`, and what may stand there."""

    key = f.RegexField(r"^[a-z][a-z0-9_]{0,49}$", help_text="Small letters, digits and underscores.")
    type = f.ChoiceField(choices=FieldType.choices)
    together: ClassVar[dict[str, Any]] = {
        "if": {"properties": {"type": {"const": "choice"}}},
        "then": {"required": ["choices"], "properties": {"choices": {"minItems": 1}}},
        "else": {"properties": {"choices": {"maxItems": 0}}},
    }


class CustomFieldOut(Output):
    """A defined key of `custom`."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id")
    key = f.CharField()
    label = f.CharField()  # type: ignore[assignment]
    type = f.ChoiceField(choices=FieldType.choices)
    choices = f.ListField(child=f.CharField())
    created_at = f.DateTimeField()


class CustomFieldList(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "POST": "leads:write"}

    @operation(
        "custom_fields_list",
        "List custom fields",
        "The workspace's definitions, the newest first.",
        tag=TAG,
        response=page_of(CustomFieldOut),
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        self.known_query(PAGE_PARAMETERS)
        found = page(
            read.all_of(self.workspace.pk), self.query, bound_to=f"custom-fields:{self.workspace.pk}"
        )
        return Response(found.as_json(CustomFieldOut))

    @operation(
        "custom_fields_create",
        "Define a custom field",
        "From now on what is written under this key of `custom` must be of that type, and lists and segments "
        "can ask for it. Values that leads have already stay as they are.",
        tag=TAG,
        request=CustomFieldIn,
        response=CustomFieldOut,
        status=201,
        errors=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        self.known_query()
        body = self.body(CustomFieldIn)
        field = write.create(
            self.workspace,
            key=body["key"],
            type_=body["type"],
            label=body.get("label", ""),
            choices=body.get("choices"),
            actor=self.principal.actor,
        )
        return created(CustomFieldOut(field).data)


class CustomFieldDetail(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "PATCH": "leads:write", "DELETE": "leads:write"}

    @operation(
        "custom_fields_get",
        "Get a custom field",
        "One definition.",
        tag=TAG,
        response=CustomFieldOut,
        errors=(404,),
    )
    def get(self, request: Request, field_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(CustomFieldOut(read.get(self.workspace.pk, field_id)).data)

    @operation(
        "custom_fields_update",
        "Change a custom field",
        "Label and choices. A choice that a segment asks for cannot go (409 `field_in_use`).",
        tag=TAG,
        request=CustomFieldPatchIn,
        response=CustomFieldOut,
        errors=(404, 409),
    )
    def patch(self, request: Request, field_id: uuid.UUID) -> Response:
        body = self.body(CustomFieldPatchIn)
        field = write.update(self.workspace, field_id, actor=self.principal.actor, **body)
        return Response(CustomFieldOut(field).data)

    @operation(
        "custom_fields_delete",
        "Delete a definition",
        "The leads keep what they have under the key. Refused while a segment asks for it "
        "(409 `field_in_use`).",
        tag=TAG,
        status=204,
        errors=(404, 409),
    )
    def delete(self, request: Request, field_id: uuid.UUID) -> Response:
        write.delete(self.workspace, field_id, actor=self.principal.actor)
        return no_content()
