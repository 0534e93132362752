"""A webhook receiver as an integrator would write it: it checks both signatures and keeps what came."""

import hashlib
import hmac
import http.server
import json
import threading
from dataclasses import dataclass
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True, slots=True)
class Received:
    """One delivery. `verified` means that both signature schemes hold over the raw body."""

    id: str
    type: str
    data: dict[str, Any]
    verified: bool


class Receiver:
    """Listens on a free port of the loopback interface until :meth:`close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets = ("", "")
        self._received: dict[str, tuple[bytes, dict[str, str]]] = {}
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                receiver._keep(body, {key.lower(): value for key, value in self.headers.items()})
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Its lines would stand between those of the demo."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/webhooks"

    def trust(self, *, subscription_secret: str, workspace_secret: str) -> None:
        """The two secrets; what came before is checked with them too."""
        self._secrets = (subscription_secret, workspace_secret)

    def of_call(self, call_id: str) -> list[Received]:
        return [entry for entry in self.all() if entry.data.get("call_id") == call_id]

    def all(self) -> list[Received]:
        with self._lock:
            kept = list(self._received.values())
        return [self._read(body, headers) for body, headers in kept]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _keep(self, body: bytes, headers: dict[str, str]) -> None:
        """At least once: a repeat is no news."""
        with self._lock:
            self._received.setdefault(headers.get("webhook-id", ""), (body, headers))

    def _read(self, body: bytes, headers: dict[str, str]) -> Received:
        message = json.loads(body)
        message_id = headers.get("webhook-id", "")
        return Received(
            id=message_id,
            type=message["type"],
            data=message["data"],
            verified=message_id == message["id"] and self._verify(body, headers),
        )

    def _verify(self, body: bytes, headers: dict[str, str]) -> bool:
        subscription_secret, workspace_secret = self._secrets
        try:
            Webhook(subscription_secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        expected = "sha256=" + hmac.new(workspace_secret.encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, headers.get("x-10ex-signature", ""))
