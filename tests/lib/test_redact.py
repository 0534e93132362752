"""What opens something is not written down."""

import logging

from tenex.lib.redact import AddressFilter


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
