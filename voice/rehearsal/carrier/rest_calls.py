"""`/Calls`: create, look up, list, change (twilio.md 8, 9)."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from aiohttp import web
from multidict import MultiMapping

from voice.rehearsal.carrier import params
from voice.rehearsal.carrier.faults import CreateFault
from voice.rehearsal.carrier.records import CallbackPlan, CallRecord, CallStatus
from voice.rehearsal.carrier.rest import exchange_of, form_of, page
from voice.rehearsal.carrier.shapes import Refused, Shape, call_shape

_HANG_S = 120.0


def add_routes(app: web.Application, prefix: str) -> None:
    app.router.add_post(f"{prefix}/Calls.json", create)
    app.router.add_get(f"{prefix}/Calls.json", index)
    app.router.add_get(f"{prefix}/Calls/{{sid}}.json", show)
    app.router.add_post(f"{prefix}/Calls/{{sid}}.json", update)


def find(request: web.Request) -> CallRecord:
    call = exchange_of(request).books.calls.get(request.match_info["sid"])
    if call is None:
        raise Refused(404, 20404, f"The requested resource {request.path} was not found")
    return call


def _answer(request: web.Request, call: CallRecord, status: int = 200) -> web.Response:
    return web.json_response(call_shape(call, exchange_of(request).options.account_sid), status=status)


async def create(request: web.Request) -> web.StreamResponse:
    exchange = exchange_of(request)
    wish = params.create_call(await form_of(request))
    return await with_fault(
        request,
        exchange.dice.for_create(),
        lambda: call_shape(exchange.create(wish), exchange.options.account_sid),
    )


async def with_fault(
    request: web.Request, fault: CreateFault | None, effect: Callable[[], Shape]
) -> web.StreamResponse:
    """201 with what `effect` made, or what this fault makes of it."""
    match fault:
        case "reject_429":
            raise Refused(429, 20429, "Too many requests")
        case "fail_500":
            raise Refused(500, 20500, "An internal server error has occurred")
        case "reset":
            return _cut(request)
    made = effect()
    match fault:
        case "accept_then_500":
            raise Refused(500, 20500, "An internal server error has occurred")
        case "accept_then_hang":
            await asyncio.sleep(_HANG_S)
            return _cut(request)
        case "accept_then_reset":
            return _cut(request)
    return web.json_response(made, status=201)


def _cut(request: web.Request) -> web.Response:
    """Reset the connection instead of an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def show(request: web.Request) -> web.Response:
    return _answer(request, find(request))


async def update(request: web.Request) -> web.Response:
    """Hang up, cancel, or give new instructions."""
    exchange, call = exchange_of(request), find(request)
    form = await form_of(request)
    status = form.get("Status")
    if status is not None:
        if status not in {"completed", "canceled"}:
            raise Refused(400, 21220, "Invalid call state: Status must be completed or canceled")
        exchange.finish(call, CallStatus(status))
        return _answer(request, call)
    if form.get("Url") and form.get("Twiml"):
        raise Refused(400, 21205, "Url and Twiml are mutually exclusive")
    plan = params.instructions(form, required=False)
    if plan.url or plan.twiml:
        exchange.redirect(call, plan)
        if url := form.get("StatusCallback"):
            events = frozenset(form.getall("StatusCallbackEvent", ["completed"])) & params.CALL_EVENTS
            call.callback = CallbackPlan(url, form.get("StatusCallbackMethod", "POST"), events)
    return _answer(request, call)


async def index(request: web.Request) -> web.Response:
    exchange = exchange_of(request)
    wanted = _filter(request.query)
    calls = [call for call in reversed(exchange.books.calls.values()) if wanted(call)]
    account = exchange.options.account_sid
    return page(request, "calls", [(call.sid, call_shape(call, account)) for call in calls])


_SAME: dict[str, Callable[[CallRecord], str | None]] = {
    "To": lambda call: call.to,
    "From": lambda call: call.from_,
    "Status": lambda call: call.status.value,
    "ParentCallSid": lambda call: call.parent_call_sid,
}
_TIMES: dict[str, Callable[[CallRecord], datetime | None]] = {
    "StartTime": lambda call: call.start_time,
    "EndTime": lambda call: call.end_time,
}


def _filter(query: MultiMapping[str]) -> Callable[[CallRecord], bool]:
    """All conditions of the query; calls that have no such time are left out by a time filter."""
    checks: list[Callable[[CallRecord], bool]] = []
    for key, value in query.items():
        if not value:
            continue
        if (read := _SAME.get(key)) is not None:
            checks.append(lambda call, read=read, value=value: read(call) == value)  # type: ignore[misc]
        elif (at := _TIMES.get(key.rstrip("<>"))) is not None:
            checks.append(_time_check(at, key[len(key.rstrip("<>")) :], _time(value), exact="T" in value))
    return lambda call: all(check(call) for check in checks)


def _time_check(
    read: Callable[[CallRecord], datetime | None], sign: str, bound: datetime, *, exact: bool
) -> Callable[[CallRecord], bool]:
    """`>` and `<` include the bound, as `StartTime>=` is written on the wire; without a sign: that day."""

    def check(call: CallRecord) -> bool:
        at = read(call)
        if at is None:
            return False
        if sign == ">":
            return at >= bound
        if sign == "<":
            return at <= (bound if exact else bound + timedelta(days=1))
        return bound <= at < bound + (timedelta(seconds=1) if exact else timedelta(days=1))

    return check


def _time(raw: str) -> datetime:
    try:
        at = datetime.fromisoformat(raw)
    except ValueError:
        raise Refused(400, 20001, f"{raw!r} is not a date or an ISO 8601 time") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
