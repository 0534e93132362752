"""Leads out of a CSV file."""

import uuid
from collections.abc import Collection, Mapping
from contextlib import closing
from typing import Any, ClassVar

import orjson
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api import csv_streams
from crm.api.leads import on_duplicate, on_duplicate_parameter
from crm.api.uploads import Upload, receive
from crm.imports import columns, encoding
from crm.models import ImportStatus, LeadImport, LeadImportError, OnDuplicate
from crm.selectors import imports as read
from crm.services import imports as write
from tenex.errors import InvalidInput
from tenex.rest.idempotency import idempotent
from tenex.rest.off_loop import off_loop
from tenex.rest.pagination import PAGE_PARAMETERS, page, page_in_order
from tenex.rest.schema import PAGE, operation, page_of
from tenex.rest.serializers import Output
from tenex.rest.views import ApiView, accepted

TAG = "Lead imports"
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_NAMES = {sign: name for name, sign in DELIMITERS.items()}
OPTIONS = ("on_duplicate", "dry_run", "encoding", "delimiter", "mapping", "file_name")
_MAPPING = (
    "JSON object: header of a column -> field (`"
    + "`, `".join((*columns.FIELDS, *columns.CONSENT))
    + "` or `custom.<key>`), or null to leave the column out. Columns that are not named here "
    "go by their headers."
)
CSV_FILE: dict[str, Any] = {
    "type": "string",
    "format": "binary",
    "examples": ["first_name,phone,plan\r\nAda,+14155550123,Pro\r\n"],
}


def json_object(description: str, example: str) -> dict[str, Any]:
    """The schema of a text that holds a JSON object."""
    return {
        "type": "string",
        "contentMediaType": "application/json",
        "pattern": r"^[ \t\r\n]*\{",
        "description": description,
        "examples": [example],
    }


_MAPPING_SCHEMA = json_object(_MAPPING, '{"plan": "custom.plan"}')
TARGETS: dict[str, Any] = {
    "on_duplicate": {"type": "string", "enum": OnDuplicate.values, "default": "skip"},
    "dry_run": {"type": "string", "enum": ["true", "false"], "default": "false"},
    "encoding": {"type": "string", "enum": list(encoding.NAMES)},
    "delimiter": {"type": "string", "enum": list(DELIMITERS)},
    "mapping": _MAPPING_SCHEMA,
}
_BODY = {
    "text/csv": CSV_FILE,
    "multipart/form-data": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": CSV_FILE, **TARGETS},
        "additionalProperties": False,
    },
}
ADDRESS_CHARS = 4096
"""Of an option in the address: in any letters, two of them fit into the 64 KiB that the server takes."""


def in_address(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an option where it stands in the address."""
    return {name: value for name, value in schema.items() if name != "description"} | {
        "maxLength": ADDRESS_CHARS
    }


PARAMETERS = [
    on_duplicate_parameter(default="skip"),
    OpenApiParameter(
        "dry_run", bool, default=False, description="Only tell what would happen; nothing is written."
    ),
    OpenApiParameter(
        "encoding", str, enum=list(encoding.NAMES), description="Without it: found out, UTF-8 before cp1252."
    ),
    OpenApiParameter(
        "delimiter", str, enum=list(DELIMITERS), description="Without it: what the header line has most of."
    ),
    OpenApiParameter("mapping", in_address(_MAPPING_SCHEMA), description=_MAPPING),
    OpenApiParameter("file_name", {"type": "string", "maxLength": 200}, description="For people."),
]


class ColumnOut(Output):
    """What a column of the file is read as."""

    header = f.CharField()
    field = f.CharField(allow_null=True, help_text="null: it is not read.")


class ImportOut(Output):
    """An import and how far it is."""

    id = f.UUIDField()
    company_id = f.UUIDField(source="workspace_id")
    status = f.ChoiceField(choices=ImportStatus.choices)
    file_name = f.CharField()
    encoding = f.CharField()
    delimiter = f.SerializerMethodField()
    columns = f.SerializerMethodField()
    on_duplicate = f.ChoiceField(choices=OnDuplicate.choices)
    dry_run = f.BooleanField()
    percent = f.SerializerMethodField(help_text="How much of the file is read.")
    rows_read = f.IntegerField(help_text="Rows so far, without empty ones: the sum of the next five.")
    created = f.IntegerField(source="created_count")
    updated = f.IntegerField(source="updated_count")
    unchanged = f.IntegerField(source="unchanged_count")
    skipped = f.IntegerField(source="skipped_count")
    failed = f.IntegerField(source="failed_count", help_text="See `GET …/errors`.")
    failure = f.SerializerMethodField(help_text="Why the whole import failed.")
    created_at = f.DateTimeField()
    started_at = f.DateTimeField(allow_null=True)
    finished_at = f.DateTimeField(allow_null=True)

    @extend_schema_field({"type": "string", "enum": list(DELIMITERS)})
    def get_delimiter(self, row: LeadImport) -> str:
        return _NAMES[row.delimiter]

    @extend_schema_field(ColumnOut(many=True))
    def get_columns(self, row: LeadImport) -> list[dict[str, str | None]]:
        return [{"header": header, "field": field} for header, field in row.columns]

    @extend_schema_field({"type": "number", "minimum": 0, "maximum": 100})
    def get_percent(self, row: LeadImport) -> float:
        if row.status == ImportStatus.COMPLETED:
            return 100.0
        return round(100 * row.next_byte / max(1, row.size_bytes), 1)

    def get_failure(self, row: LeadImport) -> str | None:
        return row.failure or None


class ImportErrorOut(Output):
    """A row that made no lead."""

    line = f.IntegerField(help_text="Where the row begins in the file; the first line is 1.")
    column = f.SerializerMethodField(help_text="Header of the column that is wrong; null: the whole row.")
    code = f.CharField(help_text="As `type` of a 422, or `duplicate_lead`, `malformed`, `too_many_cells`, …")
    reason = f.CharField()
    lead_id = f.UUIDField(allow_null=True, help_text="The lead that is there already.")

    def get_column(self, row: LeadImportError) -> str | None:
        return row.column or None


class ImportList(ApiView):
    scopes: ClassVar = {"GET": "leads:read", "POST": "leads:write"}

    @operation(
        "lead_imports_list",
        "List imports",
        "The newest first. Imports are forgotten, with their errors, 30 days after their end.",
        tag=TAG,
        response=page_of(ImportOut),
        parameters=PAGE,
    )
    def get(self, request: Request) -> Response:
        self.known_query(PAGE_PARAMETERS)
        found = page(read.all_of(self.workspace.pk), self.query, bound_to=f"imports:{self.workspace.pk}")
        return Response(found.as_json(ImportOut))

    @operation(
        "lead_imports_create",
        "Import leads from CSV",
        "A CSV file of up to 25 MiB and 500,000 lines as the body (`text/csv`, options as query parameters) "
        "or as the field `file` of a form (options beside it; they win over the address). The first line "
        "names the columns; encoding, delimiter and meaning of the columns are found out, and wrong ones "
        "refused at once. The rows are read in the background: follow `GET /leads/imports/{id}`. An empty "
        "cell changes nothing.",
        tag=TAG,
        request=_BODY,
        response=ImportOut,
        status=202,
        parameters=PARAMETERS,
        errors=(409,),
        idempotent=True,
    )
    def post(self, request: Request) -> HttpResponseBase:
        upload = receive(request, media_type="text/csv", limit_bytes=write.MAX_BYTES)
        with closing(upload.file):
            request._request.body_digest = upload.digest  # type: ignore[attr-defined]
            return self._store(request, upload)

    @idempotent
    def _store(self, request: Request, upload: Upload) -> Response:
        self.known_query(OPTIONS)
        row = write.create(
            self.workspace,
            upload.file,
            file_name=upload.name or self.query.get("file_name", ""),
            options=options_of(self.query.dict(), upload.fields),
            actor=self.principal.actor,
        )
        return accepted(ImportOut(row).data)


class ImportDetail(ApiView):
    scopes: ClassVar = {"GET": "leads:read"}

    @operation(
        "lead_imports_get",
        "Get an import",
        "Its state and counts; they move in the transaction of the rows that they count.",
        tag=TAG,
        response=ImportOut,
        errors=(404,),
    )
    def get(self, request: Request, import_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(ImportOut(read.get(self.workspace.pk, import_id)).data)


class ImportCancel(ApiView):
    scopes: ClassVar = {"POST": "leads:write"}

    @operation(
        "lead_imports_cancel",
        "Cancel an import",
        "Stops within moments; what is imported stays. Doing it twice changes nothing.",
        tag=TAG,
        response=ImportOut,
        errors=(404, 409),
    )
    def post(self, request: Request, import_id: uuid.UUID) -> Response:
        self.known_query()
        return Response(ImportOut(write.cancel(self.workspace, import_id, actor=self.principal.actor)).data)


class ImportErrors(ApiView):
    scopes: ClassVar = {"GET": "leads:read"}

    @operation(
        "lead_imports_errors",
        "List the bad rows of an import",
        "In the order of the file; `?format=csv` gives all as one CSV. What stood in the rows is not kept.",
        tag=TAG,
        response={
            (200, "application/json"): page_of(ImportErrorOut),
            (200, "text/csv"): OpenApiTypes.STR,
        },
        parameters=[
            *PAGE,
            OpenApiParameter("format", str, enum=["json", "csv"], default="json", description="Form."),
        ],
        errors=(404,),
    )
    def get(self, request: Request, import_id: uuid.UUID) -> HttpResponseBase:
        self.known_query({*PAGE_PARAMETERS, "format"})
        form = self.query.get("format", "json")
        if form not in ("json", "csv"):
            raise InvalidInput("must be json or csv", loc=("query", "format"), type_="enum")
        row = read.get(self.workspace.pk, import_id)
        found = page_in_order(read.errors(row), self.query, by="line", bound_to=f"import-errors:{row.pk}")
        if form == "csv":  # whole; wrong page parameters are wrong all the same
            return errors_csv(row)
        return Response(found.as_json(ImportErrorOut))


def errors_csv(row: LeadImport) -> HttpResponseBase:
    @off_loop
    def portion(after: int | None) -> csv_streams.Portion[int]:
        found = list(read.errors(row).filter(line__gt=after or 0)[: csv_streams.PORTION_ROWS])
        more = len(found) == csv_streams.PORTION_ROWS
        cells = [
            [one.line, one.column, one.code, one.reason, str(one.lead_id) if one.lead_id else ""]
            for one in found
        ]
        return cells, found[-1].line if more else None

    header = ("line", "column", "code", "reason", "lead_id")
    return csv_streams.response(header, portion, file_name="errors.csv")


def options_of(
    query: Mapping[str, Any],
    fields: Mapping[str, str],
    *,
    names: Collection[str] = OPTIONS,
    standard: OnDuplicate = OnDuplicate.SKIP,
) -> write.Options:
    """What the client says of its file, in the address or in the form.

    Raises:
        InvalidInput: with the place where it was said.
    """
    where = dict.fromkeys(query, "query") | dict.fromkeys(fields, "body")
    for name in fields:
        if name not in names:
            raise InvalidInput("unknown field", loc=("body", name), type_="extra_forbidden")
    given = {**query, **fields}
    fits_address(query, "mapping")

    def chosen(name: str, allowed: Mapping[str, Any]) -> Any:
        if name not in given:
            return None
        if given[name] not in allowed:
            raise InvalidInput(f"must be one of {', '.join(allowed)}", loc=(where[name], name), type_="enum")
        return allowed[given[name]]

    return write.Options(
        on_duplicate=on_duplicate(given, default=standard, place=where.get("on_duplicate", "query")),
        dry_run=bool(chosen("dry_run", {"true": True, "false": False})),
        encoding=chosen("encoding", {name: name for name in encoding.NAMES}),
        delimiter=chosen("delimiter", DELIMITERS),
        mapping=_mapping(given.get("mapping"), where.get("mapping", "query")),
    )


def fits_address(query: Mapping[str, Any], name: str) -> None:
    """
    Raises:
        InvalidInput: longer than an option in the address may be.
    """
    if len(query.get(name, "")) > ADDRESS_CHARS:
        raise InvalidInput(
            f"at most {ADDRESS_CHARS} characters; send a form", loc=("query", name), type_="too_long"
        )


def _mapping(raw: str | None, place: str) -> dict[str, str | None]:
    if raw is None:
        return {}
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not all(one is None or isinstance(one, str) for one in found.values()):
        raise InvalidInput(
            "must be a JSON object of texts and nulls", loc=(place, "mapping"), type_="dict_type"
        )
    return found
