"""What the carrier's words mean."""

from datetime import UTC, datetime

import pytest

from voice.models import EndReason
from voice.telephony import statuses
from voice.telephony.statuses import Move, ProviderStatus, Reading


@pytest.mark.parametrize(
    ("status", "sip", "reading"),
    [
        ("queued", None, Reading(Move.NONE)),
        ("initiated", None, Reading(Move.NONE)),
        ("ringing", None, Reading(Move.RING)),
        ("in-progress", None, Reading(Move.ANSWER)),
        ("completed", None, Reading(Move.END, EndReason.CALLER_HANGUP)),
        ("completed", 200, Reading(Move.END, EndReason.CALLER_HANGUP)),
        ("busy", 486, Reading(Move.END, EndReason.BUSY)),
        ("busy", 603, Reading(Move.END, EndReason.REJECTED)),
        ("no-answer", 487, Reading(Move.END, EndReason.NO_ANSWER)),
        ("canceled", 487, Reading(Move.END, EndReason.CANCELED)),
        ("failed", None, Reading(Move.END, EndReason.CARRIER_FAILED)),
        ("failed", 503, Reading(Move.END, EndReason.CARRIER_FAILED)),
        ("failed", 404, Reading(Move.END, EndReason.REJECTED)),
        ("failed", 480, Reading(Move.END, EndReason.NO_ANSWER)),
        ("failed", 486, Reading(Move.END, EndReason.BUSY)),
    ],
)
def test_each_status_names_a_move(status: str, sip: int | None, reading: Reading) -> None:
    parsed = statuses.parse(status)
    assert parsed is not None
    assert statuses.read(parsed, sip) == reading


def test_every_status_is_read() -> None:
    assert all(statuses.read(status).move in Move for status in ProviderStatus)


def test_an_unknown_status_is_none() -> None:
    assert statuses.parse("teleported") is None


def test_fields_that_cannot_be_read_are_none() -> None:
    assert statuses.instant("Tue, 31 Aug 2010 20:36:28 +0000") == datetime(
        2010, 8, 31, 20, 36, 28, tzinfo=UTC
    )
    assert statuses.instant("soon") is None
    assert statuses.number("12") == 12
    assert [statuses.number(raw) for raw in ("", "-1", "1.5", "٣", "9" * 5000)] == [None] * 5
