"""Media Streams frames: real messages, tolerated ones, hostile ones (pitfalls 2, 26, 27; promise B4)."""

import base64
import json
import random
import string
import tracemalloc

import pytest

from voice.session import events as ev
from voice.wire import twilio_media as tm

PAYLOAD = base64.b64encode(bytes(range(160))).decode()
START = {
    "event": "start",
    "sequenceNumber": "1",
    "streamSid": "MZ18ad3ab5a668481ce02b83e7395059f0",
    "start": {
        "accountSid": "AC123",
        "streamSid": "MZ18ad3ab5a668481ce02b83e7395059f0",
        "callSid": "CA123",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": "t1.k.a.b"},
    },
}
SID = "MZ18ad3ab5a668481ce02b83e7395059f0"


def media(payload: str = PAYLOAD, sid: str = SID, **more: object) -> dict[str, object]:
    body = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": payload, **more}
    return {"event": "media", "sequenceNumber": "3", "streamSid": sid, "media": body}


def compact(message: object) -> str:
    return json.dumps(message, separators=(",", ":"))


def started() -> tm.TwilioStream:
    stream = tm.TwilioStream()
    stream.feed('{"event":"connected","protocol":"Call","version":"1.0.0"}')
    stream.feed(compact(START))
    return stream


def bad(value: object) -> str:
    assert isinstance(value, ev.BadMessage), value
    return value.reason


# --- what the carrier sends -----------------------------------------------------------------------


def test_a_call_from_connected_to_stop() -> None:
    stream = tm.TwilioStream()
    assert stream.feed('{"event":"connected","protocol":"Call","version":"1.0.0"}') == tm.Connected()
    assert stream.feed(compact(START)) == tm.StreamStart(SID, "CA123", "AC123", {"token": "t1.k.a.b"})
    assert stream.feed(compact(media())) == ev.CallerAudio(PAYLOAD, 20)
    mark = {"event": "mark", "sequenceNumber": "4", "streamSid": SID, "mark": {"name": "g1:7"}}
    assert stream.feed(compact(mark)) == ev.MarkReturned("g1:7")
    dtmf = {"event": "dtmf", "streamSid": SID, "dtmf": {"track": "inbound_track", "digit": "#"}}
    assert stream.feed(compact(dtmf)) == ev.DtmfPressed("#")
    stop = {"event": "stop", "streamSid": SID, "stop": {"accountSid": "AC123", "callSid": "CA123"}}
    assert stream.feed(compact(stop)) == ev.StreamStopped(clean=True)
    assert bad(stream.feed(compact(media()))) == "after-stop"


@pytest.mark.parametrize("text", [compact(media()), json.dumps(media()), json.dumps(media(), indent=1)])
def test_spacing_makes_no_difference(text: str) -> None:
    assert started().feed(text) == ev.CallerAudio(PAYLOAD, 20)
    assert started().feed(text.encode()) == ev.CallerAudio(PAYLOAD, 20)


def test_order_of_members_makes_no_difference() -> None:
    message = media()
    turned = {key: message[key] for key in reversed(message)}
    assert started().feed(compact(turned)) == ev.CallerAudio(PAYLOAD, 20)


@pytest.mark.parametrize(("size", "ms"), [(160, 20), (80, 10), (1, 0), (4000, 500), (161, 20)])
def test_frames_of_any_length(size: int, ms: int) -> None:
    payload = base64.b64encode(bytes(size)).decode()
    assert started().feed(compact(media(payload))) == ev.CallerAudio(payload, ms)


def test_gaps_and_missing_optional_members_are_tolerated() -> None:
    stream = tm.TwilioStream()
    assert isinstance(
        stream.feed(compact({"event": "start", "streamSid": SID, "start": {"callSid": "CA1"}})),
        tm.StreamStart,
    )
    assert isinstance(
        stream.feed(compact({"event": "media", "streamSid": SID, "media": {"payload": PAYLOAD}})),
        ev.CallerAudio,
    )


def test_unknown_events_are_ignorable_in_any_state() -> None:
    for stream in (tm.TwilioStream(), started()):
        assert stream.feed('{"event":"cheer","streamSid":"x"}') == ev.UnknownEvent("carrier", "cheer")


# --- what may not come now ------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["media", "mark", "dtmf", "stop"])
def test_before_start_a_stream_message_closes_the_socket(event: str) -> None:
    value = tm.TwilioStream().feed(compact({"event": event, "streamSid": SID, event: {"payload": PAYLOAD}}))
    assert value == ev.BadMessage("carrier", "before-start", fatal=True)


def test_a_second_start_closes_the_socket() -> None:
    assert started().feed(compact(START)) == ev.BadMessage("carrier", "second-start", fatal=True)


def test_a_second_connected_is_counted() -> None:
    assert bad(started().feed('{"event":"connected"}')) == "second-connected"


@pytest.mark.parametrize("text", [compact(media(sid="MZother")), json.dumps(media(sid="MZother"))])
def test_frames_of_another_stream_are_dropped(text: str) -> None:
    value = started().feed(text)
    assert bad(value) == "stream-sid"
    assert not value.fatal  # type: ignore[union-attr]


def test_our_own_track_is_not_the_caller() -> None:
    assert bad(started().feed(compact(media(track="outbound")))) == "track"


def test_binary_and_oversize_close_the_socket() -> None:
    stream = started()
    assert stream.feed_binary() == ev.BadMessage("carrier", "binary", fatal=True)
    big = compact(media(base64.b64encode(bytes(60_000)).decode()))
    assert stream.feed(big) == ev.BadMessage("carrier", "oversize", fatal=True)
    assert stream.feed(" " * 70_000) == ev.BadMessage("carrier", "oversize", fatal=True)


@pytest.mark.parametrize(
    "fmt", [{"encoding": "audio/l16"}, {"sampleRate": 16000}, {"channels": 2}, "mulaw", [], 5]
)
def test_another_audio_format_closes_the_socket(fmt: object) -> None:
    start = {**START, "start": {**START["start"], "mediaFormat": fmt}}  # type: ignore[dict-item]
    assert tm.TwilioStream().feed(compact(start)) == ev.BadMessage("carrier", "media-format", fatal=True)


@pytest.mark.parametrize(
    "start",
    [None, [], "x", {}, {"callSid": 5}, {"callSid": "CA\"1"}, {"callSid": ""}, {"callSid": "x" * 65},
     {"callSid": "CA1", "streamSid": "MZother"}, {"callSid": "CA1", "streamSid": None}],
)  # fmt: skip
def test_a_start_without_names_closes_the_socket(start: object) -> None:
    value = tm.TwilioStream().feed(compact({"event": "start", "streamSid": SID, "start": start}))
    assert value == ev.BadMessage("carrier", "start-shape", fatal=True)


def test_parameters_are_bounded_texts() -> None:
    for raw in ({"a": 1, "b": "x" * 2000, "c": "ok"}, [1], {str(n): "x" for n in range(100)}):
        start = {**START, "start": {**START["start"], "customParameters": raw}}  # type: ignore[dict-item]
        value = tm.TwilioStream().feed(compact(start))
        assert isinstance(value, tm.StreamStart)
        assert value.parameters in ({"c": "ok"}, {})


def test_a_peer_that_sends_only_garbage_is_told_to_go() -> None:
    stream = started()
    verdicts = [stream.feed("{") for _ in range(tm.MAX_BAD_FRAMES + 1)]
    assert [v.fatal for v in verdicts if isinstance(v, ev.BadMessage)].index(True) == tm.MAX_BAD_FRAMES


# --- hostile frames -------------------------------------------------------------------------------

NASTY = [
    "", " ", "{", "}", "null", "true", "0", "-0", "1e999", "NaN", "Infinity", '"event"', "[]", "[[]]",
    "[" * 10_000, '{"a":' * 10_000, "1" * 5_000, '{"event":' + "9" * 5_000 + "}", '"\\ud800"', "\ud800",
    '{"event":"\\ud800"}', '{"event":null}', '{"event":[]}', '{"event":{}}', '{"event":"media"}',
    '{"event":"media","media":[]}', '{"event":"media","streamSid":[]}', "\x00", "\ufeff{}", "{}{}",
    '{"event":"media","event":"stop"}', "{'event':'media'}",
    '{"event":"start","start":' + "[" * 900 + "]" * 900 + "}",
]  # fmt: skip
PAYLOADS: list[object] = [
    None, 0, True, [], {}, "", "A", "AAA", "A===", "AAAA\n", "AA AA", "ÿÿÿÿ", "\\u0041AAA", "AAA=AAAA",
    "-_-_", '"', "\\", 1e308, "AAAA" * 10, 'AAAA"}},{"event":"stop"',
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_a_nasty_text_is_a_value(text: str) -> None:
    for stream in (tm.TwilioStream(), started()):
        assert isinstance(stream.feed(text), ev.BadMessage | ev.UnknownEvent | ev.StreamStopped)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_that_are_no_audio_are_dropped(payload: object) -> None:
    for text in (compact(media(payload)), json.dumps(media(payload))):  # type: ignore[arg-type]
        value = started().feed(text)
        if payload == "AAAA" * 10:
            assert isinstance(value, ev.CallerAudio)
        else:
            assert bad(value) == "payload"


@pytest.mark.parametrize("name", [None, 5, [], "x" * 200])
def test_marks_without_a_usable_name_are_dropped(name: object) -> None:
    message = {"event": "mark", "streamSid": SID, "mark": {"name": name}}
    assert bad(started().feed(compact(message))) == "mark"


@pytest.mark.parametrize("digit", [None, 5, [], "", "12", "x", "²"])
def test_digits_that_are_none_are_dropped(digit: object) -> None:
    message = {"event": "dtmf", "streamSid": SID, "dtmf": {"digit": digit}}
    assert bad(started().feed(compact(message))) == "dtmf"


def mutated(rng: random.Random) -> str:
    """A hostile frame: a real one that was damaged, or one of the nasty texts."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.choice(NASTY)
    text = compact(
        rng.choice([media(), START, media(sid="MZx"), {"event": "mark", "streamSid": SID, "mark": 1}])
    )
    if kind == 1:
        return text[: rng.randrange(len(text))]
    if kind == 2:
        at = rng.randrange(len(text))
        return text[:at] + rng.choice(string.printable + "\ud800\x00ÿ") + text[at + 1 :]
    if kind == 3:
        return compact(media(rng.choice(PAYLOADS)))  # type: ignore[arg-type]
    if kind == 4:
        at, to = sorted(rng.randrange(len(text)) for _ in range(2))
        return text[:at] + text[to:] + text[at:to]
    return "".join(rng.choice('{}[]":,\\eventmdia0') for _ in range(rng.randrange(200)))


def test_a_hundred_thousand_hostile_frames() -> None:
    """No exception, no growth, and the stream still works."""
    rng = random.Random(4)
    corpus = [mutated(rng) for _ in range(10_000)]
    stream, plain = started(), tm.TwilioStream()
    seen: set[str] = set()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for turn in range(5):
            for text in corpus:
                for target in (stream, plain):
                    seen.add(type(target.feed(text)).__name__)
            if turn == 0:
                before = tracemalloc.get_traced_memory()[0]
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 100_000
    assert {"BadMessage", "UnknownEvent", "CallerAudio", "StreamStart"} <= seen
    assert stream.feed(compact(media())) == ev.CallerAudio(PAYLOAD, 20)


# --- what we send ---------------------------------------------------------------------------------


def test_messages_to_the_carrier_hold_exactly_the_permitted_members() -> None:
    assert json.loads(tm.media(SID, PAYLOAD)) == {
        "event": "media",
        "streamSid": SID,
        "media": {"payload": PAYLOAD},
    }
    assert json.loads(tm.mark(SID, "g3:480")) == {
        "event": "mark",
        "streamSid": SID,
        "mark": {"name": "g3:480"},
    }
    assert json.loads(tm.mark(SID, 'a"b\\')) == {"event": "mark", "streamSid": SID, "mark": {"name": 'a"b\\'}}
    assert json.loads(tm.clear(SID)) == {"event": "clear", "streamSid": SID}
