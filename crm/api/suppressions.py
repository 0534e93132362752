"""The do-not-call list."""

from typing import ClassVar

from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from crm.models import Suppression, SuppressionSource
from crm.services import suppressions
from tenex.errors import existing
from tenex.lib import phone as phones
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView, created
from tenex.workspaces.services import audit

TAG = "Leads"


class SuppressionIn(Input):
    """A number that must not be dialled."""

    phone = f.CharField(max_length=40)
    reason = f.CharField(max_length=300, required=False, allow_blank=True, default="")


class SuppressionOut(Output):
    """A number on the do-not-call list. Only a hash of it is kept, so it cannot be shown."""

    id = f.UUIDField()
    phone_hint = f.CharField()
    source = f.ChoiceField(choices=SuppressionSource.choices)  # type: ignore[assignment]
    reason = f.CharField()
    call_id = f.UUIDField(allow_null=True)
    created_at = f.DateTimeField()


class SuppressionList(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "POST": "leads:write"}

    @operation(
        "suppressions_list",
        "List the do-not-call list",
        "The newest first.",
        tag=TAG,
        response=page_of(SuppressionOut),
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        self.known_query(PAGE_PARAMETERS)
        rows = Suppression.objects.filter(workspace=self.workspace)
        found = page(rows, self.query, bound_to=f"suppressions:{self.workspace.pk}")
        return Response(found.as_json(SuppressionOut))

    @operation(
        "suppressions_create",
        "Never call a number again",
        "Holds before the next dial. Leads with the number are marked as opted out. Doing it again changes "
        "nothing.",
        tag=TAG,
        request=SuppressionIn,
        response=SuppressionOut,
        status=201,
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        data = self.body(SuppressionIn)
        number = phones.normalize(data["phone"], region=self.workspace.default_region)
        suppressions.add(
            self.workspace.pk,
            number,
            source=SuppressionSource.API,
            reason=data["reason"],
            actor=self.principal.actor,
        )
        row = existing(
            Suppression.objects.filter(
                workspace=self.workspace, phone_hash=suppressions.digest(number)
            ).first()
        )
        audit.record(
            self.workspace.pk,
            self.principal.actor,
            "suppression.added",
            object_type="suppression",
            object_id=row.pk,
        )
        return created(SuppressionOut(row).data)
