"""Who is recorded: notices, consent, objections."""

import pytest

from tests.session.scripted import READY, called_us, dialed, hears, hung_up, lines, opened
from voice.session import commands as cmd


def test_recording_begins_when_the_notice_has_been_heard() -> None:
    call = dialed()
    call.on(READY)
    hears(call, 700)
    call.wait(6.0)
    assert not call.sent(cmd.StartRecording)
    call.played()
    assert len(call.sent(cmd.StartRecording)) == 1


@pytest.mark.parametrize(("answer", "recorded"), [("Yes, sure.", 1), ("No.", 0), ("Who are you?", 0)])
def test_an_explicit_consent_is_a_yes(answer: str, recorded: int) -> None:
    call = opened(dialed(recording="explicit"))
    assert not call.sent(cmd.StartRecording)
    assert not call.sent(cmd.CreateResponse)  # we asked something
    call.turn(answer)
    call.turn("Yes, that is right.")
    assert len(call.sent(cmd.StartRecording)) == recorded
    assert call.sent(cmd.CreateResponse)


def test_who_calls_us_is_asked_before_the_agent_comes_on() -> None:
    call = called_us()
    call.wait(0.05)
    assert lines(call) == ["identity", "recording"], "nobody waits for them to say something"
    call.on(READY)
    call.wait(6.0)
    call.played()
    assert not call.sent(cmd.CreateResponse)
    assert not call.sent(cmd.StartRecording)
    assert call.journal("call.recording") == [{"state": "asked", "asked": "explicit"}]


@pytest.mark.parametrize(("answer", "recorded"), [("Yes, please do.", 1), ("No.", 0), ("I need help.", 0)])
def test_who_calls_us_is_recorded_after_a_yes(answer: str, recorded: int) -> None:
    call = called_us()
    call.on(READY)
    call.wait(6.0)
    call.played()
    call.turn(answer)
    assert len(call.sent(cmd.StartRecording)) == recorded
    told = call.journal("call.recording")[-1]
    assert (told["state"], told["answer"]) == (("started", "yes") if recorded else ("refused", "no"))
    assert len(call.sent(cmd.CreateResponse)) == 1, "the agent goes on, whatever they said"


def test_who_calls_us_is_no_machine_whatever_they_say() -> None:
    call = called_us()
    call.on(READY)
    call.wait(6.0)
    call.played()
    call.turn("Please leave a message after the tone.")
    assert hung_up(call) == []


def test_who_was_asked_is_not_asked_again_on_the_next_stream() -> None:
    call = called_us(opened=True)
    call.on(READY)
    call.wait(2.0)
    assert lines(call) == []
    assert not call.sent(cmd.StartRecording)


def test_after_an_objection_nothing_is_stored() -> None:
    call = opened(dialed())
    call.turn("Please do not record me.")
    assert call.sent(cmd.StopRecording)
    stored = len(call.sent(cmd.StoreTurn))
    call.says("Of course.", 1000)
    call.played()
    call.turn("I have a secret.")
    call.hangs_up()
    assert len(call.sent(cmd.StoreTurn)) == stored
    assert "secret" not in str(call.log[-30:])
    assert len(call.journal("call.off_record")) == 1


def test_an_objection_holds_in_the_streams_after_it() -> None:
    call = dialed(opened=True, off_record=True, history=[("caller", "Please do not record me.")])
    assert call.sent(cmd.StopRecording)  # the process before this one may have died before it said so
    call.on(READY)
    call.turn("I have a secret.")
    call.says("So it is a secret.", 1000)
    call.hangs_up()
    assert not call.sent(cmd.StoreTurn)
    assert "secret" not in str([c for c in call.log if isinstance(c, cmd.Journal)])
