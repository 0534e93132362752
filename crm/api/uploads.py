"""Taking a file in: raw or as a form, in constant memory, up to a size."""

import hashlib
import tempfile
from dataclasses import dataclass, field
from typing import IO, Any, ClassVar

from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.utils.mediatypes import _MediaType

from tenex.errors import InvalidInput, TenexError
from tenex.rest.errors import BodyTooLarge

_BLOCK_BYTES = 64 * 1024


class BadUpload(TenexError):
    """The form cannot be read."""

    code = "invalid_form"
    status = 400


@dataclass(slots=True)
class Upload:
    """A file that came in, and the fields beside it. `digest` is of all of it."""

    file: IO[bytes]
    name: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    declared: str = ""
    """The content type that its sender says it has."""


def receive(request: Request, *, media_type: str, limit_bytes: int) -> Upload:
    """The body: a file of `media_type`, or a form with one `file`.

    Raises:
        UnsupportedMediaType, BodyTooLarge, BadUpload.
        InvalidInput: no file, several, or a field twice.
    """
    kind = _MediaType(request.content_type or "")
    match f"{kind.main_type}/{kind.sub_type}".lower():
        case "multipart/form-data":
            upload = _form(request, limit_bytes)
        case raw if raw == media_type:
            upload = Upload(_copied(request, limit_bytes))
        case _:
            raise UnsupportedMediaType(request.content_type or "")
    upload.file.seek(0)
    digest = hashlib.sha256()
    while block := upload.file.read(_BLOCK_BYTES):
        digest.update(block)
    digest.update(repr(sorted([*upload.fields.items(), ("", upload.name)])).encode())
    upload.digest = digest.hexdigest()
    upload.file.seek(0)
    return upload


def _copied(request: Request, limit_bytes: int) -> IO[bytes]:
    """The raw body on disk. From Django's request: DRF takes a body without a length for an empty one."""
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the request
    left = limit_bytes
    while block := request._request.read(_BLOCK_BYTES):
        left -= len(block)
        if left < 0:
            file.close()
            raise BodyTooLarge
        file.write(block)
    if left == limit_bytes:
        raise InvalidInput("the body is empty", type_="missing")
    return file


def _form(request: Request, limit_bytes: int) -> Upload:
    capped = type("Capped", (_Capped,), {"limit_bytes": limit_bytes})
    # Django takes a form without a length (chunked) for an empty one.
    meta: dict[str, Any] = {**request.META, "CONTENT_LENGTH": request.META.get("CONTENT_LENGTH") or "1"}
    try:
        fields, files = MultiPartParser(meta, request._request, [capped(request._request)]).parse()
    except MultiPartParserError as exc:
        raise BadUpload(f"the form cannot be read: {exc}") from exc
    for name in [*fields, *files]:
        if len(fields.getlist(name)) + len(files.getlist(name)) > 1:
            raise InvalidInput("given more than once", loc=("body", name), type_="duplicate")
        if name in files and name != "file":
            raise InvalidInput("unknown field", loc=("body", name), type_="extra_forbidden")
    file: Any = files.get("file")
    if file is None:
        raise InvalidInput("a file is missing", loc=("body", "file"), type_="missing")
    return Upload(
        file,
        str(file.name or ""),
        {name: str(fields[name]) for name in fields},
        declared=str(file.content_type or ""),
    )


class _Capped(TemporaryFileUploadHandler):
    """Straight to disk, and not more than fits."""

    limit_bytes: ClassVar[int]
    _taken = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._taken += len(raw_data)
        if self._taken > self.limit_bytes:
            raise BodyTooLarge
        super().receive_data_chunk(raw_data, start)
