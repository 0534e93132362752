"""`/Recordings` (twilio.md 11)."""

import asyncio

from aiohttp import web

from voice.rehearsal.carrier import params
from voice.rehearsal.carrier.records import CallStatus, RecordingRecord, utc_now
from voice.rehearsal.carrier.rest import exchange_of, form_of, page
from voice.rehearsal.carrier.rest_calls import find
from voice.rehearsal.carrier.shapes import Refused, recording_shape


def add_routes(app: web.Application, prefix: str) -> None:
    router = app.router
    router.add_post(f"{prefix}/Calls/{{sid}}/Recordings.json", start_recording)
    router.add_get(f"{prefix}/Calls/{{sid}}/Recordings.json", call_recordings)
    router.add_post(f"{prefix}/Calls/{{sid}}/Recordings/{{recording}}.json", update_recording)
    router.add_get(f"{prefix}/Recordings.json", all_recordings)
    router.add_get(rf"{prefix}/Recordings/{{recording:[^/.]+}}.json", show_recording)
    router.add_get(rf"{prefix}/Recordings/{{recording:[^/.]+}}{{kind:(\.wav|\.mp3)?}}", download)
    router.add_delete(rf"{prefix}/Recordings/{{recording:[^/.]+}}{{kind:(\.json)?}}", delete_recording)


def _not_found(request: web.Request) -> Refused:
    return Refused(404, 20404, f"The requested resource {request.path} was not found")


def _recording(request: web.Request) -> RecordingRecord:
    books, sid = exchange_of(request).books, request.match_info["recording"]
    recording = books.recordings.get(sid)
    if sid == "Twilio.CURRENT":
        running = books.recordings_of(request.match_info["sid"])
        recording = next((item for item in running if item.status == "in-progress"), None)
    if recording is None:
        raise _not_found(request)
    return recording


def _shown(request: web.Request, recording: RecordingRecord, status: int = 200) -> web.Response:
    account = exchange_of(request).options.account_sid
    return web.json_response(recording_shape(recording, account), status=status)


async def start_recording(request: web.Request) -> web.Response:
    exchange, call = exchange_of(request), find(request)
    plan = params.recording(await form_of(request))
    live = exchange.live.get(call.sid)
    if live is None or call.status is not CallStatus.IN_PROGRESS:
        raise Refused(400, 21220, "Requested resource is not eligible for recording: call is not in progress")
    return _shown(request, exchange.recorder.start(live, plan, source="StartCallRecordingAPI"), 201)


async def update_recording(request: web.Request) -> web.Response:
    """`Status` paused, in-progress or stopped."""
    exchange, call, recording = exchange_of(request), find(request), _recording(request)
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
    account = exchange_of(request).options.account_sid
    shapes = [(item.sid, recording_shape(item, account)) for item in reversed(rows)]
    return page(request, "recordings", shapes)


async def call_recordings(request: web.Request) -> web.Response:
    return _recording_page(request, exchange_of(request).books.recordings_of(find(request).sid))


async def all_recordings(request: web.Request) -> web.Response:
    rows, call_sid = exchange_of(request).books.recordings.values(), request.query.get("CallSid")
    return _recording_page(request, [item for item in rows if call_sid in (None, item.call_sid)])


async def show_recording(request: web.Request) -> web.Response:
    books = exchange_of(request).books
    deleted = books.deleted_recordings.get(request.match_info["recording"])
    return _shown(request, deleted or _recording(request))


async def download(request: web.Request) -> web.Response:
    """The sound: WAV only, mono unless `RequestedChannels=2`; 404 until it is ready."""
    exchange, recording = exchange_of(request), _recording(request)
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
    exchange_of(request).recorder.delete(recording)
    return web.Response(status=204)
