"""Leads, their timeline, and the do-not-call list."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import django_filters as df
from django.db.models import Q, QuerySet
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from crm.models import Lead, Qualification, Stage, Suppression, SuppressionSource, TimelineEntry
from crm.selectors import leads as read
from crm.services import leads as write
from crm.services import suppressions
from tenex.errors import InvalidInput, NotFound
from tenex.lib import phone as phones
from tenex.rest import filters as strict
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, filter_parameters, operation, page_of
from tenex.rest.serializers import FreeObject, Input, Output
from tenex.rest.views import ApiView, created, no_content
from tenex.workspaces.services import audit

TAG = "Leads"


class LeadIn(Input):
    """A new lead."""

    first_name = f.CharField(max_length=100, required=False, allow_blank=True)
    last_name = f.CharField(max_length=100, required=False, allow_blank=True)
    title = f.CharField(max_length=120, required=False, allow_blank=True)
    phone = f.CharField(
        max_length=40, required=False, allow_null=True, help_text="International, or national in your region."
    )
    email = f.EmailField(max_length=254, required=False, allow_null=True)
    time_zone = f.CharField(max_length=64, required=False, allow_blank=True, help_text="IANA name.")
    source = f.CharField(max_length=80, required=False, allow_blank=True)  # type: ignore[assignment]
    notes = f.CharField(max_length=4096, required=False, allow_blank=True)
    custom = FreeObject(required=False, help_text="Your own fields.")
    stage = f.ChoiceField(choices=Stage.choices, required=False)
    owner_id = f.UUIDField(required=False, allow_null=True)
    organization_id = f.UUIDField(required=False, allow_null=True, source="company_id")
    organization = f.CharField(
        max_length=200,
        required=False,
        source="company_name",
        help_text="The lead's firm: found by name, or made.",
    )


class LeadPatchIn(LeadIn):
    """Changes of a lead. What is absent stays."""


class LeadOut(Output):
    """A lead."""

    id = f.UUIDField()
    company_id = f.UUIDField(
        source="workspace_id", help_text="Your workspace (the lead's firm is `organization_id`)."
    )
    first_name = f.CharField()
    last_name = f.CharField()
    title = f.CharField()
    phone = f.CharField(allow_null=True)
    email = f.CharField(allow_null=True)
    organization_id = f.UUIDField(source="company_id", allow_null=True)
    organization = f.SerializerMethodField(help_text="Name of the lead's firm.")
    owner_id = f.UUIDField(allow_null=True)
    time_zone = f.CharField()
    source = f.CharField()  # type: ignore[assignment]
    notes = f.CharField()
    custom = f.DictField()
    stage = f.ChoiceField(choices=Stage.choices)
    qualification = f.SerializerMethodField()
    last_call_at = f.DateTimeField(allow_null=True)
    last_outcome = f.SerializerMethodField()
    opted_out_at = f.DateTimeField(allow_null=True, help_text="Asked not to be called.")
    archived_at = f.DateTimeField(allow_null=True)
    created_at = f.DateTimeField()
    updated_at = f.DateTimeField()

    def get_organization(self, lead: Lead) -> str | None:
        return lead.company.name if lead.company else None

    def get_qualification(self, lead: Lead) -> str | None:
        return lead.qualification or None

    def get_last_outcome(self, lead: Lead) -> str | None:
        return lead.last_outcome or None


class TimelineEntryOut(Output):
    """One line of a lead's history."""

    id = f.UUIDField()
    type = f.CharField()
    summary = f.CharField()
    call_id = f.UUIDField(allow_null=True)
    data = f.DictField()  # type: ignore[assignment]
    created_at = f.DateTimeField()


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


class LeadFilters(df.FilterSet):  # type: ignore[misc]
    stage = df.ChoiceFilter(choices=Stage.choices, help_text="Stage of the sale.")
    qualification = df.ChoiceFilter(choices=Qualification.choices, help_text="What the last verdict said.")
    phone = df.CharFilter(max_length=40, help_text="This number, in E.164.")
    email = df.CharFilter(max_length=254, lookup_expr="iexact", help_text="This address.")
    opted_out = df.BooleanFilter(
        "opted_out_at", lookup_expr="isnull", exclude=True, help_text="Whether they asked not to be called."
    )
    archived = df.BooleanFilter(
        "archived_at", lookup_expr="isnull", exclude=True, help_text="Archived leads instead of the others."
    )
    q = df.CharFilter(method="search", max_length=100, help_text="Words of name, e-mail, phone or firm.")

    def search(self, rows: QuerySet[Lead], name: str, value: str) -> QuerySet[Lead]:
        for word in value.split()[:5]:
            rows = rows.filter(
                Q(first_name__icontains=word)
                | Q(last_name__icontains=word)
                | Q(email__icontains=word)
                | Q(phone__contains=word)
                | Q(company__name__icontains=word)
            )
        return rows


_WIRE_NAMES = {"company_id": "organization_id", "company_name": "organization"}
"""On the wire `company_id` is the tenant (contract.md 1), so a lead's firm has another name."""


@contextmanager
def _wire_names() -> Iterator[None]:
    """Errors of the service, with the fields as the client named them."""
    try:
        yield
    except InvalidInput as exc:
        exc.loc = tuple(_WIRE_NAMES.get(str(part), part) for part in exc.loc)
        raise


class LeadList(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "POST": "leads:write"}

    @operation(
        "leads_list",
        "List leads",
        "Leads that are not archived, the newest first.",
        tag=TAG,
        response=page_of(LeadOut),
        parameters=filter_parameters(LeadFilters),
    )
    def get(self, request: Request) -> Response:
        rows = read.all_of(self.workspace.pk, archived=None if "archived" in self.query else False)
        rows = strict.apply(LeadFilters, self.query, rows)
        found = page(rows, self.query, bound_to=f"leads:{self.workspace.pk}")
        return Response({"items": LeadOut(found.items, many=True).data, "next_cursor": found.next_cursor})

    @operation(
        "leads_create",
        "Create a lead",
        "A phone or e-mail that a lead has already answers 409 `duplicate_lead` with its `lead_id`.",
        tag=TAG,
        request=LeadIn,
        response=LeadOut,
        status=201,
        errors=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        with _wire_names():
            lead = write.create(self.workspace, actor=self.principal.actor, **self.body(LeadIn))
        return created(LeadOut(read.get(self.workspace.pk, lead.pk)).data)


class LeadDetail(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "PATCH": "leads:write", "DELETE": "leads:write"}

    @operation(
        "leads_get", "Get a lead", "One lead, archived or not.", tag=TAG, response=LeadOut, errors=(404,)
    )
    def get(self, request: Request, lead_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(LeadOut(read.get(self.workspace.pk, lead_id)).data)

    @operation(
        "leads_update",
        "Change a lead",
        "Fires `lead.updated` with what changed; a change of nothing fires nothing.",
        tag=TAG,
        request=LeadPatchIn,
        response=LeadOut,
        errors=(404, 409),
    )
    def patch(self, request: Request, lead_id: uuid.UUID) -> Response:
        changes = self.body(LeadPatchIn)
        with _wire_names():
            write.update(self.workspace, lead_id, actor=self.principal.actor, **changes)
        return Response(LeadOut(read.get(self.workspace.pk, lead_id)).data)

    @operation(
        "leads_archive",
        "Archive a lead",
        "Takes it out of lists and batches; its phone and e-mail are free again.",
        tag=TAG,
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, lead_id: uuid.UUID) -> Response:
        write.archive(self.workspace, lead_id, actor=self.principal.actor)
        return no_content()


class LeadTimeline(ApiView):
    scopes: ClassVar = {"GET": "leads:read"}

    @operation(
        "leads_timeline",
        "Get the timeline",
        "The lead's history, the newest first: verdicts, meetings, opt-outs, notes.",
        tag=TAG,
        response=page_of(TimelineEntryOut),
        parameters=PAGE,
        errors=(404,),
    )
    def get(self, request: Request, lead_id: uuid.UUID) -> Response:
        self.known_query(PAGE_PARAMETERS)
        lead = read.get(self.workspace.pk, lead_id)
        rows: QuerySet[TimelineEntry] = read.timeline(self.workspace.pk, lead.pk)
        found = page(rows, self.query, bound_to=f"timeline:{lead.pk}")
        items = TimelineEntryOut(found.items, many=True).data
        return Response({"items": items, "next_cursor": found.next_cursor})


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
        return Response(
            {"items": SuppressionOut(found.items, many=True).data, "next_cursor": found.next_cursor}
        )

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
        row = Suppression.objects.filter(
            workspace=self.workspace, phone_hash=suppressions.digest(number)
        ).first()
        if row is None:
            raise NotFound("there is no such thing here")
        audit.record(
            self.workspace.pk,
            self.principal.actor,
            "suppression.added",
            object_type="suppression",
            object_id=row.pk,
        )
        return created(SuppressionOut(row).data)
