"""A small Responses API for tests: keeps what it was asked, answers what it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = dict[str, Any] | str | int
"""An opinion, a text that is no opinion, or an HTTP status."""


@dataclass
class ResponsesServer:
    """`answer` gets the case (the JSON of the first user message) and how many messages were in it."""

    answer: Callable[[dict[str, Any], int], Reply]
    base_url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def serving(answer: Callable[[dict[str, Any], int], Reply]) -> Iterator[ResponsesServer]:
    """Run the server while the block runs."""
    state = ResponsesServer(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.lock:
                state.requests.append(body)
            case = json.loads(body["input"][0]["content"])
            reply = state.answer(case, len(body["input"]))
            status = reply if isinstance(reply, int) else 200
            payload = json.dumps(_error(status) if isinstance(reply, int) else _response(reply)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    state.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def opinion(case: dict[str, Any], **change: Any) -> dict[str, Any]:
    """A valid opinion: every criterion met, shown by the first thing that the caller said."""
    said = next((item for item in case["transcript"] if item["speaker"] == "caller"), None)
    evidence = {"quote": said["text"], "item_id": said["item_id"]} if said else None
    return {
        "qualification": "qualified",
        "confidence": 0.9,
        "reasons": ["Has a budget."],
        "criteria": [
            {"name": item["name"], "met": bool(evidence), "evidence": evidence} for item in case["criteria"]
        ],
        "follow_up": {"needed": False, "reasons": [], "callback_at": None},
        "summary": "Wants to buy.",
        **change,
    }


def _response(reply: dict[str, Any] | str) -> dict[str, Any]:
    refusal = isinstance(reply, str) and reply.startswith("REFUSE")
    text = reply if isinstance(reply, str) else json.dumps(reply)
    part = (
        {"type": "refusal", "refusal": "no"}
        if refusal
        else {"type": "output_text", "text": text, "annotations": []}
    )
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "test-judge",
        "status": "completed",
        "output": [
            {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def _error(status: int) -> dict[str, Any]:
    return {"error": {"message": "no", "type": "test", "code": f"code_{status}"}}
