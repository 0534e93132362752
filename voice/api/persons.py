"""What a person may ask for, out of an integrator's own product: what is known, a copy of it, oblivion."""

import uuid
from collections.abc import Callable
from typing import Any, ClassVar, Final

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.errors import InvalidInput, NotFound
from tenex.rest import file_stream
from tenex.rest import filters as strict
from tenex.rest.idempotency import idempotent
from tenex.rest.pagination import page
from tenex.rest.schema import filter_parameters, operation, page_of
from tenex.rest.serializers import Input, Output, either
from tenex.rest.views import ApiView, accepted
from tenex.workspaces.models import Workspace
from voice.api.filters import ErasureFilters
from voice.api.holds import HoldOut
from voice.models import Erasure, WaitsFor
from voice.selectors import persons as read
from voice.selectors import retention as read_retention
from voice.selectors.persons import Known, Subject
from voice.services import erasure, person_archive

TAG = "Persons"
_FIND: Final[dict[str, Callable[[Workspace, Any], Subject]]] = {
    "lead_id": read.of_lead,
    "phone": read.of_phone,
    "call_id": read.of_call,
}


class PersonIn(Input):
    """Who is meant: exactly one of `lead_id`, `phone` and `call_id`."""

    lead_id = f.UUIDField(required=False, help_text="This lead, archived or not.")
    phone = f.CharField(
        max_length=40,
        required=False,
        help_text="Whoever has this number, lead or not; written nationally it is one of the workspace's "
        "region.",
    )
    call_id = f.UUIDField(required=False, help_text="Whoever was at the other end of this call.")

    together: ClassVar[dict[str, Any]] = either(*_FIND)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len([name for name in _FIND if name in attrs]) != 1:
            wrong = f.ErrorDetail("give exactly one of lead_id, phone and call_id", code="one_of")
            raise f.ValidationError({"lead_id": [wrong]})
        return attrs


class EraseIn(PersonIn):
    """Whom to forget."""

    confirm = f.CharField(
        max_length=250,
        help_text="The number again, so that no wrong id erases anybody. For a lead its number, e-mail or "
        "name as we have it will do, whatever spaces and capitals; for one without any of these the first "
        "eight characters of its id.",
    )


class ErasureOut(Output):
    """An erasure that was asked for, and its certificate when it is done. It does not name the person."""

    id = f.UUIDField()
    status = f.SerializerMethodField(
        help_text="`waiting` is tried every minute; from the asking on nobody dials them."
    )
    waits_for = f.SerializerMethodField(
        help_text="Why it is not done yet; null: it is, or has not been tried."
    )
    asked_by = f.CharField(help_text="`key:<prefix>` or `user:<e-mail>`.")
    subject_hash = f.SerializerMethodField(
        help_text="HMAC-SHA-256 of the number under a key of this installation, in hex: the same number has "
        "the same. null: a lead without number."
    )
    counts = f.DictField(
        child=f.IntegerField(), help_text="Rows and files that went, by kind; empty until then."
    )
    receipt_number = f.SerializerMethodField(
        help_text="Its place in the chain of receipts; null until it is done."
    )
    receipt_digest = f.SerializerMethodField(
        help_text="SHA-256 of that receipt in hex: over the one before it, class and counts. See "
        "`retention_receipts_list`."
    )
    created_at = f.DateTimeField(help_text="When it was asked for.")
    finished_at = f.DateTimeField(allow_null=True)

    @extend_schema_field({"type": "string", "enum": ["waiting", "done"]})
    def get_status(self, made: Erasure) -> str:
        return "done" if made.finished_at else "waiting"

    @extend_schema_field({"type": ["string", "null"], "enum": [*WaitsFor.values, None]})
    def get_waits_for(self, made: Erasure) -> str | None:
        return made.waits_for or None

    def get_subject_hash(self, made: Erasure) -> str | None:
        return bytes(made.subject_hash).hex() if made.subject_hash else None

    def get_receipt_number(self, made: Erasure) -> int | None:
        return made.receipt.number if made.receipt else None

    def get_receipt_digest(self, made: Erasure) -> str | None:
        return made.receipt.digest if made.receipt else None


class MentionOut(Output):
    """A document of your own in which their number or e-mail stands: nobody but you rewrites it."""

    document_id = f.CharField()
    title = f.CharField()


class KnownOut(Output):
    """What is known of a person."""

    counts = f.DictField(child=f.IntegerField(), help_text="Rows by kind, as an export would have them.")
    documents = f.SerializerMethodField()
    holds = HoldOut(many=True, help_text="Legal holds for which an erasure would wait.")
    erasures = ErasureOut(
        many=True, help_text="Those that were asked for, the newest first; done ones by the number's hash."
    )

    @extend_schema_field(MentionOut(many=True))
    def get_documents(self, known: Known) -> list[dict[str, str]]:
        return [{"document_id": key, "title": title} for key, title in known.documents.items()]


def subject(workspace: Workspace, sent: dict[str, Any]) -> Subject:
    """Whom a body means.

    Raises:
        InvalidInput: the lead, call or number is nobody's here.
    """
    [field] = [name for name in _FIND if name in sent]
    try:
        return _FIND[field](workspace, sent[field])
    except NotFound as exc:
        raise InvalidInput(exc.detail, loc=("body", field), type_="missing") from exc


class PersonKnown(ApiView):
    scopes: ClassVar = {"POST": "persons:admin"}

    @operation(
        "persons_known",
        "See what is known of a person",
        "How much there is of each kind, which legal holds keep it, which erasures were asked for, and "
        "which of your own documents mention them. Leads with the same number or e-mail count as the same "
        "person, and so do all calls with one of their numbers. A POST, so that no number stands in an "
        "address. Nobody is a good answer: all counts are 0.",
        tag=TAG,
        request=PersonIn,
        response=KnownOut,
    )
    def post(self, request: Request) -> Response:
        self.known_query()
        who = subject(self.workspace, self.body(PersonIn))
        return Response(KnownOut(read.known(self.workspace, who)).data)


class PersonExport(ApiView):
    scopes: ClassVar = {"POST": "persons:admin"}

    @operation(
        "persons_export",
        "Export a person",
        "A ZIP file as a stream: README.txt, one JSON file a kind, each conversation as text, and the "
        "recordings as they sound. The audit log keeps who took it and how much it was. A recording that "
        "cannot be read stops it (410 `recording_altered`, 503 `storage_unavailable`): an archive without "
        "it would not be everything.",
        tag=TAG,
        request=PersonIn,
        response={(200, "application/zip"): OpenApiTypes.BINARY},
        errors=(410, 503),
    )
    def post(self, request: Request) -> HttpResponseBase:
        self.known_query()
        who = subject(self.workspace, self.body(PersonIn))
        file = person_archive.made(self.workspace, actor=self.principal.actor, **who.whom)
        return file_stream.response(file, name="person.zip", content_type="application/zip")


class PersonErase(ApiView):
    scopes: ClassVar = {"POST": "persons:admin"}

    @operation(
        "persons_erase",
        "Erase a person",
        "For good. From now on nobody dials them; everything about them goes within seconds, or as soon as "
        "a call with them is over, a file is imported, or the last legal hold is released. What stays is "
        "figures, and a keyed hash on the do-not-call list. Read the erasure again until `status` is "
        "`done`. Asked again while it waits, it is the same one.",
        tag=TAG,
        request=EraseIn,
        response=ErasureOut,
        status=202,
        idempotent=True,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        self.known_query()
        sent = self.body(EraseIn)
        who = subject(self.workspace, sent)
        if not who.is_named(sent["confirm"]):
            raise InvalidInput(
                "not the number (or e-mail, or name) of who is meant: nothing was erased",
                loc=("body", "confirm"),
                type_="confirm",
            )
        return accepted(ErasureOut(erasure.ask(self.workspace, actor=self.principal.actor, **who.whom)).data)


class ErasureList(ApiView):
    scopes: ClassVar = {"GET": "persons:admin"}

    @operation(
        "persons_erasures_list",
        "List erasures",
        "All that were asked for, here or in the console, the newest first.",
        tag=TAG,
        response=page_of(ErasureOut),
        parameters=filter_parameters(ErasureFilters),
    )
    def get(self, request: Request) -> Response:
        rows = strict.apply(ErasureFilters, self.query, read_retention.erasures(self.workspace))
        found = page(rows, self.query, bound_to=f"erasures:{self.workspace.pk}")
        return Response({"items": ErasureOut(found.items, many=True).data, "next_cursor": found.next_cursor})


class ErasureDetail(ApiView):
    scopes: ClassVar = {"GET": "persons:admin"}

    @operation(
        "persons_erasures_get",
        "Get an erasure",
        "How far it is, and when it is done its certificate: counts, the keyed hash of the number, and the "
        "link in the chain of receipts.",
        tag=TAG,
        response=ErasureOut,
        errors=(404,),
    )
    def get(self, request: Request, erasure_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(ErasureOut(read_retention.erasure(self.workspace, erasure_id)).data)
