"""A port for processes that a scrape could not tell apart otherwise, or not reach at all.

A worker listens nowhere, and of servers that share a port any may answer. It gives what the process counted
and nothing else: no database, no application, one thread that waits.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from tenex.monitoring import doors, text

_PATIENCE_S: Final = 5.0


class _Scrape(BaseHTTPRequestHandler):
    timeout = _PATIENCE_S
    server_version = "tenex"
    sys_version = ""

    def do_GET(self) -> None:
        refused = doors.refusal(self.headers.get("Authorization", ""))
        if self.path.partition("?")[0] != doors.PATH:
            refused = 404
        body, content_type = b"", "text/plain; charset=utf-8"
        if not refused:
            body, content_type = text.of_process(self.headers.get("Accept", ""), text.role_here())
        self.send_response(refused or 200)
        if refused == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are no news."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A scraper that went away."""


def listen(host: str, port: int) -> ThreadingHTTPServer:
    """Serve `/healthz/metrics` there until this process ends, or `shutdown()`; port 0 lets the system choose.

    Raises:
        OSError: it cannot be had.
    """
    server = _Server((host, port), _Scrape)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
