"""A receiver on loopback that answers what it is told and keeps what it saw."""

import http.server
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Headers = dict[str, str]


@dataclass
class Answer:
    status: int = 200
    headers: Headers = field(default_factory=dict)
    after_s: float = 0.0
    body: bytes = b""


class Receiver:
    """`answers` are given in turn, then 200; `decide` overrules them."""

    def __init__(self) -> None:
        self.answers: list[int | Answer] = []
        self.decide: Callable[[Headers, bytes], Answer] | None = None
        self.seen: list[tuple[Headers, bytes]] = []
        self.together = self.most_together = 0
        self._lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._handle(self)

            def log_message(self, *_: object) -> None: ...

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A sender that has given up is what some tests are about."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _handle(self, request: http.server.BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["content-length"]))
        headers = {key.lower(): value for key, value in request.headers.items()}
        with self._lock:
            self.together += 1
            self.most_together = max(self.most_together, self.together)
            self.seen.append((headers, body))
            given = self.answers.pop(0) if self.answers else 200
        answer = self.decide(headers, body) if self.decide else given
        if isinstance(answer, int):
            answer = Answer(answer)
        time.sleep(answer.after_s)
        with self._lock:
            self.together -= 1
        request.send_response(answer.status)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        request.send_header("content-length", str(len(answer.body)))
        request.end_headers()
        request.wfile.write(answer.body)
