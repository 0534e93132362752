"""The offline OpenAI server: Realtime over a websocket, Responses, the model list, and a control door.

It is an imitation over real sockets, so that a program cannot tell it from the service except by its address.
It hears *when* somebody speaks (voice detection on the audio that it is sent); *what* was said comes from the
scenario or, with ears, from recognition of that audio; what the model answers comes from the scenario.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace

import structlog
from aiohttp import WSMsgType, web

from tenex.lib.clock import Clock
from voice.rehearsal import responses, speech_api
from voice.rehearsal.ears.port import Ears
from voice.rehearsal.http_api import check_key, error_shape, json_response
from voice.rehearsal.model import control, small_talk
from voice.rehearsal.model.agent_voice import AgentVoice
from voice.rehearsal.model.faults import SCRIPTED, Armed, Fault, strike
from voice.rehearsal.model.listening import ListeningSession
from voice.rehearsal.model.mind import Minds
from voice.rehearsal.model.options import CATALOGUE, KnownModel, Options
from voice.rehearsal.model.outbox import Outbox
from voice.rehearsal.model.session import RealtimeSession
from voice.rehearsal.model.shapes import Json, Refusal
from voice.rehearsal.model.state import MODEL, OfflineModel
from voice.rehearsal.model.steps import Voice
from voice.rehearsal.model.transcription import TranscriptionSession
from voice.rehearsal.speech import AGENT, Speech
from voice.rehearsal.stage import Stage

log = structlog.get_logger(__name__)

_MAX_FRAME_BYTES = 24 * 1024 * 1024


def build_app(
    stage: Stage | None,
    speech: Speech | Voice,
    *,
    api_key: str | None = None,
    clock: Clock | None = None,
    options: Options | None = None,
    ears: Ears | None = None,
) -> web.Application:
    """The server as an aiohttp application.

    `stage` knows which caller line was played on which call (None: a small built-in conversation);
    `speech` renders the agent's lines; `ears` recognize the caller's (None: the stage tells them);
    `api_key` is the only key that is let in (None: any). State is
    reachable as `app[MODEL]`.
    """
    options = options or Options()
    if api_key is not None:
        options = replace(options, api_keys=options.api_keys | {api_key})
    clock = clock or Clock()
    voice = AgentVoice(speech) if isinstance(speech, Speech) else speech
    model = OfflineModel(Minds(stage, clock), voice, clock, options, ears)
    app = web.Application(middlewares=[error_shape], client_max_size=8 * 1024 * 1024)
    app[MODEL] = model
    app.router.add_get("/v1/realtime", realtime)
    app.router.add_get("/v1/models", list_models)
    app.router.add_get("/v1/models/{model}", get_model)
    speech_api.add_routes(app, voice)
    responses.add_routes(app, options=options, faults=model.faults, clock=model.clock)
    control.add_routes(app)
    if isinstance(speech, Speech):
        app.cleanup_ctx.append(_rendering_ahead(speech))
    app.on_shutdown.append(_close_sessions)
    return app


def _rendering_ahead(speech: Speech) -> Callable[[web.Application], AsyncIterator[None]]:
    """Stock lines are rendered beside everything else, so that none of them waits for the synthesizer."""

    async def context(_app: web.Application) -> AsyncIterator[None]:
        lines = [(line, AGENT) for line in small_talk.lines()]
        work = asyncio.get_running_loop().create_task(speech.prepare(lines))
        yield
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    return context


async def realtime(request: web.Request) -> web.StreamResponse:
    """`GET /v1/realtime?model=…`: one session for as long as the socket lives."""
    model = request.app[MODEL]
    await _handshake_faults(model)
    check_key(request, model.options)
    name = _requested_model(request)
    ws = web.WebSocketResponse(compress=False, max_msg_size=_MAX_FRAME_BYTES, timeout=3.0)
    try:
        await ws.prepare(request)
    except ConnectionResetError:
        return web.Response()  # who asked has hung up meanwhile; nobody reads this
    outbox = Outbox(ws, request.transport, model.clock)
    writer = asyncio.get_running_loop().create_task(outbox.run())
    try:
        if "realtime=v1" in request.headers.get("OpenAI-Beta", ""):
            await _refuse_beta(outbox, writer)
            return ws
        await _serve(model, ws, outbox, name)
    finally:
        writer.cancel()
    return ws


async def _serve(model: OfflineModel, ws: web.WebSocketResponse, outbox: Outbox, name: str) -> None:
    if not name:
        hearing = TranscriptionSession(
            outbox=outbox,
            clock=model.clock,
            options=model.options,
            ears=model.ears,
            dictation=model.dictation,
        )
        model.remember_transcription(hearing)
        hearing.open()
        await _receive(ws, hearing)
        return
    session = RealtimeSession(
        model=name,
        outbox=outbox,
        mind=model.minds.make(),
        voice=model.voice,
        clock=model.clock,
        options=model.options,
        ears=model.ears,
    )
    session.responder.on_break = lambda kind: strike(session, Armed(SCRIPTED[kind]))
    model.remember(session)
    session.open()
    for armed in model.faults.take_for_session():
        strike(session, armed)
    await _receive(ws, session)


async def _receive(ws: web.WebSocketResponse, session: ListeningSession) -> None:
    try:
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                session.receive(message.data)
            elif message.type is WSMsgType.BINARY:
                session.emit_error(Refusal("Binary frames are not supported.", code="invalid_event"))
    finally:
        session.truth.close_code = ws.close_code
        session.close()
        log.info("offline model session closed", session_id=session.id, close_code=ws.close_code)


async def _handshake_faults(model: OfflineModel) -> None:
    if (delay := model.faults.take(Fault.DELAY_HANDSHAKE)) is not None:
        await model.clock.sleep(delay.seconds)
    if model.faults.take(Fault.UNAUTHORIZED) is not None:
        raise Refusal("Incorrect API key provided.", code="invalid_api_key", status=401)
    if model.faults.take(Fault.HANDSHAKE_QUOTA) is not None:
        raise Refusal(
            "You exceeded your current quota, please check your plan and billing details.",
            code="insufficient_quota",
            error_type="insufficient_quota",
            status=429,
        )
    if model.faults.take(Fault.HANDSHAKE_UNAVAILABLE) is not None:
        message = "The server is overloaded. Please try again later."
        raise Refusal(message, code="server_error", error_type="server_error", status=503)


def _requested_model(request: web.Request) -> str:
    """The model of the URL; empty for a transcription session, which has none.

    Raises:
        Refusal: 400 without one or for sessions that are not imitated, 404 for one that does not exist.
    """
    if "call_id" in request.query:
        raise Refusal("Sideband sessions are not part of the offline model.", code="invalid_request")
    name = request.query.get("model", "")
    if request.query.get("intent") == "transcription":
        if name:
            raise Refusal("A transcription session takes no model.", code="invalid_request", param="model")
        return ""
    if not name:
        raise Refusal("You must provide a model parameter.", code="missing_model", param="model")
    if not name.startswith("gpt-realtime") or name not in {known.id for known in CATALOGUE}:
        raise Refusal(
            f"The model `{name}` does not exist or you do not have access to it.",
            code="model_not_found",
            param="model",
            status=404,
        )
    return name


async def _refuse_beta(outbox: Outbox, writer: asyncio.Task[None]) -> None:
    refusal = Refusal(
        "The Realtime Beta API is no longer supported. Please use the GA API.", code="beta_api_shape_disabled"
    )
    outbox.emit("error", error={**refusal.body(), "event_id": None})
    outbox.close(4000, "beta_api_shape_disabled")
    await writer


def _model_json(known: KnownModel) -> dict[str, Json]:
    return {
        "id": known.id,
        "object": "model",
        "created": known.created,
        "owned_by": "offline-rehearsal",
        "shutdown_date": known.shutdown_date,
    }


async def list_models(request: web.Request) -> web.Response:
    """`GET /v1/models`, with `shutdown_date` where one is announced."""
    check_key(request, request.app[MODEL].options)
    return json_response({"object": "list", "data": [_model_json(known) for known in CATALOGUE]})


async def get_model(request: web.Request) -> web.Response:
    """`GET /v1/models/{model}`."""
    check_key(request, request.app[MODEL].options)
    name = request.match_info["model"]
    for known in CATALOGUE:
        if known.id == name:
            return json_response(_model_json(known))
    raise Refusal(f"The model '{name}' does not exist", code="model_not_found", param="model", status=404)


async def _close_sessions(app: web.Application) -> None:
    model = app[MODEL]
    heard = [one for one in model.transcriptions.values() if one.truth.open]
    outboxes = [one.outbox for one in model.open_sessions] + [one.outbox for one in heard]
    for outbox in outboxes:
        outbox.close(1012, "the rehearsal ends")
