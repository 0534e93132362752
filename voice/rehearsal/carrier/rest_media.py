"""`/Recordings` and numbers (twilio.md 11, 14)."""

import asyncio
import re
from fnmatch import fnmatchcase

from aiohttp import web

from voice.rehearsal.carrier import params
from voice.rehearsal.carrier.options import NumberSetup
from voice.rehearsal.carrier.records import CallStatus, NumberRecord, RecordingRecord, utc_now
from voice.rehearsal.carrier.rest import EXCHANGE, form_of, page
from voice.rehearsal.carrier.rest_calls import find
from voice.rehearsal.carrier.shapes import Refused, account_path, number_shape, recording_shape

_NUMBER_FIELDS = {
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


def add_routes(app: web.Application, prefix: str) -> None:
    router = app.router
    router.add_post(f"{prefix}/Calls/{{sid}}/Recordings.json", start_recording)
    router.add_get(f"{prefix}/Calls/{{sid}}/Recordings.json", call_recordings)
    router.add_post(f"{prefix}/Calls/{{sid}}/Recordings/{{recording}}.json", update_recording)
    router.add_get(f"{prefix}/Recordings.json", all_recordings)
    router.add_get(rf"{prefix}/Recordings/{{recording:[^/.]+}}.json", show_recording)
    router.add_get(rf"{prefix}/Recordings/{{recording:[^/.]+}}{{kind:(\.wav|\.mp3)?}}", download)
    router.add_delete(rf"{prefix}/Recordings/{{recording:[^/.]+}}{{kind:(\.json)?}}", delete_recording)
    router.add_get(f"{prefix}/IncomingPhoneNumbers.json", numbers)
    router.add_post(f"{prefix}/IncomingPhoneNumbers.json", buy)
    router.add_get(f"{prefix}/IncomingPhoneNumbers/{{number}}.json", show_number)
    router.add_post(f"{prefix}/IncomingPhoneNumbers/{{number}}.json", update_number)
    router.add_delete(f"{prefix}/IncomingPhoneNumbers/{{number}}.json", release)
    router.add_get(f"{prefix}/AvailablePhoneNumbers/{{country}}/{{kind}}.json", available)


# --- recordings ------------------------------------------------------------------------------------


def _not_found(request: web.Request) -> Refused:
    return Refused(404, 20404, f"The requested resource {request.path} was not found")


def _recording(request: web.Request) -> RecordingRecord:
    books, sid = request.app[EXCHANGE].books, request.match_info["recording"]
    recording = books.recordings.get(sid)
    if sid == "Twilio.CURRENT":
        running = books.recordings_of(request.match_info["sid"])
        recording = next((item for item in running if item.status == "in-progress"), None)
    if recording is None:
        raise _not_found(request)
    return recording


def _shown(request: web.Request, recording: RecordingRecord, status: int = 200) -> web.Response:
    account = request.app[EXCHANGE].options.account_sid
    return web.json_response(recording_shape(recording, account), status=status)


async def start_recording(request: web.Request) -> web.Response:
    exchange, call = request.app[EXCHANGE], find(request)
    plan = params.recording(await form_of(request))
    live = exchange.live.get(call.sid)
    if live is None or call.status is not CallStatus.IN_PROGRESS:
        raise Refused(400, 21220, "Requested resource is not eligible for recording: call is not in progress")
    return _shown(request, exchange.recorder.start(live, plan, source="StartCallRecordingAPI"), 201)


async def update_recording(request: web.Request) -> web.Response:
    """`Status` paused, in-progress or stopped."""
    exchange, call, recording = request.app[EXCHANGE], find(request), _recording(request)
    form = await form_of(request)
    live = exchange.live.get(call.sid)
    if live is None or recording not in live.line.recordings:
        raise Refused(400, 21220, "The recording is over")
    match form.get("Status"):
        case "stopped":
            exchange.recorder.finish(live, recording)
        case "paused":
            recording.status = "paused"
            recording.paused = form.get("PauseBehavior", "silence")
        case "in-progress":
            recording.status, recording.paused = "in-progress", ""
        case _:
            raise Refused(400, 20001, "Status must be paused, in-progress or stopped")
    recording.date_updated = utc_now()
    return _shown(request, recording)


def _recording_page(request: web.Request, rows: list[RecordingRecord]) -> web.Response:
    account = request.app[EXCHANGE].options.account_sid
    shapes = [(item.sid, recording_shape(item, account)) for item in reversed(rows)]
    return page(request, "recordings", shapes)


async def call_recordings(request: web.Request) -> web.Response:
    return _recording_page(request, request.app[EXCHANGE].books.recordings_of(find(request).sid))


async def all_recordings(request: web.Request) -> web.Response:
    rows, call_sid = request.app[EXCHANGE].books.recordings.values(), request.query.get("CallSid")
    return _recording_page(request, [item for item in rows if call_sid in (None, item.call_sid)])


async def show_recording(request: web.Request) -> web.Response:
    books = request.app[EXCHANGE].books
    deleted = books.deleted_recordings.get(request.match_info["recording"])
    return _shown(request, deleted or _recording(request))


async def download(request: web.Request) -> web.Response:
    """The sound: WAV only, mono unless `RequestedChannels=2`; 404 until it is ready."""
    exchange, recording = request.app[EXCHANGE], _recording(request)
    if recording.status != "completed" or request.match_info["kind"] == ".mp3":
        raise _not_found(request)
    if recording.not_found_left > 0:
        recording.not_found_left -= 1
        raise _not_found(request)
    channels = request.query.get("RequestedChannels", "1")
    if channels not in {"1", "2"} or int(channels) > recording.channels:
        raise Refused(400, 20001, f"RequestedChannels={channels} of a recording with {recording.channels}")
    sound = await asyncio.to_thread(exchange.recorder.wav, recording, int(channels))
    return web.Response(body=sound, content_type="audio/x-wav")


async def delete_recording(request: web.Request) -> web.Response:
    recording = _recording(request)
    if recording.status in {"in-progress", "paused"}:
        raise Refused(400, 20001, "A recording cannot be deleted while it is in progress")
    request.app[EXCHANGE].recorder.delete(recording)
    return web.Response(status=204)


# --- numbers ---------------------------------------------------------------------------------------


def _number(request: web.Request) -> NumberRecord:
    number = request.app[EXCHANGE].books.numbers.get(request.match_info["number"])
    if number is None:
        raise _not_found(request)
    return number


def _number_answer(request: web.Request, number: NumberRecord, status: int = 200) -> web.Response:
    return web.json_response(number_shape(number, request.app[EXCHANGE].options.account_sid), status=status)


async def numbers(request: web.Request) -> web.Response:
    exchange, query = request.app[EXCHANGE], request.query
    rows = [
        number
        for number in reversed(exchange.books.numbers.values())
        if query.get("PhoneNumber", "") in number.phone_number
        and query.get("FriendlyName", number.friendly_name) == number.friendly_name
    ]
    account = exchange.options.account_sid
    return page(request, "incoming_phone_numbers", [(row.sid, number_shape(row, account)) for row in rows])


async def buy(request: web.Request) -> web.Response:
    exchange, form = request.app[EXCHANGE], await form_of(request)
    wanted = form.get("PhoneNumber") or next(iter(_for_sale(request, form.get("AreaCode", ""))), "")
    if not re.fullmatch(r"\+[1-9]\d{6,14}", wanted):
        raise Refused(400, 21421, "PhoneNumber is invalid")
    if exchange.books.number(wanted) is not None:
        raise Refused(400, 21422, "PhoneNumber is not available")
    number = exchange.books.add_number(NumberSetup(wanted))
    _set_fields(number, form)
    return _number_answer(request, number, 201)


def _set_fields(number: NumberRecord, form: params.Form) -> None:
    for key, name in _NUMBER_FIELDS.items():
        if key in form:
            value = form[key]
            if value and key in {"VoiceUrl", "VoiceFallbackUrl", "StatusCallback"}:
                params.check_url(value, key, 21402)
            setattr(number, name, value)
    number.date_updated = utc_now()


async def show_number(request: web.Request) -> web.Response:
    return _number_answer(request, _number(request))


async def update_number(request: web.Request) -> web.Response:
    number = _number(request)
    _set_fields(number, await form_of(request))
    return _number_answer(request, number)


async def release(request: web.Request) -> web.Response:
    del request.app[EXCHANGE].books.numbers[_number(request).sid]
    return web.Response(status=204)


def _for_sale(request: web.Request, area_code: str) -> list[str]:
    """Numbers of the range that is reserved for fiction (555-0100 to 0199) and not owned yet."""
    area = area_code or "628"
    owned = {number.phone_number for number in request.app[EXCHANGE].books.numbers.values()}
    return [number for i in range(100, 200) if (number := f"+1{area}5550{i}") not in owned]


async def available(request: web.Request) -> web.Response:
    if request.match_info["country"] != "US" or request.match_info["kind"] not in {"Local", "TollFree"}:
        raise _not_found(request)
    query = request.query
    toll_free = request.match_info["kind"] == "TollFree"
    area = "833" if toll_free else query.get("AreaCode", "")
    pattern = query.get("Contains", "").lstrip("+")
    rows = [n for n in _for_sale(request, area) if not pattern or fnmatchcase(n, f"*{pattern}*")]
    limit = int(query["PageSize"]) if query.get("PageSize", "").isdecimal() else 30
    path = f"{account_path(request.app[EXCHANGE].options.account_sid)}/AvailablePhoneNumbers/US"
    shapes = [
        {
            "phone_number": number,
            "friendly_name": f"({number[2:5]}) {number[5:8]}-{number[8:]}",
            "lata": None,
            "locality": None if toll_free else "San Francisco",
            "rate_center": None,
            "latitude": None,
            "longitude": None,
            "region": None if toll_free else "CA",
            "postal_code": None,
            "iso_country": "US",
            "address_requirements": "none",
            "beta": False,
            "capabilities": {"voice": True, "SMS": True, "MMS": True, "fax": False},
        }
        for number in rows[:limit]
    ]
    return web.json_response(
        {"available_phone_numbers": shapes, "uri": f"{path}/{request.match_info['kind']}.json"}
    )
