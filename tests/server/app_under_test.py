"""A process for the serve tests: an echoing socket that counts as a live call, under the product's own server.

    python -m tests.server.app_under_test PORT DRAIN_TIMEOUT_S REUSE_PORT
"""

from __future__ import annotations

import json
import sys

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from tenex.server import drain
from tenex.server.listener import listen_tcp
from tenex.server.serve import ServeOptions, serve


async def application(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """HTTP tells whether we drain, as `name`; a websocket echoes and is a live call."""
    if scope["type"] == "http":
        body = json.dumps({"name": sys.argv[1], "draining": drain.is_draining()}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": False})
        await send({"type": "http.response.body", "body": body, "more_body": False})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        with drain.live_calls.held():
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message.get("text") or "", "bytes": None})


if __name__ == "__main__":
    port, drain_timeout_s, reuse_port = int(sys.argv[2]), float(sys.argv[3]), sys.argv[4] == "shared"
    listener = listen_tcp("127.0.0.1", port, reuse_port=reuse_port)
    options = ServeOptions(drain_timeout_s=drain_timeout_s, finish_timeout_s=2, stop_accepting=reuse_port)
    sys.exit(0 if serve(application, listener, options) else 1)
