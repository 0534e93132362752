"""`GET /api/v1/voice/stream`: what happens in the workspace, as it happens; and the token for browsers.

The same facts as the webhooks, with the same body. The number of an event is its place in the order of
commits; it stays right when `types` leaves events out.
"""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import ClassVar

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from rest_framework import serializers as f
from rest_framework.request import Request
from rest_framework.response import Response

from tenex.errors import Gone, InvalidInput
from tenex.events import bus, selectors
from tenex.rest import signed, sse, streams
from tenex.rest.off_loop import Shared, off_loop
from tenex.rest.schema import operation
from tenex.rest.serializers import Output
from tenex.rest.views import ApiView, created
from tenex.webhooks.catalogue import EVENT_TYPES
from tenex.webhooks.services.relay import wire_body

PURPOSE = "workspace-stream"
OPENED = "stream.opened"
TTL_S = 12 * 3600
"""Of a browser's token: a working day. EventSource reconnects with the same address."""
_PAGE = 50
_SCOPES = {
    "batch": "batches:read",
    "knowledge": "knowledge:read",
    "lead": "leads:read",
    "number": "numbers:read",
    "webhook": "webhooks:read",
}
"""What reading an event needs, by the first word of its type; anything else is about calls."""

_hubs: sse.Hubs[uuid.UUID, int] = sse.Hubs(
    lambda: sse.Hub(bus.workspace_channel, off_loop(selectors.positions))
)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A stream that may be read. `first` is sent before everything else."""

    reader: streams.Reader
    types: tuple[str, ...]
    after: int
    wait: bool
    first: bytes = b""


@csrf_exempt
async def workspace_stream(request: HttpRequest) -> HttpResponseBase:
    """Open the stream, or answer JSON like the rest of the API."""
    other = streams.not_get(request)
    if other is not None:
        return other
    try:
        opened = await _open(request)
    except streams.REFUSALS as exc:
        return streams.refused(request, exc)
    return streams.answer(request, sse.response(_follow(opened)))


def scopes_of(types: tuple[str, ...]) -> tuple[str, ...]:
    """The scopes that reading events of these types needs; without types, of all."""
    wanted = types or EVENT_TYPES
    return tuple(sorted({_SCOPES.get(name.partition(".")[0], "calls:read") for name in wanted}))


@off_loop
def _open(request: HttpRequest) -> _Opened:
    """Who reads, what, and from where on.

    Raises:
        TenexError, APIException: this request may not, or asks for what is not there.
    """
    asked = tuple(name for name in request.GET.get("types", "").split(",") if name)
    reader = _admit(request, scopes_of(tuple(name for name in asked if name in EVENT_TYPES)))
    streams.known_query(request, "token", "last_event_id", "types", "follow")
    for name in asked:
        if name not in EVENT_TYPES:
            raise InvalidInput(f"no type of event: {name[:60]!r}", loc=("query", "types"), type_="enum")
    if "types" in request.GET and not asked:
        raise InvalidInput("is empty", loc=("query", "types"), type_="too_short")
    wait = streams.flag(request, "follow", default=True)
    after = streams.last_event_id(request)
    end = selectors.positions({reader.workspace_id})[reader.workspace_id]
    if after is None:
        return _Opened(reader, asked, end, wait, sse.frame(end, OPENED, {"type": OPENED, "sequence": end}))
    if after > end:
        raise streams.not_an_id(request)
    oldest = selectors.oldest(reader.workspace_id) or end + 1
    if after < oldest - 1:
        raise Gone(f"what was before event {oldest} is not kept any more", code="events_expired")
    return _Opened(reader, asked, after, wait)


def _admit(request: HttpRequest, scopes: tuple[str, ...]) -> streams.Reader:
    token = request.GET.get("token")
    if token is None:
        return streams.admit(request, scopes)
    link = streams.admit_link(request, token, PURPOSE)
    return streams.must_allow(streams.Reader(link.issuer, uuid.UUID(link.object_id), scopes))


def _follow(opened: _Opened) -> AsyncIterator[bytes]:
    async def read(after: int) -> streams.Page | None:
        page: streams.Page | None = await _events(opened.reader.workspace_id, after, opened.types)
        return page

    workspace_id = opened.reader.workspace_id
    return streams.follow(
        _hubs.here(), workspace_id, opened.after, read, opened.reader, first=opened.first, wait=opened.wait
    )


def _read_events(workspace_id: uuid.UUID, after: int, types: tuple[str, ...]) -> streams.Page | None:
    found = selectors.after(workspace_id, after, types, _PAGE)
    if found is None:
        return None
    frames = streams.fitting(sse.raw_frame(event.seq, event.type, wire_body(event)) for event in found.events)
    last_id = found.events[len(frames) - 1].seq if frames else 0
    upto = last_id if len(frames) < len(found.events) else found.upto
    return streams.Page(upto, frames, last_id, more=upto < found.end)


_events = Shared(off_loop(_read_events))


class EventStreamTokenOut(Output):
    """Opens the workspace's event stream in a browser: `new EventSource(url)`."""

    token = f.CharField()
    url = f.CharField(help_text="`&types=…` may be added.")
    expires_at = f.DateTimeField()


class EventStreamToken(ApiView):
    scopes: ClassVar = {"POST": "calls:read"}

    @operation(
        "events_stream_token",
        "Mint a token for the workspace's stream",
        "A token that opens `GET /stream` of this workspace for twelve hours: browsers' EventSource cannot "
        "send a header. It reads what the credential that asked for it may read, and dies with it.",
        tag="Live control",
        response=EventStreamTokenOut,
        status=201,
    )
    def post(self, request: Request) -> Response:
        token, expires_at = signed.issue(PURPOSE, self.workspace.id, by=self.principal.rate_key, ttl_s=TTL_S)
        url = f"{settings.PUBLIC_BASE_URL}/api/v1/voice/stream?token={token}"
        return created(EventStreamTokenOut({"token": token, "url": url, "expires_at": expires_at}).data)
