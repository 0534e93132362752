"""Playing a recording: a short-lived signed link, range requests (RFC 9110, section 14).

With S3 the link is the bucket's own presigned URL; with files on disk it is ours.
"""

import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from tenex.errors import Gone, NotFound, TenexError, Unauthorized
from tenex.rest import signed
from tenex.rest.off_loop import off_loop
from voice.models import Recording, RecordingStatus
from voice.selectors.calls import is_past

TTL_S = 300
_PURPOSE = "recording"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE | re.ASCII)
_CHUNK = 64 * 1024


def link(recording: Recording, *, by: str) -> tuple[str, datetime]:
    """Where the file of a stored recording plays, and until when. `by`: who asked (`rate_key`)."""
    if not settings.AWS_STORAGE_BUCKET_NAME:
        token, expires_at = signed.issue(_PURPOSE, recording.pk, by=by, ttl_s=TTL_S)
        path = f"/api/v1/voice/recordings/{recording.pk}/media?token={token}"
        return settings.PUBLIC_BASE_URL + path, expires_at
    return default_storage.url(recording.file), timezone.now() + timedelta(
        seconds=settings.AWS_QUERYSTRING_EXPIRE
    )


@csrf_exempt
async def play(request: HttpRequest, recording_id: uuid.UUID) -> HttpResponseBase:
    """The bytes of a recording, whole or one range. The token is the credential."""
    if request.method not in ("GET", "HEAD"):
        return _refuse(405, "only GET and HEAD", "method_not_allowed", Allow="GET, HEAD")
    try:
        file = await _open(recording_id, request.GET.get("token", ""))
    except TenexError as exc:
        return _refuse(exc.status, exc.detail, exc.code)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'inline; filename="{file.call_id}.wav"',
        "ETag": file.etag,
    }
    unchanged = request.headers.get("If-Range", file.etag).strip() == file.etag
    wanted = _wanted(request.headers.get("Range", ""), file.size) if unchanged else None
    first, last = wanted or (0, file.size - 1)
    if wanted is not None:
        if first > last:
            return _refuse(
                416,
                "the range lies outside the file",
                "range_not_satisfiable",
                **{"Content-Range": f"bytes */{file.size}"},
            )
        headers["Content-Range"] = f"bytes {first}-{last}/{file.size}"
    headers["Content-Length"] = str(last - first + 1)
    status = 200 if wanted is None else 206
    if request.method == "HEAD":
        return HttpResponse(status=status, content_type="audio/wav", headers=headers)
    return StreamingHttpResponse(
        _part(file.name, first, last), status=status, content_type="audio/wav", headers=headers
    )


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    size: int
    call_id: uuid.UUID
    etag: str
    """A recording never changes, so its id and length are a strong validator."""


@off_loop
def _open(recording_id: uuid.UUID, token: str) -> _File:
    if not signed.opens(token, _PURPOSE, recording_id):
        raise Unauthorized("the link is not valid (any more)")
    recording = Recording.objects.filter(pk=recording_id).first()
    if recording is None:
        raise NotFound("there is no such thing here")
    if recording.status != RecordingStatus.STORED or is_past(recording):
        raise Gone("the recording was deleted or its retention is over", code="recording_expired")
    size = default_storage.size(recording.file)
    return _File(recording.file, size, recording.call_id, f'"{recording.pk.hex}-{size}"')


def _refuse(status: int, detail: str, code: str, **headers: str) -> HttpResponse:
    return JsonResponse({"detail": detail, "code": code}, status=status, headers=headers)


def _wanted(header: str, size: int) -> tuple[int, int] | None:
    """(first, last) byte of a single range; None for the whole file; first > last cannot be satisfied.

    A header that makes no sense, and several ranges, count as none (RFC 9110, 14.2).
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size - 1 if int(last) else -1
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last), size - 1) if last else size - 1


async def _part(name: str, first: int, last: int) -> AsyncIterator[bytes]:
    """The bytes from `first` to `last`, read in a thread."""
    file = await off_loop(default_storage.open)(name, "rb")
    try:
        await off_loop(file.seek)(first)
        left = last - first + 1
        while left and (chunk := await off_loop(file.read)(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk
    finally:
        file.close()
