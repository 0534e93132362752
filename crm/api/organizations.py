"""The firms of leads: companies inside, organizations on the wire (`company_id` is the tenant)."""

import uuid
from typing import ClassVar

import django_filters as df
from django.db.models import Q, QuerySet
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from crm.models import Company
from crm.selectors import companies as read
from crm.services import companies as write
from tenex.rest import filters as strict
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import page
from tenex.rest.schema import filter_parameters, operation, page_of
from tenex.rest.serializers import Input, Output
from tenex.rest.views import ApiView, created, no_content

TAG = "Organizations"


class OrganizationIn(Input):
    """A firm."""

    name = f.CharField(max_length=200)
    domain = f.CharField(max_length=200, required=False, allow_blank=True, help_text="Of its web site.")


class OrganizationPatchIn(OrganizationIn):
    """Changes of a firm. What is absent stays."""


class OrganizationOut(Output):
    """A firm."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id", help_text="Your workspace.")
    name = f.CharField()
    domain = f.CharField()
    created_at = f.DateTimeField()


class OrganizationFilters(df.FilterSet):  # type: ignore[misc]
    domain = df.CharFilter(lookup_expr="iexact", max_length=200, help_text="This domain.")
    created_from = df.IsoDateTimeFilter(
        "created_at", lookup_expr="gte", help_text="Created at this instant or later."
    )
    created_to = df.IsoDateTimeFilter(
        "created_at", lookup_expr="lt", help_text="Created before this instant."
    )
    q = df.CharFilter(method="search", max_length=100, help_text="Part of name or domain.")

    def search(self, rows: QuerySet[Company], name: str, value: str) -> QuerySet[Company]:
        return rows.filter(Q(name__icontains=value) | Q(domain__icontains=value))


class OrganizationList(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "POST": "leads:write"}

    @operation(
        "organizations_list",
        "List organizations",
        "The newest first.",
        tag=TAG,
        response=page_of(OrganizationOut),
        parameters=filter_parameters(OrganizationFilters),
    )
    def get(self, request: Request) -> Response:
        rows = strict.apply(OrganizationFilters, self.query, read.all_of(self.workspace.pk))
        found = page(rows, self.query, bound_to=f"organizations:{self.workspace.pk}")
        return Response(found.as_json(OrganizationOut))

    @operation(
        "organizations_create",
        "Create an organization",
        "A name that exists already, in any letter case, answers 409 `name_taken` with `organization_id`. "
        "A lead's `organization` makes one by itself.",
        tag=TAG,
        request=OrganizationIn,
        response=OrganizationOut,
        status=201,
        errors=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        self.known_query()
        return created(OrganizationOut(write.create(self.workspace, **self.body(OrganizationIn))).data)


class OrganizationDetail(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "PATCH": "leads:write", "DELETE": "leads:write"}

    @operation(
        "organizations_get",
        "Get an organization",
        "Its leads: `GET /leads?organization_id=`.",
        tag=TAG,
        response=OrganizationOut,
        errors=(404,),
    )
    def get(self, request: Request, organization_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(OrganizationOut(read.get(self.workspace.pk, organization_id)).data)

    @operation(
        "organizations_update",
        "Change an organization",
        "Searching leads finds the new name at once.",
        tag=TAG,
        request=OrganizationPatchIn,
        response=OrganizationOut,
        errors=(404, 409),
    )
    def patch(self, request: Request, organization_id: uuid.UUID) -> Response:
        body = self.body(OrganizationPatchIn)
        return Response(OrganizationOut(write.update(self.workspace, organization_id, **body)).data)

    @operation(
        "organizations_delete",
        "Delete an organization",
        "Refused while leads, archived ones too, belong to it (409 `organization_in_use`).",
        tag=TAG,
        status=204,
        errors=(404, 409),
    )
    def delete(self, request: Request, organization_id: uuid.UUID) -> Response:
        write.delete(self.workspace, organization_id)
        return no_content()
