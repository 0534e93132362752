"""Composition root of ASGI: HTTP to Django, `/mcp` to its own door, the media socket to the bridge.

Loads under uvicorn (media role, `make run`) and under daphne (`runserver`, web role).
"""

import asyncio
import os

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tenex.settings")
django_application = get_asgi_application()  # before anything that imports models

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import get_resolver, path, re_path  # noqa: E402

from tenex.lib import limits  # noqa: E402
from tenex.mcp import door, session_manager  # noqa: E402
from tenex.monitoring.loop_lag import LoopLag  # noqa: E402
from tenex.rest import gate, sse  # noqa: E402
from tenex.rest.body_limit import limit_bodies  # noqa: E402
from tenex.server.roles import ServerRole  # noqa: E402
from voice.bridge import assembly, threads  # noqa: E402
from voice.bridge.consumer import MediaConsumer, SessionConsumer  # noqa: E402
from voice.bridge.presence import Presence  # noqa: E402
from voice.console.audio import AudioSocket  # noqa: E402
from voice.console.sockets import LiveSocket  # noqa: E402
from voice.outbound import rulebook  # noqa: E402


def _warm_up() -> None:
    """All that the first request and the first call would import, while nobody is on the line yet.

    The routes alone take a second of every thread's time, which live audio does not have.
    """
    get_resolver().reverse_dict  # noqa: B018 - builds the whole table
    rulebook.standard()
    assembly.warm_up()


async def _lifespan(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Start-up and end of the server. Django has no answer to it."""
    presence = Presence() if settings.ROLE != ServerRole.WEB else None
    lag = LoopLag()
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await asyncio.to_thread(_warm_up)
                if presence is not None:
                    await presence.begin()
                if settings.ROLE != ServerRole.MEDIA:
                    await session_manager.manager_here()
            except (OSError, rulebook.RulesInvalid) as exc:
                await send(
                    {"type": "lifespan.startup.failed", "message": f"a file is missing or wrong: {exc}"}
                )
                return
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            lag.stop()
            await session_manager.shut_down()
            if presence is not None:
                await presence.end()
            await asyncio.to_thread(threads.shut_down)
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _no_socket(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Any other websocket address: refused with 403, without a traceback in the log."""
    await receive()
    await send({"type": "websocket.close", "code": 1008, "reason": None})


application = ProtocolTypeRouter(
    {
        "lifespan": _lifespan,
        # The cut comes right behind the server: it drops the connection through the server's own `send`.
        "http": gate.guarded(
            sse.end_when_cut(limit_bodies(door.mounted(django_application), limits.UPLOAD_BODY_BYTES))
        ),
        "websocket": URLRouter(
            [
                path("twilio/media", MediaConsumer.as_asgi()),
                path("twilio/media/<str:token>", MediaConsumer.as_asgi()),
                path("console/ws", LiveSocket.as_asgi()),
                path("console/live/<uuid:call_id>/audio", AudioSocket.as_asgi()),
                path("sessions/media/<str:token>", SessionConsumer.as_asgi()),
                re_path("", _no_socket),  # type: ignore[arg-type]
            ]
        ),
    }
)
