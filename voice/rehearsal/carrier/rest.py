"""The door of the REST API: who may enter, errors in Twilio's shape, lists with pages."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from hmac import compare_digest
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiDict

from voice.rehearsal.carrier.exchange import Exchange
from voice.rehearsal.carrier.shapes import Refused, Shape, refusal

EXCHANGE = web.AppKey("exchange", Exchange)
"""Of the account that the carrier was started with."""
ACCOUNTS = web.AppKey("accounts", dict[str, Exchange])
"""All of them by their sid: each has numbers, calls, recordings and credentials of its own."""

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PREFIX = "/2010-04-01/"
_MAX_PAGE = 1000


def exchange_of(request: web.Request) -> Exchange:
    """Of the account that the path or `?account=` names; of the first one if that is none."""
    named = request.match_info.get("account") or request.query.get("account") or ""
    return request.app[ACCOUNTS].get(named, request.app[EXCHANGE])


def open_account(app: web.Application, sid: str, auth_token: str, api_keys: dict[str, str]) -> Exchange:
    """Another account at this carrier, without numbers; one that is there gets other credentials."""
    first = app[EXCHANGE]
    options = replace(
        first.options, account_sid=sid, auth_token=auth_token, api_keys=api_keys, numbers=(), base_url=""
    )
    exchange = Exchange(options=options, clock=first.clock, stage=first.stage, speech=first.speech)
    exchange.base_url, exchange.scenarios = first.base_url, first.scenarios
    app[ACCOUNTS][sid] = exchange
    return exchange


def _check_credentials(request: web.Request) -> None:
    """HTTP Basic with the account's token or one of its API keys; the path names the same account."""
    options = exchange_of(request).options
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        user = secret = ""
    known = {options.account_sid: options.auth_token} | options.api_keys
    if scheme.lower() != "basic" or not compare_digest(known.get(user, "\0").encode(), secret.encode()):
        raise Refused(401, 20003, "Authenticate")
    if request.match_info.get("account") != options.account_sid:
        raise Refused(404, 20404, f"The requested resource {request.path} was not found")


@web.middleware
async def rest_door(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Credentials, rate limit on demand, and Twilio's error shape; other paths pass."""
    if not request.path.startswith(_PREFIX):
        return await handler(request)
    try:
        _check_credentials(request)
        dice = exchange_of(request).dice
        is_create = request.method == "POST" and request.path.endswith("/Calls.json")
        if not is_create and dice.strikes(dice.faults.rest_429):
            raise Refused(429, 20429, "Too many requests")
        return await handler(request)
    except Refused as exc:
        response = refusal(exc.status, exc.code, str(exc))
        if exc.status == 401:
            response.headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
        return response
    except web.HTTPNotFound:
        return refusal(404, 20404, f"The requested resource {request.path} was not found")
    except web.HTTPMethodNotAllowed:
        return refusal(405, 20004, "Method not allowed")


async def show_account(request: web.Request) -> web.Response:
    """The account itself. A standard API key may not see it, as in the real service."""
    options = exchange_of(request).options
    user = base64.b64decode(request.headers["Authorization"].partition(" ")[2]).decode().partition(":")[0]
    if user != options.account_sid:
        raise Refused(401, 20003, "Authenticate")
    return web.json_response(
        {
            "sid": options.account_sid,
            "friendly_name": "Rehearsal",
            "status": "active",
            "type": "Full",
            "owner_account_sid": options.account_sid,
            "uri": request.path,
        }
    )


async def form_of(request: web.Request) -> MultiDict[str]:
    """The form with repeated keys; JSON and other bodies count as empty, as in the real service."""
    data = await request.post()
    return MultiDict((key, value) for key, value in data.items() if isinstance(value, str))


def page(request: web.Request, name: str, shapes: Sequence[tuple[str, Shape]]) -> web.Response:
    """One page of a list; `shapes` are (sid, object), newest first."""
    query = request.query
    size = _number(query.get("PageSize"), 50)
    size = max(1, min(size, _MAX_PAGE))
    number = _number(query.get("Page"), 0)
    start = number * size
    if token := query.get("PageToken", "").removeprefix("PA"):
        sids = [sid for sid, _ in shapes]
        start = sids.index(token) + 1 if token in sids else start
    rows = shapes[start : start + size]
    kept = [(key, value) for key, value in query.items() if key not in {"PageSize", "Page", "PageToken"}]

    def uri(index: int, token: str = "") -> str:
        extra = [("PageSize", str(size)), ("Page", str(index))] + ([("PageToken", token)] if token else [])
        return f"{request.path}?{urlencode(kept + extra)}"

    more = start + size < len(shapes)
    return web.json_response(
        {
            name: [shape for _, shape in rows],
            "first_page_uri": uri(0),
            "next_page_uri": uri(number + 1, f"PA{rows[-1][0]}") if more else None,
            "previous_page_uri": uri(number - 1) if number else None,
            "uri": request.path_qs,
            "page": number,
            "page_size": size,
            "start": start,
            "end": start + max(0, len(rows) - 1),
        }
    )


def _number(raw: str | None, default: int) -> int:
    return int(raw) if raw is not None and raw.isdecimal() else default
