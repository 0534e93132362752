"""Leads and their timeline."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api import lead_filters
from crm.models import Consent, ConsentPurpose, Lead, OnDuplicate, Stage, TimelineEntry
from crm.selectors import consents
from crm.selectors import leads as read
from crm.services import lead_upserts
from crm.services import leads as write
from crm.services.lead_upserts import Result
from tenex.errors import InvalidInput
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import PAGE_PARAMETERS, page
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.serializers import FreeObject, Input, Output
from tenex.rest.views import ApiView, created, no_content

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
    time_zone = f.CharField(
        max_length=64,
        required=False,
        allow_blank=True,
        help_text="IANA name, as the lead said it: their clock decides when they are called.",
    )
    country = f.CharField(
        max_length=60, required=False, allow_blank=True, help_text="Of the address: ISO code or English name."
    )
    region = f.CharField(
        max_length=60,
        required=False,
        allow_blank=True,
        help_text="State or province of the address: code or name. Without a country, one of your region's.",
    )
    source = f.CharField(max_length=80, required=False, allow_blank=True)  # type: ignore[assignment]
    notes = f.CharField(max_length=4096, required=False, allow_blank=True)
    custom = FreeObject(
        required=False,
        help_text="Your own fields. Absent keys stay, null takes one away; defined keys are checked.",
    )
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


class ConsentBriefOut(Output):
    """An agreement of the lead; all of it at `GET …/consents`."""

    id = f.UUIDField()
    purpose = f.ChoiceField(choices=ConsentPurpose.choices)
    state = f.SerializerMethodField(help_text="`active` is the only one that allows anything.")
    given_at = f.DateTimeField()
    expires_at = f.DateTimeField(allow_null=True)
    revoked_at = f.DateTimeField(allow_null=True)

    @extend_schema_field({"type": "string", "enum": list(consents.STATES)})
    def get_state(self, consent: Consent) -> str:
        return consents.state(consent, timezone.now())


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
    country = f.CharField(help_text="ISO code; empty if not known.")
    region = f.CharField(help_text="Code of the state or province (ISO 3166-2 without the country).")
    source = f.CharField()  # type: ignore[assignment]
    notes = f.CharField()
    custom = f.DictField()
    stage = f.ChoiceField(choices=Stage.choices)
    qualification = f.SerializerMethodField()
    last_call_at = f.DateTimeField(allow_null=True)
    last_outcome = f.SerializerMethodField()
    consents = ConsentBriefOut(many=True)
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


class NoteIn(Input):
    """Something to remember."""

    text = f.CharField(max_length=4096)


_WIRE_NAMES = {"company_id": "organization_id", "company_name": "organization"}
"""On the wire `company_id` is the tenant (contract.md 1), so a lead's firm has another name."""


@contextmanager
def _wire_names() -> Iterator[None]:
    """Errors of the service, with the fields as the client named them."""
    try:
        yield
    except InvalidInput as exc:
        exc.loc = tuple(wire_name(part) for part in exc.loc)
        raise


def wire_name(part: str | int) -> str | int:
    """A part of a place in the request, as clients know it."""
    return _WIRE_NAMES.get(str(part), part)


def on_duplicate(
    given: Mapping[str, str], *, default: OnDuplicate = OnDuplicate.ERROR, place: str = "query"
) -> OnDuplicate:
    """The option of that name.

    Raises:
        InvalidInput: not one of its values.
    """
    wanted = given.get("on_duplicate", default)
    if wanted not in OnDuplicate.values:
        raise InvalidInput(
            f"must be one of {', '.join(OnDuplicate.values)}", loc=(place, "on_duplicate"), type_="enum"
        )
    return OnDuplicate(wanted)


def on_duplicate_parameter(default: str = "error") -> OpenApiParameter:
    return OpenApiParameter(
        "on_duplicate",
        str,
        enum=OnDuplicate.values,
        default=default,
        description="What to do if a lead has this phone (or, failing that, this e-mail) already: refuse "
        "(`error`), leave the lead as it is (`skip`), or change the fields that are given (`update`). "
        "Archived leads do not count.",
    )


class LeadList(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "POST": "leads:write"}

    @operation(
        "leads_list",
        "List leads",
        "Leads that are not archived, the newest first.",
        tag=TAG,
        response=page_of(LeadOut),
        parameters=lead_filters.PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        rows = read.with_consents(lead_filters.filtered(self.workspace, self.query))
        found = page(rows, self.query, bound_to=f"leads:{self.workspace.pk}")
        return Response(found.as_json(LeadOut))

    @operation(
        "leads_create",
        "Create a lead",
        "A phone or e-mail that a lead has already answers 409 `duplicate_lead` with its `lead_id`; with "
        "`on_duplicate` that lead is changed, or left as it is, and comes back with 200.",
        tag=TAG,
        request=LeadIn,
        response={201: LeadOut, 200: LeadOut},
        parameters=[on_duplicate_parameter()],
        errors=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        self.known_query(("on_duplicate",))
        wanted = on_duplicate(self.query)
        body: Any = self.body(LeadIn)
        actor = self.principal.actor
        with _wire_names():
            if wanted == OnDuplicate.ERROR:
                return created(self._shown(write.create(self.workspace, actor=actor, **body).pk))
            [done] = lead_upserts.save_many(self.workspace, [body], on_duplicate=wanted, actor=actor)
            if done.lead_id is None or done.error is not None:
                raise done.error or RuntimeError("neither a lead nor an error")
        shown = self._shown(done.lead_id)
        return created(shown) if done.result == Result.CREATED else Response(shown)

    def _shown(self, lead_id: uuid.UUID) -> Any:
        return LeadOut(read.get(self.workspace.pk, lead_id)).data


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


class LeadUnarchive(ApiView):
    scopes: ClassVar = {"POST": "leads:write"}

    @operation(
        "leads_unarchive",
        "Bring an archived lead back",
        "409 `duplicate_lead` if another lead has its phone or e-mail. Doing it twice changes nothing.",
        tag=TAG,
        response=LeadOut,
        errors=(404, 409),
    )
    def post(self, request: Request, lead_id: uuid.UUID) -> Response:
        self.known_query()
        write.unarchive(self.workspace, lead_id, actor=self.principal.actor)
        return Response(LeadOut(read.get(self.workspace.pk, lead_id)).data)


class LeadTimeline(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "POST": "leads:write"}

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

    @operation(
        "leads_note",
        "Add a note",
        "A line of the timeline, of type `note`. It is never edited.",
        tag=TAG,
        request=NoteIn,
        response=TimelineEntryOut,
        status=201,
        errors=(404,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request, lead_id: uuid.UUID) -> Response:
        self.known_query()
        text: str = self.body(NoteIn)["text"]
        entry = write.note(self.workspace, lead_id, text, actor=self.principal.actor)
        return created(TimelineEntryOut(entry).data)
