"""What leads have agreed to."""

import uuid
from typing import ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from crm.models import Consent, ConsentPurpose
from crm.selectors import consents as read
from crm.services import consents as write
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView, created

TAG = "Consents"


class ConsentIn(Input):
    """An agreement that somebody gave."""

    purpose = f.ChoiceField(choices=ConsentPurpose.choices)
    source = f.CharField(  # type: ignore[assignment]
        max_length=120, help_text="Where it was given: a form, a call, a contract."
    )
    proof = f.CharField(
        max_length=4096,
        required=False,
        allow_blank=True,
        default="",
        help_text="What proves it: the text shown, the words said, a link to the document.",
    )
    given_at = f.DateTimeField()
    expires_at = f.DateTimeField(required=False, allow_null=True, default=None)


class RevocationIn(Input):
    """Why it does not hold any more."""

    reason = f.CharField(max_length=300, required=False, allow_blank=True, default="")


class ConsentOut(Output):
    """An agreement: what for, where from, what proves it, how long it holds."""

    id = f.UUIDField()
    lead_id = f.UUIDField()
    purpose = f.ChoiceField(choices=ConsentPurpose.choices)
    state = f.SerializerMethodField(help_text="`active` is the only one that allows anything.")
    source = f.CharField()  # type: ignore[assignment]
    proof = f.CharField()
    given_at = f.DateTimeField()
    expires_at = f.DateTimeField(allow_null=True)
    revoked_at = f.DateTimeField(allow_null=True)
    revoked_reason = f.CharField()
    recorded_by = f.CharField(help_text="`key:<prefix>` or `user:<e-mail>`.")
    created_at = f.DateTimeField()

    @extend_schema_field({"type": "string", "enum": list(read.STATES)})
    def get_state(self, consent: Consent) -> str:
        return read.state(consent, timezone.now())


class LeadConsents(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "POST": "leads:write"}

    @operation(
        "consents_list",
        "List a lead's consents",
        "The newest first, those that are over too.",
        tag=TAG,
        response=page_of(ConsentOut),
        parameters=PAGE,
        errors=(404,),
    )
    def get(self, request: Request, lead_id: uuid.UUID) -> Response:
        self.known_query(PAGE_PARAMETERS)
        rows = read.of_lead(self.workspace.pk, lead_id)
        found = page(rows, self.query, bound_to=f"consents:{lead_id}")
        items = ConsentOut(found.items, many=True).data
        return Response({"items": items, "next_cursor": found.next_cursor})

    @operation(
        "consents_create",
        "Record a consent",
        "The record is never edited; revoke it when it does not hold any more. Fires `lead.updated`.",
        tag=TAG,
        request=ConsentIn,
        response=ConsentOut,
        status=201,
        errors=(404,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, lead_id: uuid.UUID) -> Response:
        self.known_query()
        row = write.add(self.workspace, lead_id, actor=self.principal.actor, **self.body(ConsentIn))
        return created(ConsentOut(row).data)


class ConsentRevocation(ApiView):
    scopes: ClassVar = {"POST": "leads:write"}

    @operation(
        "consents_revoke",
        "Revoke a consent",
        "From now on it allows nothing. Doing it twice changes nothing. Fires `lead.updated`.",
        tag=TAG,
        request=RevocationIn,
        response=ConsentOut,
        errors=(404,),
    )
    def post(self, request: Request, lead_id: uuid.UUID, consent_id: uuid.UUID) -> Response:
        self.known_query()
        reason: str = self.body(RevocationIn)["reason"]
        row = write.revoke(self.workspace, lead_id, consent_id, reason=reason, actor=self.principal.actor)
        return Response(ConsentOut(row).data)
