"""Numbers for sale and numbers owned (twilio.md 14)."""

import re

from aiohttp import web

from voice.rehearsal.carrier import inventory, params
from voice.rehearsal.carrier.inventory import ForSale
from voice.rehearsal.carrier.options import NumberSetup
from voice.rehearsal.carrier.records import NumberRecord, utc_now
from voice.rehearsal.carrier.rest import exchange_of, form_of, page
from voice.rehearsal.carrier.rest_calls import with_fault
from voice.rehearsal.carrier.shapes import (
    Refused,
    Shape,
    account_path,
    for_sale_shape,
    number_shape,
)

_FIELDS = {
    "FriendlyName": "friendly_name",
    "VoiceUrl": "voice_url",
    "VoiceMethod": "voice_method",
    "VoiceFallbackUrl": "voice_fallback_url",
    "VoiceFallbackMethod": "voice_fallback_method",
    "VoiceApplicationSid": "voice_application_sid",
    "TrunkSid": "trunk_sid",
    "StatusCallback": "status_callback",
    "StatusCallbackMethod": "status_callback_method",
}
_URLS = {"VoiceUrl", "VoiceFallbackUrl", "StatusCallback"}
_METHODS = {"VoiceMethod", "VoiceFallbackMethod", "StatusCallbackMethod"}
_FLAGS = {
    "VoiceEnabled", "SmsEnabled", "MmsEnabled", "FaxEnabled", "Beta", "ExcludeAllAddressRequired",
    "ExcludeLocalAddressRequired", "ExcludeForeignAddressRequired",
}  # fmt: skip
_FULL = re.compile(r"\+[1-9]\d{6,14}")
_MAX_SHOWN = 1000


def add_routes(app: web.Application, prefix: str) -> None:
    router = app.router
    router.add_get(f"{prefix}/IncomingPhoneNumbers.json", index)
    router.add_post(f"{prefix}/IncomingPhoneNumbers.json", buy)
    router.add_get(f"{prefix}/IncomingPhoneNumbers/{{number}}.json", show)
    router.add_post(f"{prefix}/IncomingPhoneNumbers/{{number}}.json", update)
    router.add_delete(f"{prefix}/IncomingPhoneNumbers/{{number}}.json", release)
    router.add_get(f"{prefix}/AvailablePhoneNumbers/{{country}}/{{kind}}.json", available)


def _not_found(request: web.Request) -> Refused:
    return Refused(404, 20404, f"The requested resource {request.path} was not found")


def _number(request: web.Request) -> NumberRecord:
    number = exchange_of(request).books.numbers.get(request.match_info["number"])
    if number is None:
        raise _not_found(request)
    return number


def _shape(request: web.Request, number: NumberRecord) -> Shape:
    return number_shape(number, exchange_of(request).options.account_sid)


async def index(request: web.Request) -> web.Response:
    """`PhoneNumber` may be a part of a number, with `*` for any digit; `FriendlyName` is exact."""
    query = request.query
    wanted = re.escape(query.get("PhoneNumber", "")).replace(r"\*", r"\d")
    rows = [
        number
        for number in reversed(exchange_of(request).books.numbers.values())
        if re.search(wanted, number.phone_number)
        and query.get("FriendlyName", number.friendly_name) == number.friendly_name
        and query.get("Origin", "twilio") == "twilio"
    ]
    return page(request, "incoming_phone_numbers", [(row.sid, _shape(request, row)) for row in rows])


async def buy(request: web.Request) -> web.StreamResponse:
    """Buys the number of `PhoneNumber`, or any of an `AreaCode`."""
    form = await form_of(request)
    wanted = _wanted(request, form)
    fields = _checked(form)

    def effect() -> Shape:
        number = exchange_of(request).books.add_number(NumberSetup(wanted.phone_number))
        number.kind = {"TollFree": "toll-free"}.get(wanted.kind, wanted.kind.lower())
        _set(number, fields)
        return _shape(request, number)

    return await with_fault(request, exchange_of(request).dice.for_purchase(), effect)


def _wanted(request: web.Request, form: params.Form) -> ForSale:
    phone_number, area_code = form.get("PhoneNumber", ""), form.get("AreaCode", "")
    books = exchange_of(request).books
    if phone_number:
        if not _FULL.fullmatch(phone_number):
            raise Refused(400, 21421, f"{phone_number} is not a valid number")
        found = inventory.find(phone_number)
        if found is None or books.number(phone_number) is not None:
            raise Refused(400, 21422, f"{phone_number} is not available.")
    elif area_code:
        shelf = inventory.search("US", "Local", area_code=area_code)
        found = next((one for one in shelf if books.number(one.phone_number) is None), None)
        if found is None:
            raise Refused(400, 21452, f"No phone numbers found in area code {area_code}")
    else:
        raise Refused(400, 21404, "PhoneNumber or AreaCode is required")
    if found.address_requirements != "none" and not form.get("AddressSid"):
        raise Refused(
            400, 21631, "Phone Number Requires an Address but the 'AddressSid' parameter was empty."
        )
    return found


def _checked(form: params.Form) -> dict[str, str]:
    fields = {key: form[key] for key in _FIELDS if key in form}
    for key in _URLS & set(fields):
        if fields[key]:
            params.check_url(fields[key], key, 21402)
    for key in _METHODS & set(fields):
        if fields[key] not in {"GET", "POST"}:
            raise Refused(400, 21403, f"{key} is not a valid HTTP method")
    if len(fields.get("FriendlyName", "")) > 64:
        raise Refused(400, 21455, "FriendlyName is too long")
    return fields


def _set(number: NumberRecord, fields: dict[str, str]) -> None:
    for key, value in fields.items():
        setattr(number, _FIELDS[key], value)
    number.date_updated = utc_now()


async def show(request: web.Request) -> web.Response:
    return web.json_response(_shape(request, _number(request)))


async def update(request: web.Request) -> web.Response:
    number = _number(request)
    _set(number, _checked(await form_of(request)))
    return web.json_response(_shape(request, number))


async def release(request: web.Request) -> web.Response:
    """The number goes back on sale."""
    del exchange_of(request).books.numbers[_number(request).sid]
    return web.Response(status=204)


async def available(request: web.Request) -> web.Response:
    """Numbers for sale: no pages, `PageSize` bounds them."""
    country, kind = request.match_info["country"], request.match_info["kind"]
    if not inventory.sold(country, kind):
        raise _not_found(request)
    query = request.query
    for key in _FLAGS & set(query):
        if query[key] not in {"true", "false"}:
            raise Refused(400, 20001, f"{key} must be true or false")
    area_code, contains = query.get("AreaCode", ""), query.get("Contains", "")
    if area_code and not re.fullmatch(r"\d{3}", area_code):
        raise Refused(400, 21450, "AreaCode is not valid")
    if contains and not re.fullmatch(r"\+?[0-9A-Za-z*]{2,}", contains):
        raise Refused(400, 21451, "Contains must be at least two digits, letters or *")
    size = int(query["PageSize"]) if query.get("PageSize", "").isdecimal() else 30
    exchange = exchange_of(request)
    found = inventory.search(
        country,
        kind,
        area_code=area_code,
        contains=contains,
        address_free=query.get("ExcludeAllAddressRequired") == "true",
    )
    rows = [for_sale_shape(one) for one in found if exchange.books.number(one.phone_number) is None]
    path = f"{account_path(exchange.options.account_sid)}/AvailablePhoneNumbers/{country}/{kind}.json"
    return web.json_response({"available_phone_numbers": rows[: max(1, min(size, _MAX_SHOWN))], "uri": path})
