"""An operator steps in: the agent is muted, a person talks in its place and gives the call back."""

from typing import Any

import pytest

from tests.session.dsl import FRAME, Call
from tests.session.scripted import READY, dialed, hears
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.limits import Limits
from voice.session.phases import Phase
from voice.session.turns import Transcript

VOICE_MS = 100


def calm(**options: Any) -> Call:
    return Call(Limits(no_media_s=600), **options).talking()


def muted(call: Call) -> Call:
    call.on(ev.OperatorMute("user:ava@example.com"))
    return call


def taken(call: Call) -> Call:
    call.on(ev.OperatorTakeOver("desk-1", "user:ava@example.com"))
    return call


def voice(call: Call, seconds: float, desk: str = "desk-1") -> None:
    """The operator's microphone sends for so long."""
    for _ in range(round(seconds * 1000 / VOICE_MS)):
        call.wait(VOICE_MS / 1000)
        call.on(ev.OperatorVoice(desk, f"{desk}-voice", VOICE_MS))


def heard(call: Call, desk: str = "desk-1") -> int:
    return sum(1 for one in call.sent(cmd.PlayAudio) if one.payload == f"{desk}-voice")


# --- words of a person in the agent's place ---------------------------------------------------------


def said(call: Call, text: str, item: str = "op_1", *, ago_s: float = 2.0) -> None:
    call.on(ev.OperatorWords(item, text, call.now - ago_s, call.now - ago_s + 1))


def test_what_a_person_says_is_in_the_transcript_and_the_agent_is_told() -> None:
    call = taken(calm())
    voice(call, 3)
    said(call, " I can  offer ten per cent. ")
    turn = call.turns()["op_1"]
    words = "I can offer ten per cent."
    assert (turn.speaker, turn.text, turn.heard_text) == ("person", words, words)
    assert (turn.status, turn.interrupted) == ("completed", False)
    assert turn.end_ms == turn.start_ms + 1000
    assert "I can offer ten per cent." in call.now_sent(cmd.InsertText)[0].text


def test_words_that_come_late_stand_where_they_were_said() -> None:
    told = Transcript(max_turns=10, max_chars=100)
    for item, start_ms in (("first", 1000), ("third", 5000), ("second", 3000)):
        assert told.person_said(item, item, start_ms, start_ms + 500)
    stored = {turn.item_id: turn.previous_item_id for turn in told.take_dirty()}
    assert stored == {"first": None, "second": "first", "third": "second"}


def test_after_an_objection_no_word_of_a_person_is_kept() -> None:
    call = taken(calm())
    call.turn("Please do not record me.")
    said(call, "All right, I will not.")
    assert "op_1" not in call.turns()
    assert not any("All right" in str(one) for one in call.log)


def test_the_same_words_told_twice_and_no_words_are_nothing_new() -> None:
    call = taken(calm())
    for _ in range(2):
        said(call, "Hello.")
    said(call, "  ", "op_2")
    assert [item for item in call.turns() if item.startswith("op_")] == ["op_1"]
    assert call.turns()["op_1"].revision == 1


def test_a_new_model_is_told_what_the_person_said_as_the_agents_side() -> None:
    call = taken(calm())
    said(call, "I can offer ten per cent.")
    call.on(ev.ModelLost("close_1006", True, attempt=1))
    call.wait(1.0)
    assert ("agent", "I can offer ten per cent.") in call.sent(cmd.OpenModel)[-1].history


# --- mute ------------------------------------------------------------------------------------------


def test_a_muted_agent_stops_in_the_middle_of_its_sentence() -> None:
    call = calm()
    call.turn("Tell me about it.")
    call.says("A long story.", 4000, server=True, done=False)
    call.wait(1.0)
    muted(call)
    assert call.now_sent(cmd.ClearPlayback)
    assert [cut.audio_end_ms for cut in call.now_sent(cmd.TruncateItem)] == [1000]
    assert call.now_sent(cmd.CancelResponse)
    call.audio()
    assert not call.now_sent(cmd.PlayAudio)
    assert call.journal("operator.muted") == [{"by": "user:ava@example.com", "audible": False}]


def test_a_muted_agent_answers_nobody_and_the_transcript_goes_on() -> None:
    call = muted(calm())
    asked = len(call.sent(cmd.CreateResponse))
    call.frame()
    assert call.now_sent(cmd.AppendAudio), "the caller is heard"
    call.turn("Are you there?")
    call.created(server=True)
    assert call.now_sent(cmd.CancelResponse)
    call.audio(item="late")
    assert not call.now_sent(cmd.PlayAudio)
    call.done("cancelled")
    call.wait(60)
    assert len(call.sent(cmd.CreateResponse)) == asked, "no re-prompt, no filler, no answer"
    assert not call.sent(cmd.PlayClip)
    assert call.phase is Phase.TALKING
    assert call.turns()[call.user_item].text == "Are you there?"


def test_an_agent_that_may_speak_again_answers_what_was_said_meanwhile() -> None:
    call = muted(calm())
    call.turn("How much is it?")
    call.created(server=True)
    call.done("cancelled")
    call.on(ev.OperatorUnmute("user:ava@example.com"))
    assert "lets you speak again" in call.now_sent(cmd.InsertText)[0].text
    assert [one.purpose for one in call.now_sent(cmd.CreateResponse)] == ["resume"]
    call.says("Ten dollars.")
    assert call.sent(cmd.PlayAudio)


def test_a_response_that_was_asked_for_before_is_not_heard_either() -> None:
    call = calm()
    call.on(ev.OperatorWhisper("Offer a discount."))
    muted(call)
    call.created()
    assert call.now_sent(cmd.CancelResponse)
    call.audio(item="discount")
    assert not call.now_sent(cmd.PlayAudio)


def test_a_muted_agent_does_not_hang_up_by_a_tool_that_was_under_way() -> None:
    call = calm()
    call.turn("Goodbye.")
    call.created(server=True)
    tool = call.calls_tool("end_call")
    call.done()
    muted(call)
    call.tool_done(tool, effect="end_call")
    call.wait(60)
    assert call.phase is Phase.TALKING
    assert not call.sent(cmd.HangUp)


def test_a_tool_of_a_canceled_response_is_answered_and_not_run() -> None:
    call = muted(calm())
    call.turn("Book it.")
    call.created(server=True)
    call.calls_tool("book_meeting", "c1")
    assert not call.sent(cmd.RunTool)
    assert [(one.call_id, "held_back" in one.output) for one in call.sent(cmd.SendToolOutput)] == [
        ("c1", True)
    ]


def test_a_farewell_that_may_still_be_called_off_is_called_off() -> None:
    call = calm()
    call.turn("Bye.")
    call.created(server=True)
    tool = call.calls_tool("end_call")
    call.done()
    call.tool_done(tool, effect="end_call")
    assert call.journal("call.closing")
    muted(call)
    assert call.journal("call.end_canceled")
    call.wait(60)
    assert not call.sent(cmd.HangUp)


def test_nothing_is_said_for_the_operator_while_the_agent_is_muted() -> None:
    call = muted(calm())
    call.on(ev.OperatorSay("One moment.", "user:ava@example.com"))
    assert call.journal("operator.refused") == [
        {"by": "user:ava@example.com", "command": "say", "code": "agent_held"}
    ]
    call.on(ev.OperatorUnmute())
    assert [one.purpose for one in call.now_sent(cmd.CreateResponse)] == ["resume"]


def test_the_opening_of_an_outbound_call_is_said_to_its_end() -> None:
    call = dialed()
    call.on(READY)
    hears(call, 500, "voice")
    hears(call, 500)
    assert (call.phase, len(call.sent(cmd.PlayLine))) == (Phase.TALKING, 3)
    taken(call)
    voice(call, 0.3)
    assert not call.sent(cmd.ClearPlayback)
    assert heard(call) == 0
    for _ in range(80):
        voice(call, 0.1)
    call.played()
    assert call.journal("call.opening")
    before = heard(call)
    voice(call, 0.5)
    assert heard(call) == before + 5


# --- take over -------------------------------------------------------------------------------------


def test_the_caller_hears_the_operator_and_not_the_agent() -> None:
    call = calm()
    call.turn("I want to talk to a person.")
    call.says("I understand.", 3000, server=True, done=False)
    taken(call)
    assert call.now_sent(cmd.ClearPlayback)
    voice(call, 2.0)
    assert heard(call) == 20
    call.audio()
    assert not call.now_sent(cmd.PlayAudio)
    took = call.journal("operator.took_over")
    assert took == [{"by": "user:ava@example.com", "desk": "desk-1", "audible": True}]


def test_two_people_do_not_cut_each_other_off() -> None:
    call = taken(calm())
    voice(call, 1.0)
    call.log.clear()
    call.speaks()
    assert not call.sent(cmd.ClearPlayback)
    voice(call, 0.5)
    assert heard(call) == 5


def test_a_voice_that_came_too_fast_is_dropped_so_that_it_does_not_lag() -> None:
    call = taken(calm())
    for _ in range(40):
        call.on(ev.OperatorVoice("desk-1", "desk-1-voice", VOICE_MS))
    assert heard(call) == 11, "a second ahead, and the piece that made it more"
    assert call.counters["operator_voice_late"] == 29


def test_only_one_person_talks() -> None:
    call = taken(calm())
    call.on(ev.OperatorTakeOver("desk-2", "user:bob@example.com"))
    assert call.journal("operator.refused") == [
        {"by": "user:bob@example.com", "command": "take_over", "code": "taken"}
    ]
    voice(call, 0.2, desk="desk-2")
    assert heard(call, "desk-2") == 0


def test_given_back_the_agent_goes_on_and_knows_what_the_operator_wrote() -> None:
    call = taken(calm())
    voice(call, 1.0)
    call.turn("Yes, Tuesday is fine.")
    call.created(server=True)
    call.done("cancelled")
    call.on(ev.OperatorGiveBack("desk-1", "user:ava@example.com", "We agreed on Tuesday at ten."))
    assert "Tuesday at ten" in call.now_sent(cmd.InsertText)[0].text
    assert [one.purpose for one in call.now_sent(cmd.CreateResponse)] == ["resume"]
    (line,) = call.journal("operator.gave_back")
    assert (line["by"], line["why"], line["seconds"]) == ("user:ava@example.com", "asked", 2.0)
    voice(call, 0.2)
    assert heard(call) == 10, "nothing after it"


def test_an_operator_who_vanished_gives_the_call_back() -> None:
    call = taken(calm())
    voice(call, 5.0)
    call.wait(2.9)
    assert not call.journal("operator.gave_back")
    call.wait(0.2)
    (line,) = call.journal("operator.gave_back")
    assert line["why"] == "operator-lost"
    assert [one.purpose for one in call.now_sent(cmd.CreateResponse)] == ["resume"]


def test_given_back_to_an_agent_that_is_muted_it_stays_muted() -> None:
    call = taken(muted(calm()))
    call.on(ev.OperatorGiveBack("desk-1"))
    assert not call.now_sent(cmd.CreateResponse)
    call.on(ev.OperatorUnmute())
    assert [one.purpose for one in call.now_sent(cmd.CreateResponse)] == ["resume"]


def test_the_nine_ends_the_call_while_an_operator_talks() -> None:
    call = taken(calm())
    voice(call, 1.0)
    call.on(ev.DtmfPressed("9"))
    call.wait(1.1)
    (run,) = call.sent(cmd.RunTool)
    assert run.name == "note_opt_out"
    call.tool_done(run.call_id)
    assert [one.clip for one in call.sent(cmd.PlayClip)] == ["opted_out"]
    assert [one["why"] for one in call.journal("operator.gave_back")] == ["closing"]
    voice(call, 0.3)
    assert heard(call) == 10, "nobody talks over the confirmation"
    call.played()
    assert [one.reason for one in call.sent(cmd.HangUp)] == ["opted-out"]


def test_stop_and_do_not_record_me_count_while_an_operator_talks() -> None:
    call = taken(calm())
    call.turn("I don't want to be recorded.")
    assert call.sent(cmd.StopRecording)
    call.turn("Do not call me again.")
    assert [run.name for run in call.sent(cmd.RunTool)] == ["note_opt_out"]


def test_the_loss_of_the_model_does_not_end_a_call_that_a_person_has() -> None:
    call = taken(calm())
    call.on(ev.ModelLost("insufficient_quota", retryable=False))
    assert not call.sent(cmd.PlayClip)
    voice(call, 2.0)
    assert (heard(call), call.phase) == (20, Phase.TALKING)
    call.on(ev.OperatorGiveBack("desk-1"))
    assert [one.clip for one in call.sent(cmd.PlayClip)] == ["apology"]
    assert call.phase is Phase.FAILING


def test_a_transfer_by_who_talks_needs_no_word_of_the_agent() -> None:
    call = taken(calm())
    call.on(ev.OperatorTransfer({"number": "+14155550199"}, "user:ava@example.com"))
    assert [one.target["number"] for one in call.sent(cmd.TransferCall)] == ["+14155550199"]
    assert [one["why"] for one in call.journal("operator.gave_back")] == ["closing"]


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.CLOSING])
def test_who_steps_in_at_the_wrong_moment_is_told(phase: Phase) -> None:
    call = Call().start() if phase is Phase.OPENING else calm()
    if phase is Phase.CLOSING:
        call.on(ev.OperatorTransfer({"number": "+14155550199"}))
    assert call.phase is phase
    taken(call)
    (line,) = call.journal("operator.refused")
    assert line["command"] == "take_over"
    call.on(ev.CallerAudio(FRAME, 20))
    voice(call, 0.1)
    assert heard(call) == 0


# --- typing ----------------------------------------------------------------------------------------


def test_what_is_typed_is_a_turn_that_interrupts_and_is_answered() -> None:
    call = calm()
    call.turn("Hello.")
    call.says("A long story.", 4000, server=True)
    call.wait(1.0)
    call.on(ev.CallerTyped("How much is it?"))
    assert call.now_sent(cmd.ClearPlayback)
    assert [(one.role, one.text) for one in call.now_sent(cmd.InsertText)] == [("user", "How much is it?")]
    assert [one.purpose for one in call.now_sent(cmd.CreateResponse)] == ["answer"]
    assert (call.turns()["typed_1"].speaker, call.turns()["typed_1"].text) == ("caller", "How much is it?")
    call.wait(0.4)
    call.says("Ten dollars.")
    assert call.journal("turn.latency")[-1]["ms"] == 400
