"""`/control/`: what really happened, and what shall go wrong. Not imitated from anything; needs no key."""

from typing import cast

import orjson
from aiohttp import web

from voice.rehearsal.http_api import json_response
from voice.rehearsal.model import shapes
from voice.rehearsal.model.faults import Armed, Fault, for_sessions, strike
from voice.rehearsal.model.session import RealtimeSession
from voice.rehearsal.model.shapes import Json, Refusal
from voice.rehearsal.model.state import MODEL

_FAULT = shapes.record(
    {
        "kind": shapes.choice(*Fault),
        "session_id": shapes.string(),
        "next": shapes.boolean,
        "times": shapes.number(1, 1000, whole=True),
        "seconds": shapes.number(0, 3600),
        "status": shapes.number(400, 599, whole=True),
        "code": shapes.string(),
        "bytes_per_s": shapes.number(1, 1e9),
    },
    required=["kind"],
)

_KEY = shapes.record({"api_key": shapes.string()}, required=["api_key"])


def add_routes(app: web.Application) -> None:
    app.router.add_get("/control/sessions", list_sessions)
    app.router.add_get("/control/sessions/{session_id}", get_session)
    app.router.add_get("/control/transcriptions", list_transcriptions)
    app.router.add_post("/control/dictation", dictate)
    app.router.add_post("/control/faults", arm_fault)
    app.router.add_delete("/control/faults", clear_faults)
    app.router.add_get("/control/keys", key_uses)
    app.router.add_put("/control/keys", admit_key)


async def key_uses(request: web.Request) -> web.Response:
    """Which key was let in where, and how often."""
    uses = request.app[MODEL].options.uses
    return json_response([{"key": key, "path": path, "times": n} for (key, path), n in uses.items()])


async def admit_key(request: web.Request) -> web.Response:
    """`{"api_key"}`: let this one in, too."""
    wanted: Json = orjson.loads(await request.read())
    _KEY(wanted, "")
    request.app[MODEL].options.more_keys.add(str(cast(dict[str, Json], wanted)["api_key"]))
    return json_response({}, status=201)


async def list_sessions(request: web.Request) -> web.Response:
    """The truth of every session, oldest first, and the number of sockets that are open now."""
    model = request.app[MODEL]
    return json_response(
        {
            "open": len(model.open_sessions),
            "sessions": [session.truth.as_json() for session in model.sessions.values()],
        }
    )


async def get_session(request: web.Request) -> web.Response:
    """The truth of one session."""
    return json_response(_find(request, request.match_info["session_id"]).truth.as_json())


async def list_transcriptions(request: web.Request) -> web.Response:
    """The truth of every transcription session, oldest first."""
    model = request.app[MODEL]
    return json_response({"sessions": [one.truth.as_json() for one in model.transcriptions.values()]})


async def dictate(request: web.Request) -> web.Response:
    """`{"texts": […]}`: what is said next in transcription sessions, a text a turn, if there are no ears."""
    try:
        wanted: Json = orjson.loads(await request.read())
    except orjson.JSONDecodeError as exc:
        raise Refusal("The body is not valid JSON.", code="invalid_json") from exc
    shapes.record({"texts": shapes.array(shapes.string())}, required=["texts"])(wanted, "")
    waiting = request.app[MODEL].dictation
    waiting.extend(cast(list[str], cast(dict[str, Json], wanted)["texts"]))
    return json_response({"waiting": len(waiting)})


async def arm_fault(request: web.Request) -> web.Response:
    """`{"kind", "session_id"?, "next"?, "times"?, "seconds"?, "status"?, "code"?, "bytes_per_s"?}`.

    A session fault strikes the named session, else all open ones, else (or with `next`) the next to open.
    """
    try:
        wanted: Json = orjson.loads(await request.read())
    except orjson.JSONDecodeError as exc:
        raise Refusal("The body is not valid JSON.", code="invalid_json") from exc
    _FAULT(wanted, "")
    fields = cast(dict[str, Json], wanted)
    armed = Armed(
        Fault(cast(str, fields["kind"])),
        seconds=cast(float, fields.get("seconds", 1.0)),
        status=cast(int, fields.get("status", 500)),
        code=cast(str, fields.get("code", "")),
        bytes_per_s=cast(float, fields.get("bytes_per_s", 200.0)),
    )
    times = cast(int, fields.get("times", 1))
    targets = _targets(request, fields) if for_sessions(armed.fault) else []
    for session in targets:
        strike(session, armed, times=times)
    if not targets:
        request.app[MODEL].faults.arm(armed, times=times)
    return json_response({"struck": [session.id for session in targets], "waiting": not targets})


async def clear_faults(request: web.Request) -> web.Response:
    """Forget the faults that have not struck yet."""
    request.app[MODEL].faults.waiting.clear()
    return json_response({"waiting": False})


def _targets(request: web.Request, fields: dict[str, Json]) -> list[RealtimeSession]:
    if "session_id" in fields:
        return [_find(request, cast(str, fields["session_id"]))]
    return [] if fields.get("next") else request.app[MODEL].open_sessions


def _find(request: web.Request, session_id: str) -> RealtimeSession:
    session = request.app[MODEL].sessions.get(session_id)
    if session is None:
        raise Refusal(f"No session '{session_id}'.", code="not_found", status=404)
    return session
