"""`GET /api/v1/voice/calls/{id}/stream`: the journal of a call as it is written.

A plain async Django view: what came before, then what comes, each line exactly once and in order, resumable
by `Last-Event-ID`. It ends after the call is finalized and read to its end; clients may stop at `call.ended`.
"""

import time
import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException, PermissionDenied

from tenex.errors import InvalidInput, NotFound, TenexError, Unauthorized
from tenex.events import bus
from tenex.rest import signed, sse, throttling
from tenex.rest.authentication import principal_of
from tenex.rest.errors import exception_handler
from tenex.rest.off_loop import Shared, off_loop
from tenex.rest.renderers import dumps
from voice.models import Call, CallEvent, CallStatus
from voice.selectors import calls as read

PURPOSE = "call-stream"
_SCOPE = "calls:read"
_PAGE = 200
AFTER_END = timedelta(minutes=5)
"""How long a stream waits for a call that has ended to be finalized."""

_hubs: sse.Hubs[uuid.UUID, read.Position] = sse.Hubs(
    lambda: sse.Hub(bus.call_channel, off_loop(read.positions))
)
_position = Shared(off_loop(read.position))
_journal_after = Shared(off_loop(read.journal_after))


@csrf_exempt
async def stream(request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
    """Open the stream, or answer JSON like the rest of the API."""
    try:
        if request.method != "GET":
            return _json(405, {"detail": "only GET", "code": "method_not_allowed"}, {"Allow": "GET"})
        after = _last_event_id(request)
        call = await _admit(request, call_id)
        if after > call.journal_seq:
            raise InvalidInput("not an id of this stream", loc=("header", "Last-Event-ID"))
    except (TenexError, APIException) as exc:
        answer = exception_handler(exc, {})
        return _json(
            answer.status_code, answer.data, {k: v for k, v in answer.items() if k != "Content-Type"}
        )
    if call.status == CallStatus.FINALIZED and after == call.journal_seq:
        return HttpResponse(status=204)  # EventSource stops to reconnect at 204
    return sse.response(_follow(call_id, after))


def _last_event_id(request: HttpRequest) -> int:
    """Where the client is. 0 is the beginning.

    Raises:
        InvalidInput: not one of our ids.
    """
    raw = request.headers.get("Last-Event-ID", "") or request.GET.get("last_event_id", "")
    if not raw:
        return 0
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 10):
        raise InvalidInput("not an id of this stream", loc=("header", "Last-Event-ID"))
    return int(raw)


@off_loop
def _admit(request: HttpRequest, call_id: uuid.UUID) -> Call:
    """The call, if this request may hear it.

    Raises:
        TenexError, APIException: it may not.
    """
    token = request.GET.get("token")
    if token is not None:
        throttling.admit(throttling.address_key(request))
        if not signed.opens(token, PURPOSE, call_id):
            raise Unauthorized("the token does not open this stream (any more)")
        call = Call.objects.filter(pk=call_id).first()
        if call is None:
            raise NotFound("there is no such thing here")
        return call
    principal = principal_of(request)
    if principal is None:
        throttling.admit(throttling.address_key(request))
        raise Unauthorized("Authentication credentials were not provided.")
    throttling.admit(principal.rate_key)
    if not principal.allows(_SCOPE):
        raise PermissionDenied(f"this credential lacks the scope {_SCOPE}")
    return read.bare(principal.workspace, call_id)


async def _follow(call_id: uuid.UUID, after: int) -> AsyncIterator[bytes]:
    """Frames from `after` on. The watch begins before the first read, so nothing falls between."""
    yield sse.RETRY
    last_sent_s = time.monotonic()
    ended_at: datetime | None = None
    with _hubs.here().watch(call_id) as watch:
        while True:
            # The position is read before the rows: when it says "finalized", the rows up to it are there.
            position = await _position(call_id)
            if position is None:
                return
            while after < position.journal_seq:
                lines = await _journal_after(call_id, after, _PAGE)
                if not lines:
                    return  # purged under our feet
                for chunk in sse.gather(map(_frame, lines)):
                    yield chunk
                after = lines[-1].seq
                last_sent_s = time.monotonic()
            if position.status == CallStatus.FINALIZED:
                return
            if position.status in (CallStatus.ENDED, CallStatus.FINALIZING):
                ended_at = ended_at or timezone.now()
                if timezone.now() - ended_at > AFTER_END:
                    return
            while not await watch.moved(max(0.0, last_sent_s + sse.HEARTBEAT_S - time.monotonic())):
                yield sse.PING
                last_sent_s = time.monotonic()
                if ended_at is not None and timezone.now() - ended_at > AFTER_END:
                    return


def _frame(line: CallEvent) -> bytes:
    data = {"seq": line.seq, "type": line.type, "at_ms": line.at_ms, "data": line.data}
    return sse.frame(line.seq, line.type, data)


def _json(status: int, body: object, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(dumps(body), status=status, content_type="application/json", headers=headers)
