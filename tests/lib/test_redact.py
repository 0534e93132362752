"""What opens something is not written down: hidden by form and by value, in everything that is logged."""

import json
import logging
import logging.config
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings

from tenex.lib import redact
from tenex.lib.redact import AddressFilter

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    redact._opened.clear()
    yield
    redact._opened.clear()


def test_tokens_in_addresses_are_masked() -> None:
    record = logging.LogRecord(
        "uvicorn.error",
        logging.INFO,
        __file__,
        1,
        '%s - "WebSocket %s" [accepted]',
        ("127.0.0.1:1", "/sessions/media/t1.1.AAAA.BBBB"),
        None,
    )
    assert AddressFilter().filter(record)
    assert record.getMessage() == '127.0.0.1:1 - "WebSocket /sessions/media/***" [accepted]'
    record.msg, record.args = "GET /api/v1/voice/stream?token=a.b-c&types=call.ended", ()
    assert AddressFilter().filter(record)
    assert record.getMessage() == "GET /api/v1/voice/stream?token=***&types=call.ended"


def test_other_values_are_left_alone() -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "%d of %s", (3, "token=abc"), None)
    assert AddressFilter().filter(record)
    assert record.getMessage() == "3 of token=abc"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=", "secret whsec_***"),
        ("Incorrect API key provided: sk-proj-abc_DEF-123456", "Incorrect API key provided: sk-***"),
        ("tnx_AbCd1234_" + "x" * 49, "tnx_AbCd1234_***"),
        ("{'Authorization': 'Bearer abcdefgh.ijkl'}", "{'Authorization': 'Bearer ***'}"),
        ("(b'authorization', b'Basic QUM6dG9rZW4=')", "(b'authorization', b'Basic ***')"),
        ("authorization: opaque-value", "authorization: ***"),
        ("https://AC12:t0ken@api.twilio.com/2010", "https://AC12:***@api.twilio.com/2010"),
        ("postgres://tenex:p%40ss@10.0.0.1/tenex", "postgres://tenex:***@10.0.0.1/tenex"),
        (f"AC{'0' * 32}:{TOKEN}", f"AC{'0' * 32}:***"),
        ("wss://voice.example/twilio/media/t1.1.AAAA.BBBBBBBB", "wss://voice.example/twilio/media/***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_1", "eyJ***"),
    ],
)
def test_what_has_the_form_of_a_secret_is_hidden(said: str, left: str) -> None:
    assert redact.text(said) == left


@pytest.mark.parametrize(
    "said",
    [
        "the task-runner asked risk-averse people",
        "CA0123456789abcdef0123456789abcdef ringing",
        "http://127.0.0.1:8000/console/calls?token_count=3",
        "2026-11-26T08:00:00Z INFO author: nobody",
        '{"event": "call ended", "call_id": "0199-aaaa"}',
    ],
)
def test_what_has_not_is_left_as_it_is(said: str) -> None:
    assert redact.text(said) == said


def test_what_was_opened_is_hidden_whatever_it_looks_like() -> None:
    redact.remember('correct horse "battery" staple')
    redact.remember("short")
    line = json.dumps({"event": 'it is correct horse "battery" staple', "other": "short"})
    assert json.loads(redact.text(line)) == {"event": "it is ***", "other": "short"}
    assert redact.text('correct horse "battery" staple!') == "***!"


def test_values_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(redact.KEPT_VALUES + 50):
        redact.remember(f"value-number-{number:06}")
    assert len(redact._opened) == redact.KEPT_VALUES
    assert redact.text("value-number-000000") == "value-number-000000"
    assert redact.text(f"value-number-{redact.KEPT_VALUES:06}") == redact.HIDDEN
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + redact.KEPT_S + 1)
    assert redact.text(f"value-number-{redact.KEPT_VALUES:06}") != redact.HIDDEN
    assert not redact._opened


def test_a_line_costs_less_than_a_millisecond_at_most() -> None:
    for number in range(redact.KEPT_VALUES):
        redact.remember(f"value-number-{number:06}")
    line = "a line of a log with some words in it, and fields " * 20
    best_s = min(_took_s(line) for _ in range(20))
    assert best_s < 0.001


def _took_s(line: str) -> float:
    started_s = time.perf_counter()
    redact.text(line)
    return time.perf_counter() - started_s


@pytest.fixture(params=["json", "console"])
def lines(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """What the configured handler writes, in both formats."""
    found: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(self.format(record))

    configured: Any = settings.LOGGING
    made = dict(configured["formatters"]["tenex"])
    kind = made.pop("()")
    assert kind == "tenex.lib.redact.Formatter"
    made["processor"] = (
        structlog.processors.JSONRenderer()
        if request.param == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = Kept()
    handler.setFormatter(redact.Formatter(**made))
    root = logging.getLogger()
    root.addHandler(handler)
    yield found
    root.removeHandler(handler)


def test_messages_arguments_fields_and_tracebacks_pass_hidden(lines: list[str]) -> None:
    redact.remember(TOKEN)
    log: Any = structlog.get_logger("tests")
    log.error("asked with %s", TOKEN, token=TOKEN, nested={"a": [TOKEN]})
    logging.getLogger("twilio").error("POST to %s with %s", "https://AC1:tok3n-tok3n@api/", TOKEN)

    def fail() -> None:
        raise ValueError(f"refused: {TOKEN} whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    try:
        fail()
    except ValueError:
        log.exception("it failed")
        logging.getLogger("celery.app.trace").exception("Task failed")
    said = "\n".join(lines)
    assert len(lines) == 4
    assert TOKEN not in said
    assert "tok3n" not in said
    assert "MfKQ9r8" not in said
    assert said.count("ValueError") >= 2, "the tracebacks are there"


def test_last_words_are_hidden(capfd: pytest.CaptureFixture[str]) -> None:
    script = (
        "import threading\n"
        "from tenex.lib import redact\n"
        "redact.hide_last_words(); redact.remember('correct-horse-battery')\n"
        "def fail(): raise RuntimeError('correct-horse-battery sk-abcdefghijkl')\n"
        "t = threading.Thread(target=fail); t.start(); t.join()\n"
        "fail()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("RuntimeError: *** sk-***") == 2
    assert "battery" not in done.stderr.replace("remember('correct-horse-battery')", "")


def test_this_process_knows_what_it_was_started_with() -> None:
    assert redact.text(f"the key is {settings.SECRET_KEY}") == "the key is ***"
