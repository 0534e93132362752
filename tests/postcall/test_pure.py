"""What post-call decides without rows: order, quotes, outcome, WAV headers."""

import io
import random
import struct
from typing import Any

import pytest

from voice.models import Direction, EndReason, Outcome
from voice.postcall import evidence, wav
from voice.postcall.case import Case, Said
from voice.postcall.outcome import Facts, outcome_of
from voice.postcall.transcript import Link, in_order

# --- order ---


def test_the_chain_beats_the_clock() -> None:
    links = [Link("answer", "question", 100, 0), Link("question", "", 200, 1), Link("end", "answer", 150, 2)]
    assert in_order(links) == ["question", "answer", "end"]


def test_function_calls_break_no_chain() -> None:
    links = [Link("c", "fc_output", 300, 0), Link("a", "", 100, 1), Link("b", "a", 200, 2)]
    assert in_order(links) == ["a", "b", "c"]


def test_a_circle_loses_nothing() -> None:
    links = [Link("a", "b", 1, 0), Link("b", "a", 2, 1), Link("c", "c", 3, 2), Link("d", "a", 4, 3)]
    assert sorted(in_order(links)) == ["a", "b", "c", "d"]


def test_any_order_of_arrival_gives_the_same_transcript() -> None:
    draw = random.Random(7)
    links = [Link(f"i{n}", f"i{n - 1}" if n else "", n * 10, n) for n in range(30)]
    for _ in range(50):
        shuffled = [Link(link.item_id, link.previous_item_id, draw.randrange(400), 0) for link in links]
        draw.shuffle(shuffled)
        assert in_order(shuffled) == [link.item_id for link in links]


# --- quotes ---


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("we don't have a budget", "We don’t have a budget"),
        ("WE DONT HAVE", "We don’t have"),
        ("budget -- yet", "budget, yet"),
        ("  two   thousand ", "two thousand"),
        ("Straße", "STRASSE"),
        ("yet. About two thousand", "yet. About two thousand"),
    ],
)
def test_quotes_are_found_as_they_were_said(quote: str, found: str) -> None:
    text = "Well: We don’t have a budget, yet. About two thousand in STRASSE."
    place = evidence.find(quote, text)
    assert place
    assert text[place.start : place.end] == found


@pytest.mark.parametrize(
    "quote", ["", " . ", "budge", "have budget", "a budget yes", "udget", "two … in", "x" * 9999]
)
def test_quotes_that_were_not_said(quote: str) -> None:
    assert evidence.find(quote, "Well: We don’t have a budget, yet. About two thousand in STRASSE.") is None


# --- "it is booked" ---


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("Great, you're booked for Tuesday at two.", True),
        ("Booked for Tuesday. Anything else?", True),
        ("Your meeting has been scheduled.", True),
        ("I have booked that for you.", True),
        ("Shall I get it booked?", False),
        ("That time is not booked.", False),
        ("Tuesday is already booked, how about Friday?", False),
        ("I could not get that scheduled.", False),
        ("Would you like to book a meeting?", False),
    ],
)
def test_claims_of_a_booking(text: str, claims: bool) -> None:
    for speaker, expected in (("agent", claims), ("caller", False)):
        case = Case([], "", [Said("i", speaker, text)], [], None, {})
        assert case.claims_booking is expected


# --- outcome ---


def facts(reason: str, *, answered: bool = True, direction: str = "outbound", **more: object) -> Facts:
    return Facts(
        direction=Direction(direction),
        end_reason=EndReason(reason),
        answered=answered,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (facts("no-answer", answered=False), "no-answer"),
        (facts("busy", answered=False), "busy"),
        (facts("caller-hangup", answered=False), "no-answer"),
        (facts("caller-hangup", answered=False, direction="inbound"), "canceled"),
        (facts("canceled", answered=False), "canceled"),
        (facts("rejected", answered=False), "failed"),
        (facts("not-placed", answered=False), "failed"),
        (facts("machine"), "voicemail"),
        (facts("caller-hangup", answered_by="machine_end_beep"), "voicemail"),
        (facts("caller-hangup", answered_by="unknown", talked=True), "undetermined"),
        (facts("fax"), "failed"),
        (facts("opted-out", qualification="qualified"), "opted-out"),
        (facts("caller-hangup", opted_out=True, answered_by="machine_start"), "opted-out"),
        (facts("agent-hangup", qualification="qualified", callback=True), "qualified"),
        (facts("transferred", qualification="qualified"), "qualified"),
        (facts("transferred", qualification="unqualified"), "transferred"),
        (facts("caller-hangup", qualification="unqualified", callback=True), "unqualified"),
        (facts("caller-hangup", qualification="undetermined", callback=True), "callback"),
        (facts("model-unavailable"), "failed"),
        (facts("media-lost", talked=True, qualification="undetermined"), "undetermined"),
        (facts("silence"), "undetermined"),
    ],
)
def test_outcome(given: Facts, outcome: str) -> None:
    assert outcome_of(given) == outcome


def test_every_reason_has_an_outcome() -> None:
    for reason in EndReason.values:
        for answered in (True, False):
            for direction in Direction.values:
                assert outcome_of(facts(reason, answered=answered, direction=direction)) in Outcome


# --- WAV ---


def riff(
    code: int = 1, channels: int = 2, width: int = 2, audio: bytes = b"\0" * 32_000, **options: object
) -> bytes:
    layout = struct.pack(
        "<HHIIHH", code, channels, 8000, 8000 * channels * width, channels * width, width * 8
    )
    length = options.get("length", len(audio))
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0" if options.get("extra") else b""
    chunks = (
        b"fmt "
        + struct.pack("<I", len(layout))
        + layout
        + extra
        + b"data"
        + struct.pack("<I", length)
        + audio
    )
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


@pytest.mark.parametrize(
    ("data", "channels", "duration_ms"),
    [
        (riff(), 2, 1000),
        (riff(7, 1, 1, b"\xff" * 8000), 1, 1000),
        (riff(extra=True), 2, 1000),
        (riff(length=0xFFFFFFFF), 2, 1000),
        (riff(length=0), 2, 1000),
        (riff(length=64_000), 2, 1000),
    ],
)
def test_wav(data: bytes, channels: int, duration_ms: int) -> None:
    info = wav.read_header(io.BytesIO(data), len(data))
    assert (info.channels, info.duration_ms, info.sample_rate_hz) == (channels, duration_ms, 8000)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"<html>404</html>",
        riff()[:30],
        riff(audio=b""),
        riff(code=85),
        riff(channels=0),
        b"ID3" * 99,
    ],
)
def test_not_wav(data: bytes) -> None:
    with pytest.raises(wav.NotWav):
        wav.read_header(io.BytesIO(data), len(data))


def test_any_bytes_are_refused_or_read() -> None:
    draw = random.Random(3)
    good = riff()
    for _ in range(2000):
        data = bytearray(good[: draw.randrange(12, 400)])
        for _ in range(draw.randrange(1, 6)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            info = wav.read_header(io.BytesIO(bytes(data)), len(data))
        except wav.NotWav:
            continue
        assert info.channels > 0
        assert info.duration_ms >= 0


@pytest.mark.parametrize("options", [{}, {"extra": True}, {"code": 7, "width": 1}])
@pytest.mark.parametrize("keep_ms", [1, 250, 999])
def test_shortened_audio_ends_there_and_says_so(options: dict[str, Any], keep_ms: int) -> None:
    data = riff(**options, audio=bytes(range(256)) * 250) + b"LIST\x04\0\0\0abcd"
    file = io.BytesIO(data)
    info = wav.read_header(file, len(data))
    size = wav.shorten(file, info, keep_ms)
    kept = file.getvalue()
    assert len(kept) == size
    again = wav.read_header(io.BytesIO(kept), size)
    assert abs(again.duration_ms - keep_ms) <= 1
    assert struct.unpack("<I", kept[4:8])[0] == size - 8
    assert kept[info.data_at :] == data[info.data_at : size]
