"""Leads of a batch out of a CSV file."""

import uuid
from contextlib import closing
from typing import Any, ClassVar

import orjson
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api import imports as crm_imports
from crm.api.leads import on_duplicate_parameter
from crm.api.uploads import Upload, receive
from crm.models import OnDuplicate
from crm.services import imports
from tenex.errors import Forbidden, InvalidInput
from tenex.rest.idempotency import idempotent
from tenex.rest.schema import operation
from tenex.rest.views import ApiView, accepted
from voice.api.batch_inputs import UploadedBatchIn
from voice.api.batch_outputs import BatchDetailOut
from voice.api.batches import detail, parts
from voice.selectors import batches as read
from voice.services import batch_uploads as write

TAG = "Batches"
OPTIONS = ("on_duplicate", "encoding", "delimiter", "mapping", "file_name")
_MAPPING = (
    "JSON object: header of a column -> field of a lead, `custom.<key>`, `variables.<name>`, or null to "
    "leave the column out. Columns that are not named go by their headers; what is no field of a lead is a "
    "variable."
)
_BATCH = "JSON object: the fields of `POST /batches` without leads. It is a draft unless it says otherwise."
_MAPPING_SCHEMA = crm_imports.json_object(_MAPPING, '{"plan": "variables.plan"}')
_BATCH_SCHEMA = crm_imports.json_object(
    _BATCH, '{"objective": "Find out whether they have a project this year."}'
)
_PROPERTIES: dict[str, Any] = {
    "file": crm_imports.CSV_FILE,
    "on_duplicate": {"type": "string", "enum": OnDuplicate.values, "default": "update"},
    "encoding": crm_imports.TARGETS["encoding"],
    "delimiter": crm_imports.TARGETS["delimiter"],
    "mapping": _MAPPING_SCHEMA,
}
_PARAMETERS = [
    on_duplicate_parameter(default="update"),
    *(one for one in crm_imports.PARAMETERS if one.name in ("encoding", "delimiter", "file_name")),
    OpenApiParameter("mapping", crm_imports.in_address(_MAPPING_SCHEMA), description=_MAPPING),
]
_FILE = (
    "A CSV file of up to 25 MiB and 500,000 lines as the body (`text/csv`, options as query parameters) or "
    "as the field `file` of a form (options beside it). Leads are made, or found by phone or e-mail, as by "
    "an import; each row becomes a recipient with its variables. Rows are read in the background: follow "
    "`uploads` of `GET /batches/{id}`; bad rows are in `GET /api/v1/crm/leads/imports/{import_id}/errors`, "
    "with line and reason. Needs the scope `leads:write` too."
)


def _body(*, batch: bool) -> Any:
    more = {"batch": _BATCH_SCHEMA} if batch else {}
    return {
        "text/csv": crm_imports.CSV_FILE,
        "multipart/form-data": {
            "type": "object",
            "required": ["file", *more],
            "properties": {**_PROPERTIES, **more},
            "additionalProperties": False,
        },
    }


class _Upload(ApiView):
    names: ClassVar[tuple[str, ...]] = OPTIONS

    def received(self, request: Request) -> Upload:
        """The file, once it is clear that the credential may make leads."""
        if not self.principal.allows("leads:write"):
            raise Forbidden("this credential lacks the scope leads:write", code="forbidden_scope")
        upload = receive(request, media_type="text/csv", limit_bytes=imports.MAX_BYTES)
        request._request.body_digest = upload.digest  # type: ignore[attr-defined]
        return upload

    def csv_options(self, upload: Upload) -> imports.Options:
        self.known_query(self.names)
        query = {name: value for name, value in self.query.dict().items() if name != "batch"}
        fields = {name: value for name, value in upload.fields.items() if name != "batch"}
        return crm_imports.options_of(query, fields, names=OPTIONS, standard=OnDuplicate.UPDATE)

    def file_name(self, upload: Upload) -> str:
        return upload.name or self.query.get("file_name", "")


class BatchUploadNew(_Upload):
    scopes: ClassVar = {"POST": "batches:write"}
    names = (*OPTIONS, "batch")

    @operation(
        "batches_upload",
        "Make a batch out of a CSV file",
        f'{_FILE} The batch is a draft until `…/start`, unless `batch` says `"draft": false`.',
        tag=TAG,
        request=_body(batch=True),
        response=BatchDetailOut,
        status=202,
        parameters=[
            *_PARAMETERS,
            OpenApiParameter("batch", crm_imports.in_address(_BATCH_SCHEMA), description=_BATCH),
        ],
        errors=(409,),
        idempotent=True,
    )
    def post(self, request: Request) -> HttpResponseBase:
        upload = self.received(request)
        with closing(upload.file):
            return self._store(request, upload)

    @idempotent
    def _store(self, request: Request, upload: Upload) -> Response:
        options = self.csv_options(upload)
        made = write.create(
            self.workspace,
            upload.file,
            file_name=self.file_name(upload),
            options=options,
            parts={"draft": True, **parts(self.workspace, self._batch(upload))},
            actor=self.principal.actor,
        )
        return accepted(detail(self.workspace, made.batch.pk))

    def _batch(self, upload: Upload) -> dict[str, Any]:
        place = "body"
        raw: str | None = upload.fields.get("batch")
        if "batch" in self.query:
            if raw is not None:
                raise InvalidInput("given more than once", loc=("body", "batch"), type_="duplicate")
            crm_imports.fits_address(self.query, "batch")
            place, raw = "query", self.query.get("batch")
        if raw is None:
            raise InvalidInput("say what the batch is about", loc=(place, "batch"), type_="missing")
        try:
            data = orjson.loads(raw)
        except orjson.JSONDecodeError:
            data = None
        if not isinstance(data, dict):
            raise InvalidInput("must be a JSON object", loc=(place, "batch"), type_="dict_type")
        form = UploadedBatchIn(data=data)
        if not form.is_valid():
            raise ValidationError({"batch": form.errors})
        values: dict[str, Any] = form.validated_data
        return values


class BatchUploadMore(_Upload):
    scopes: ClassVar = {"POST": "batches:write"}

    @operation(
        "batches_upload_more",
        "Append leads of a CSV file",
        _FILE,
        tag=TAG,
        request=_body(batch=False),
        response=BatchDetailOut,
        status=202,
        parameters=_PARAMETERS,
        errors=(404, 409),
        idempotent=True,
    )
    def post(self, request: Request, batch_id: uuid.UUID) -> HttpResponseBase:
        read.one(self.workspace, batch_id)
        upload = self.received(request)
        with closing(upload.file):
            return self._store(request, upload, batch_id)

    @idempotent
    def _store(self, request: Request, upload: Upload, batch_id: uuid.UUID) -> Response:
        write.append(
            read.one(self.workspace, batch_id),
            upload.file,
            file_name=self.file_name(upload),
            options=self.csv_options(upload),
            actor=self.principal.actor,
        )
        return accepted(detail(self.workspace, batch_id))
