"""Who picked up: machines, voice mail, fax, call screening."""

import pytest

from tests.session.scripted import MESSAGE, READY, dialed, hears, hung_up, lines
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.phases import Phase


@pytest.mark.parametrize("late", [False, True])
def test_a_machine_is_hung_up_on(late: bool) -> None:
    call = dialed()
    call.on(READY)
    if late:
        hears(call, 700)
    call.on(ev.AnsweredBy("machine_end_beep"))
    assert hung_up(call) == ["machine"]


def test_a_machine_is_told_by_its_words() -> None:
    call = dialed()
    call.on(READY)
    hears(call, 1000, "voice")
    call.speaks()
    call.stops()
    call.said("You have reached the voicemail of Tom. Please leave a message after the tone.")
    assert hung_up(call) == ["machine"]
    assert call.journal("call.answered_by")[-1]["answered_by"] == "machine_by_words"


def test_the_message_is_left_after_the_beep() -> None:
    call = dialed(voicemail=True)
    call.on(READY)
    hears(call, 3000, "voice")
    call.speaks()
    call.stops()
    call.said("You have reached the voicemail of Tom. Please leave a message after the tone.")
    assert call.phase is Phase.VOICEMAIL
    assert call.sent(cmd.CloseModel)
    hears(call, 1500, "voice")
    assert "voicemail" not in lines(call)
    hears(call, 400, "tone", 1000)
    assert lines(call)[-1] == "voicemail"
    assert hung_up(call) == []
    call.played()
    assert call.journal("call.voicemail") == [{"message_left": True}]
    assert hung_up(call) == ["machine"]
    assert call.turns()["voicemail"].heard_text.strip() == MESSAGE.text


def test_the_carriers_end_of_the_greeting_is_the_moment() -> None:
    call = dialed(voicemail=True)
    call.on(READY)
    hears(call, 700)
    call.on(ev.AnsweredBy("machine_end_silence"))
    assert lines(call)[-1] == "voicemail"
    call.played()
    assert hung_up(call) == ["machine"]


def test_a_machine_without_a_beep_gets_its_message_after_a_silence() -> None:
    call = dialed(voicemail=True)
    call.on(READY)
    hears(call, 2000, "voice")
    call.on(ev.AnsweredBy("machine_start"))
    hears(call, 1000, "voice")
    hears(call, 2400)
    assert lines(call)[-1] == "voicemail"


def test_a_machine_that_hangs_up_first_is_a_machine() -> None:
    call = dialed(voicemail=True)
    call.on(ev.AnsweredBy("machine_start"))
    call.hangs_up()
    assert [c.reason for c in call.sent(cmd.Finish)] == ["machine"]
    assert call.journal("call.voicemail") == [{"message_left": False}]


def test_a_beep_behind_a_greeting_is_a_machine() -> None:
    call = dialed()
    hears(call, 3000, "voice")
    hears(call, 300, "tone", 440)
    assert hung_up(call) == ["machine"]


def test_unknown_is_a_person() -> None:
    call = dialed()
    call.on(READY)
    call.on(ev.AnsweredBy("unknown"))
    assert lines(call)[0] == "identity"


@pytest.mark.parametrize("how", ["verdict", "tone"])
def test_a_fax_is_hung_up_on(how: str) -> None:
    call = dialed()
    if how == "verdict":
        call.on(ev.AnsweredBy("fax"))
    else:
        hears(call, 700, "tone", 2100)
    assert hung_up(call) == ["fax"]


def test_call_screening_is_answered_once_and_the_person_hears_the_opening() -> None:
    call = dialed()
    call.on(READY)
    hears(call, 2000, "voice")
    call.speaks()
    hears(call, 500)
    call.stops()
    call.said("Please state your name and why you're calling.")
    assert lines(call)[-1] == "screening"
    before = len(lines(call))
    call.played()
    call.turn("Thanks. Please stay on the line.")
    hears(call, 600, "voice")
    hears(call, 600)
    assert len(lines(call)) == before
    call.turn("Hello, this is Tom.")
    assert lines(call)[before:] == ["identity", "purpose", "recording"]
    assert not call.sent(cmd.CreateResponse)
