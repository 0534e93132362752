"""How long the caller waited: by instants, without a call."""

from voice.bridge.latency import LatencyLog


def test_an_answer_takes_from_the_end_of_speech_to_its_first_sound() -> None:
    log = LatencyLog(began_at=100.0)
    log.on_ready(100.5)
    assert log.on_agent_audio(100.6) is None  # the greeting answers nobody
    log.on_caller_done(103.0)
    assert log.on_agent_audio(103.4) == (103.4 - 103.0) * 1000
    assert log.on_agent_audio(103.5) is None
    summary = log.summary()
    assert summary["first_audio_ms"] == 100
    assert summary["turn_ms"] == {"count": 1, "p50": 400, "p95": 400, "max": 400, "each": [400]}


def test_the_opening_is_the_first_sound_and_answers_who_picked_up() -> None:
    log = LatencyLog(began_at=100.0)
    log.on_ready(100.5)
    log.on_caller_done(101.0)  # "Hello?"
    log.on_line(101.2, 12.0)
    assert log.on_agent_audio(113.4) is None
    assert log.summary() == {"first_audio_ms": 1200}


def test_who_speaks_into_the_opening_waits_from_its_end_on() -> None:
    log = LatencyLog(began_at=100.0)
    log.on_line(100.0, 5.0)
    log.on_line(100.0, 7.0)
    log.on_caller_done(104.0)
    took_ms = log.on_agent_audio(112.5)
    assert took_ms == 500.0
    log.on_line(113.0, 10.0)
    log.on_caller_done(114.0)
    assert log.on_agent_audio(115.0) == 0.0  # it waits itself, until the line has been heard


def test_a_line_that_is_cleared_keeps_nobody_waiting() -> None:
    log = LatencyLog(began_at=100.0)
    log.on_line(100.0, 12.0)
    log.on_cleared(103.0)
    log.on_caller_done(104.0)
    assert log.on_agent_audio(104.5) == 500.0


def test_a_resumed_call_goes_on_where_it_was() -> None:
    log = LatencyLog({"first_audio_ms": 90, "turn_ms": {"each": [300]}}, began_at=100.0)
    log.on_line(100.3, 2.0)
    log.on_caller_done(104.0)
    log.on_agent_audio(104.5)
    assert log.summary()["first_audio_ms"] == 90
    assert log.summary()["turn_ms"]["each"] == [300, 500]
