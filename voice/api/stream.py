"""`GET /api/v1/voice/calls/{id}/stream`: the journal of a call as it is written.

A plain async Django view: what came before (or a snapshot of it), then what comes, each line exactly once and
in order, resumable by `Last-Event-ID`. It ends after the call is finalized and read to its end; clients may
stop at `call.ended`.
"""

import math
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from tenex.errors import existing
from tenex.events import bus
from tenex.rest import sse, streams
from tenex.rest.off_loop import Shared, off_loop
from voice.models import Call, CallEvent, CallStatus
from voice.selectors import calls as read
from voice.selectors import journal

PURPOSE = "call-stream"
SCOPES = ("calls:read",)
SNAPSHOT = "call.snapshot"
_PAGE = 50
AFTER_END = timedelta(minutes=5)
"""How long a stream waits for a call that has ended to be finalized."""

_hubs: sse.Hubs[uuid.UUID, read.Position] = sse.Hubs(
    lambda: sse.Hub(bus.call_channel, off_loop(read.positions))
)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A stream that may be read."""

    call: Call
    reader: streams.Reader
    after: int
    with_snapshot: bool
    wait: bool


@csrf_exempt
async def stream(request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
    """Open the stream, or answer JSON like the rest of the API."""
    other = streams.not_get(request)
    if other is not None:
        return other
    try:
        opened = await _open(request, call_id)
    except streams.REFUSALS as exc:
        return streams.refused(request, exc)
    if opened.call.status == CallStatus.FINALIZED and opened.after == opened.call.journal_seq:
        return streams.answer(request, HttpResponse(status=204))  # EventSource stops to reconnect at 204
    return streams.answer(request, sse.response(_follow(call_id, opened)))


@off_loop
def _open(request: HttpRequest, call_id: uuid.UUID) -> _Opened:
    """The call, if this request may hear it, and from where on.

    Raises:
        TenexError, APIException: it may not, or asks for what is not there.
    """
    reader, call = _admit(request, call_id)
    streams.known_query(request, "token", "last_event_id", "snapshot", "follow")
    after = streams.last_event_id(request)
    if (after or 0) > call.journal_seq:
        raise streams.not_an_id(request)
    snapshot = streams.flag(request, "snapshot", default=False)
    wait = streams.flag(request, "follow", default=True)
    return _Opened(call, reader, after or 0, after is None and snapshot, wait)


def _admit(request: HttpRequest, call_id: uuid.UUID) -> tuple[streams.Reader, Call]:
    token = request.GET.get("token")
    if token is None:
        reader = streams.admit(request, SCOPES)
        return reader, existing(Call.objects.filter(workspace_id=reader.workspace_id, pk=call_id).first())
    link = streams.admit_link(request, token, PURPOSE)
    call = Call.objects.filter(pk=call_id).first() if link.object_id == str(call_id) else None
    if call is None:
        raise streams.bad_token()
    return streams.must_allow(streams.Reader(link.issuer, call.workspace_id, SCOPES)), call


async def _follow(call_id: uuid.UUID, opened: _Opened) -> AsyncIterator[bytes]:
    after, first = opened.after, b""
    if opened.with_snapshot:
        snapshot = await off_loop(journal.snapshot)(call_id)
        if snapshot is not None:
            after = snapshot["seq"]
            first = sse.frame(after, SNAPSHOT, {"type": SNAPSHOT, **snapshot})
    async for chunk in streams.follow(
        _hubs.here(), call_id, after, _Tail(call_id), opened.reader, first=first, wait=opened.wait
    ):
        yield chunk


class _Tail:
    """Reads the lines behind a number, for one reader; readers of the same lines share the reading."""

    def __init__(self, call_id: uuid.UUID) -> None:
        self._call_id = call_id
        self._ends_at_s = math.inf

    async def __call__(self, after: int) -> streams.Page | None:
        found = await _lines(self._call_id, after)
        if found is None:
            return None
        if found.is_over and self._ends_at_s == math.inf:
            self._ends_at_s = time.monotonic() + AFTER_END.total_seconds()
        over = found.is_final and found.upto == found.end
        return streams.Page(
            found.upto,
            found.frames,
            found.upto,
            more=found.upto < found.end,
            over=over,
            ends_at_s=self._ends_at_s,
        )


@dataclass(frozen=True, slots=True)
class _Lines:
    """Lines behind a number, ready to be sent. `end`: the last line that there was when we looked."""

    frames: tuple[bytes, ...]
    upto: int
    end: int
    is_over: bool
    is_final: bool


def _read_lines(call_id: uuid.UUID, after: int) -> _Lines | None:
    """None: the call is gone, or its lines are."""
    # The position is read before the rows: when it says "finalized", the rows up to it are there.
    position = read.position(call_id)
    if position is None:
        return None
    lines = read.journal_after(call_id, after, _PAGE) if after < position.journal_seq else []
    if not lines and after < position.journal_seq:
        return None  # purged under our feet
    frames = streams.fitting(map(_frame, lines))
    return _Lines(
        frames=frames,
        upto=lines[len(frames) - 1].seq if frames else after,
        end=position.journal_seq,
        is_over=position.status in (CallStatus.ENDED, CallStatus.FINALIZING, CallStatus.FINALIZED),
        is_final=position.status == CallStatus.FINALIZED,
    )


_lines = Shared(off_loop(_read_lines))


def _frame(line: CallEvent) -> bytes:
    data = {"seq": line.seq, "type": line.type, "at_ms": line.at_ms, "data": line.data}
    return sse.frame(line.seq, line.type, data)
