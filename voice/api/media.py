"""Playing a recording: a short-lived signed link, range requests (RFC 9110, section 14).

The link is the bucket's own presigned URL where a file lies there as it is played; otherwise it is ours: of
a file on disk, and of one in an envelope, of which only the chunks of a range are opened.
"""

import re
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from tenex.errors import Gone, TenexError, Unauthorized, existing
from tenex.lib.storage_faults import FileMissing, mapped
from tenex.rest import signed
from tenex.rest.off_loop import off_loop
from voice.models import AtRest, Recording, RecordingStatus
from voice.selectors.calls import is_past
from voice.services import recording_files
from voice.services import recording_store as store

TTL_S = 300
_PURPOSE = "recording"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE | re.ASCII)
_CHUNK = 64 * 1024


def link(recording: Recording, *, by: str) -> tuple[str, datetime]:
    """Where the file of a stored recording plays, and until when. `by`: who asked (`rate_key`)."""
    if not settings.AWS_STORAGE_BUCKET_NAME or recording.at_rest == AtRest.ENVELOPE:
        token, expires_at = signed.issue(_PURPOSE, recording.pk, by=by, ttl_s=TTL_S)
        path = f"/api/v1/voice/recordings/{recording.pk}/media?token={token}"
        return settings.PUBLIC_BASE_URL + path, expires_at
    with mapped():
        url = default_storage.url(recording.file)
    return url, timezone.now() + timedelta(seconds=settings.AWS_QUERYSTRING_EXPIRE)


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
    try:
        sound = await _Part.opened(file, first, last)
    except TenexError as exc:
        return _refuse(exc.status, exc.detail, exc.code)
    return StreamingHttpResponse(sound.read(), status=status, content_type="audio/wav", headers=headers)


@dataclass(frozen=True, slots=True)
class _File:
    row: Recording
    size: int
    call_id: uuid.UUID
    etag: str
    """A recording never changes, so its id and length are a strong validator."""


@off_loop
def _open(recording_id: uuid.UUID, token: str) -> _File:
    if not signed.opens(token, _PURPOSE, recording_id):
        raise Unauthorized("the link is not valid (any more)")
    recording = existing(Recording.objects.filter(pk=recording_id).first())
    if recording.status != RecordingStatus.STORED or is_past(recording):
        raise Gone("the recording was deleted or its retention is over", code="recording_expired")
    size = store.size_of(store.of(recording))
    return _File(recording, size, recording.call_id, f'"{recording.pk.hex}-{size}"')


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


class _Part:
    """The bytes from `first` to `last` of a recording, read in threads, the first of them before the answer
    begins: what is broken from the start is told by its status."""

    def __init__(self, file: _File, first: int, last: int) -> None:
        self._row = file.row
        self._left = last - first + 1
        self._first = first
        self._stack = ExitStack()
        self._head = b""

    @classmethod
    async def opened(cls, file: _File, first: int, last: int) -> "_Part":
        """
        Raises:
            TenexError: it cannot be read.
        """
        part = cls(file, first, last)
        await off_loop(part._open)()
        return part

    def _open(self) -> None:
        try:
            block = min(store.BLOCK_BYTES, self._left)
            self._file = self._stack.enter_context(store.opened(store.of(self._row), block_bytes=block))
            self._file.seek(self._first)
            self._head = self._file.read(min(_CHUNK, self._left))
        except (FileMissing, store.Altered) as exc:
            self._stack.close()
            recording_files.note_broken(self._row, exc)
            raise
        except BaseException:
            self._stack.close()
            raise

    async def read(self) -> AsyncIterator[bytes]:
        """A fault in the middle cuts the answer off: the client misses bytes and asks for them again."""
        try:
            chunk = self._head
            while chunk:
                self._left -= len(chunk)
                yield chunk
                chunk = await off_loop(self._file.read)(min(_CHUNK, self._left)) if self._left else b""
        finally:
            self._stack.close()
