"""The process that makes vectors: the packaged model and OpenAI's, late answers, deaths, memory."""

import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from pytest_django import Settings

from crm.knowledge.embedding import client, engines
from crm.models.knowledge import LOCAL_MODEL, OPENAI_MODEL

SPACE = uuid.uuid4()


def nearness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    engines._known.clear()
    yield
    engines._known.clear()


def test_the_packaged_model_tells_meanings_apart() -> None:
    money, weather = engines.passages(SPACE, ["We refund within thirty days.", "It rains in April."])
    question = engines.query(SPACE, "can I get my money back", 20.0)
    assert len(question) == 384
    assert nearness(question, question) == pytest.approx(1, abs=1e-4)
    assert nearness(question, money) > nearness(question, weather) + 0.02


def test_a_question_is_remembered_in_whatever_case(monkeypatch: pytest.MonkeyPatch) -> None:
    first = engines.query(SPACE, "How much  is it", 20.0)
    monkeypatch.setattr(client, "ask", None)
    assert engines.query(SPACE, "how MUCH is it", 0.0) == first


def test_what_comes_late_is_gone_without_and_remembered() -> None:
    engines.warm()
    with pytest.raises(engines.EmbeddingFailed):
        engines.query(SPACE, "something new", 0.0)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and engines._asked:
        time.sleep(0.01)
    assert engines.query(SPACE, "something new", 0.0)


def test_a_process_that_dies_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engines.query(SPACE, "first", 20.0)
    child = client._child
    assert child is not None
    child._process.kill()
    child._process.wait()
    deadline = time.monotonic() + 10
    while not child.dead and time.monotonic() < deadline:
        time.sleep(0.01)
    child.started_at = time.monotonic()
    with pytest.raises(engines.EmbeddingFailed):  # one that dies at once is not started again and again
        engines.query(SPACE, "second", 20.0)
    child.started_at = 0.0
    assert engines.query(SPACE, "third", 20.0)
    assert client._child is not child


@pytest.mark.parametrize("crowd", [False, True])
def test_a_process_that_gives_no_answer_is_ended(monkeypatch: pytest.MonkeyPatch, crowd: bool) -> None:
    engines.query(SPACE, f"before {crowd}", 20.0)
    child = client._child
    assert child is not None
    os.kill(child._process.pid, signal.SIGSTOP)  # it lives, and does nothing
    asked = engines._IN_LINE if crowd else 1
    for number in range(asked):
        with pytest.raises(engines.EmbeddingFailed):
            engines.query(SPACE, f"never {crowd} {number}", 0.0)
    monkeypatch.setattr(client, "STUCK_S", 0.05)
    time.sleep(0.1)
    with pytest.raises(engines.EmbeddingFailed):  # this one finds out
        engines.query(SPACE, f"finds out {crowd}" if crowd else f"never {crowd} 0", 0.0)
    monkeypatch.undo()
    child.started_at = 0.0
    assert engines.query(SPACE, f"after {crowd}", 20.0)
    assert client._child is not child
    assert not engines._asked


def test_a_fork_has_a_process_of_its_own() -> None:
    engines.query(SPACE, "first", 20.0)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, b"forgotten" if client._child is None else b"shared")
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        assert told.read() == b"forgotten"


class Model(BaseHTTPRequestHandler):
    """OpenAI's embeddings as its API answers them; statuses that come first are given once each."""

    first: ClassVar[list[int]] = []
    asked: ClassVar[list[dict[str, object]]] = []
    keys: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        self.keys.append(self.headers["Authorization"])
        status = self.first.pop(0) if self.first else 200
        texts = body["input"]
        data = [
            {"object": "embedding", "index": n, "embedding": [3.0 if m == n else 0.0 for m in range(384)]}
            for n in reversed(range(len(texts)))
        ]
        told = {
            "object": "list",
            "data": data,
            "model": body["model"],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }
        raw = json.dumps(
            told if status == 200 else {"error": {"code": "server_error", "message": "x"}}
        ).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def openai(settings: Settings) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    Model.first, Model.asked, Model.keys = [], [], []
    settings.EMBEDDINGS, settings.OPENAI_API_KEY = "openai", "sk-test"
    settings.OPENAI_BASE_URL = f"http://127.0.0.1:{server.server_address[1]}/v1"
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.django_db
def test_openai_is_asked_for_384_dimensions_in_one_request_and_again_after_a_fault(openai: None) -> None:
    Model.first = [500, 429]
    made = engines.passages(SPACE, ["a", "b", "c"])
    assert [vector.index(1.0) for vector in made] == [0, 1, 2], "in the order of the texts, of length one"
    assert len(Model.asked) == 3
    last = Model.asked[-1]
    assert (last["model"], last["dimensions"], last["input"]) == (
        "text-embedding-3-small",
        384,
        ["a", "b", "c"],
    )
    assert Model.keys[-1] == "Bearer sk-test"


@pytest.mark.django_db
def test_a_question_is_not_asked_again_and_a_refusal_is_no_reason_to_wait(openai: None) -> None:
    Model.first = [500]
    with pytest.raises(engines.EmbeddingFailed) as failed:
        engines.query(SPACE, "how much", 20.0)
    assert (failed.value.retryable, len(Model.asked)) == (True, 1)
    Model.first = [401]
    with pytest.raises(engines.EmbeddingFailed) as failed:
        engines.query(SPACE, "how little", 20.0)
    assert not failed.value.retryable


def test_which_model_it_is(settings: Settings) -> None:
    def model(setting: str, key: str, rehearsal: bool) -> str:
        settings.EMBEDDINGS, settings.OPENAI_API_KEY, settings.REHEARSAL = setting, key, rehearsal
        return engines.model()

    assert model("auto", "sk", False) == OPENAI_MODEL
    assert model("auto", "", False) == LOCAL_MODEL
    assert model("auto", "sk", True) == LOCAL_MODEL
    assert model("local", "sk", False) == LOCAL_MODEL
    assert model("openai", "", True) == OPENAI_MODEL
