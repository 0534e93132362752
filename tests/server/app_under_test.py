"""A process for the serve tests: an echoing socket that counts as a live call, under our own server.

python -m tests.server.app_under_test PORT DRAIN_TIMEOUT_S REUSE_PORT
"""

from __future__ import annotations

import json
import sys

from tenex.server import drain
from tenex.server.listener import listen_tcp
from tenex.server.roles import Receive, Scope, Send
from tenex.server.serve import ServeOptions, serve


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """HTTP tells whether we drain, as `name`; a websocket echoes and is a live call."""
    if scope["type"] == "http":
        body = json.dumps({"name": sys.argv[1], "draining": drain.is_draining()}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None})
        with drain.live_calls.held():
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message.get("text") or "", "bytes": None})


if __name__ == "__main__":
    port, drain_timeout_s, reuse_port = int(sys.argv[2]), float(sys.argv[3]), sys.argv[4] == "shared"
    listener = listen_tcp("127.0.0.1", port, reuse_port=reuse_port)
    options = ServeOptions(drain_timeout_s=drain_timeout_s, finish_timeout_s=2, stop_accepting=reuse_port)
    sys.exit(0 if serve(application, listener, options) else 1)
