"""What a process of each role answers. Everything else on it is a plain 404, whatever the routes say.

`all` is one process for a small installation. A `media` process carries calls and is reached by the carrier
and by session sockets alone; a `web` process serves people and integrators and may be restarted at any time,
so no call may live on it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, assert_never

# ASGI 3, as Django types it.
type Scope = dict[str, Any]
type Receive = Callable[[], Awaitable[Mapping[str, Any]]]
type Send = Callable[[Mapping[str, Any]], Awaitable[None]]
type Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_MEDIA_ROLE_PATHS = ("/twilio/", "/sessions/media/", "/healthz/")
_STREAM_PATHS = ("/twilio/media", "/sessions/media/")


class ServerRole(StrEnum):
    """The roles that listen. (`worker` and `beat` are Celery's processes.)"""

    ALL = "all"
    WEB = "web"
    MEDIA = "media"


def answers(role: ServerRole, kind: str, path: str) -> bool:
    """Whether a process of this role answers a connection of this kind ("http", "websocket") and path."""
    match role:
        case ServerRole.ALL:
            return True
        case ServerRole.WEB:
            return kind != "websocket" or not path.startswith(_STREAM_PATHS)
        case ServerRole.MEDIA:
            return path.startswith(_MEDIA_ROLE_PATHS)
        case _:
            assert_never(role)


def for_role(application: Application, role: ServerRole) -> Application:
    """The application with everything refused that is not this role's work."""
    if role is ServerRole.ALL:
        return application

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or answers(role, scope["type"], scope["path"]):
            await application(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    return gate
