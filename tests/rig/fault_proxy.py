"""A proxy in front of an HTTP server that answers late, loses answers after the work was done, lies.

What it does with a request is a function of the request: the test's script, or chance with a seed.
"""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

PASS: Final = "pass"


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind`: pass; late (`seconds` before the request goes on); late_answer (after the work was done); lost
    (done, and the link is cut); dropped (not done, and the link is cut); a status: answered by the proxy, the
    server never hears of it; lied: done, but the answer is `status`."""

    kind: str = PASS
    seconds: float = 0.0
    status: int = 0


class FaultProxy:
    """What it did is counted by kind."""

    def __init__(self, port: int, choose: Callable[[str, str], Fault]) -> None:
        self.upstream, self.choose = port, choose
        self.port = 0
        self.counts: Counter[str] = Counter()
        self.requests: list[tuple[str, str]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            with proxy.lock:
                fault = proxy.choose(self.command, self.path)
                proxy.counts[fault.kind] += 1
                proxy.requests.append((self.command, self.path))
            self.close_connection = True
            match fault.kind:
                case "dropped":
                    return
                case "status":
                    self._answer(fault.status, [], b"")
                    return
                case "late":
                    time.sleep(fault.seconds)
            status, headers, text = self._forward(body)
            match fault.kind:
                case "lost":
                    return
                case "lied":
                    self._answer(fault.status, [], b"")
                    return
                case "late_answer":
                    time.sleep(fault.seconds)
            self._answer(status, headers, text)

        do_GET = do_PUT = do_DELETE = do_PROPFIND = do_REPORT = do_POST = _serve

        def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            link = http.client.HTTPConnection("127.0.0.1", proxy.upstream, timeout=30)
            try:
                kept = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                link.request(self.command, self.path, body, kept)
                answer = link.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                link.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], text: bytes) -> None:
            try:
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(text)
            except OSError:
                return  # whoever asked is gone

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no news."""


@contextmanager
def in_front_of(port: int, choose: Callable[[str, str], Fault]) -> Iterator[FaultProxy]:
    proxy = FaultProxy(port, choose)
    server = _Server(("127.0.0.1", 0), _handler(proxy))
    proxy.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
