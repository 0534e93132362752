"""Rule 6, pitfalls 30-32, 34: an end waits for the farewell; speech calls a hang-up off, not an opt-out."""

import pytest

from tests.session.dsl import Call
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.limits import Limits
from voice.session.phases import Phase


def ending(effect: str = "end_call", limits: Limits | None = None, **data: object) -> Call:
    """The model has called the tool that ends the call; the tool is done; the farewell was asked for."""
    call = Call(limits).talking()
    call.turn("That was all, thank you.")
    call.created(server=True)
    call_id = call.calls_tool(effect)
    call.done()
    call.tool_done(call_id, effect=effect, effect_data=data)
    return call


def hung_up(call: Call) -> list[str]:
    return [c.reason for c in call.sent(cmd.HangUp)]


def test_the_call_ends_after_the_farewell_was_played_and_not_before() -> None:
    call = ending()
    assert call.phase is Phase.CLOSING
    call.says("Goodbye!", 1000)
    call.wait(0.9)
    assert not hung_up(call)
    call.played()
    assert hung_up(call) == ["agent-hangup"]
    call.hangs_up()
    assert [c.reason for c in call.sent(cmd.Finish)] == ["agent-hangup"]


def test_what_plays_when_the_tool_is_called_is_not_the_farewell() -> None:
    call = Call().talking()
    call.turn("Bye.")
    call.created(server=True)
    call.audio(3000, item="before")
    call_id = call.calls_tool("end_call")
    call.tool_done(call_id, effect="end_call")
    call.done()
    call.played()
    assert not hung_up(call)  # the response after the tool is still to come
    call.says("Goodbye!", 500)
    call.played()
    assert hung_up(call) == ["agent-hangup"]


def test_a_lost_mark_does_not_stall_it() -> None:
    call = ending()
    call.says("Goodbye!", 1000)
    call.wait(3.1)
    assert hung_up(call) == ["agent-hangup"]


def test_a_farewell_that_never_ends_is_bounded() -> None:
    call = ending(limits=Limits(end_playback_s=12.0))
    call.says("Goodbye, and another thing...", 60_000)
    call.wait(11.9)
    assert not hung_up(call)
    call.wait(0.2)
    assert hung_up(call) == ["agent-hangup"]


def test_a_model_that_never_says_farewell_is_replaced_by_our_own() -> None:
    call = ending(limits=Limits(end_playback_s=5.0, stall_filler_s=60, stall_lost_s=60, response_wait_s=60))
    call.wait(5.1)
    assert [c.clip for c in call.now_sent(cmd.PlayClip)] == ["goodbye"]
    call.mark()
    assert hung_up(call) == ["agent-hangup"]


def test_the_callers_speech_calls_the_hang_up_off_and_the_model_is_told() -> None:
    call = ending()
    call.says("Goodbye!", 2000)
    call.wait(0.5)
    call.speaks()
    assert call.phase is Phase.TALKING
    assert call.now_sent(cmd.ClearPlayback)
    assert any("was not ended" in c.text for c in call.now_sent(cmd.InsertText))
    call.wait(1.0)
    call.stops()
    call.says("Of course, go ahead.", 500, server=True)
    call.played()
    call.wait(5.0)
    assert not hung_up(call)


def test_it_can_be_ended_again_after_that() -> None:
    call = ending()
    call.says("Goodbye!", 2000)
    call.speaks()
    call.stops()
    call.created(server=True)
    again = call.calls_tool("end_call")
    call.done()
    call.tool_done(again, effect="end_call")
    call.says("Bye then.", 500)
    call.played()
    assert hung_up(call) == ["agent-hangup"]


def test_speech_between_the_tool_and_its_result_calls_it_off_as_well() -> None:
    call = Call().talking()
    call.turn("Bye.")
    call.created(server=True)
    call_id = call.calls_tool("end_call")
    call.done()
    call.wait(0.1)
    call.speaks()
    call.tool_done(call_id, effect="end_call")
    assert call.phase is Phase.TALKING
    assert len(call.sent(cmd.SendToolOutput)) == 1


def test_a_farewell_response_that_only_calls_a_tool_is_no_farewell() -> None:
    call = ending()
    call.created()
    note = call.calls_tool("update_lead")
    call.done()
    assert not hung_up(call)
    call.tool_done(note)
    call.says("Goodbye!", 500)
    call.played()
    assert hung_up(call) == ["agent-hangup"]


def test_a_transfer_waits_for_the_sentence_before_it() -> None:
    call = ending("transfer", to="+14155550199")
    call.says("I connect you now.", 1000)
    assert not call.sent(cmd.TransferCall)
    call.played()
    assert [c.target for c in call.sent(cmd.TransferCall)] == [{"to": "+14155550199"}]
    call.hangs_up()  # the stream ends because the call moved on, not because the caller left
    assert [c.reason for c in call.sent(cmd.Finish)] == ["transferred"]


def test_speech_does_not_call_a_transfer_off() -> None:
    call = ending("transfer")
    call.says("I connect you now.", 1000)
    call.speaks()
    assert len(call.sent(cmd.TransferCall)) == 1


def test_a_refused_transfer_brings_the_agent_back() -> None:
    call = ending("transfer")
    call.says("I connect you now.", 500)
    call.played()
    call.on(ev.TransferFailed("21220"))
    assert call.phase is Phase.TALKING
    assert call.now_sent(cmd.CreateResponse)
    played = len(call.sent(cmd.PlayAudio))
    call.says("That did not work.", 600)
    assert len(call.sent(cmd.PlayAudio)) == played + 3
    assert call.frame().now_sent(cmd.AppendAudio)


def test_after_an_opt_out_one_confirmation_is_heard_and_nothing_stops_the_end() -> None:
    call = ending("opt_out")
    call.says("You will not be called again. Goodbye.", 3000)
    call.wait(0.5)
    call.speaks()  # "Are you sure?"
    assert call.phase is Phase.CLOSING
    assert call.now_sent(cmd.ClearPlayback)
    call.stops()
    call.says("Yes, it is recorded. Goodbye.", 2000, server=True)
    call.wait(0.5)
    call.speaks()  # no more interruptions
    assert not call.now_sent(cmd.ClearPlayback)
    call.played()
    assert hung_up(call) == ["opted-out"]


def test_an_opt_out_without_an_answer_to_the_callers_word_ends_as_well() -> None:
    call = ending("opt_out")
    call.says("Goodbye.", 3000)
    call.speaks()
    call.wait(60.0)
    assert hung_up(call) == ["opted-out"]


def test_an_opt_out_beats_an_end_that_was_decided_before() -> None:
    call = Call().talking()
    call.turn("Stop calling.")
    call.created(server=True)
    end, opt = call.calls_tool("end_call"), call.calls_tool("note_opt_out")
    call.done()
    call.tool_done(end, effect="end_call")
    call.tool_done(opt, effect="opt_out")
    call.says("Goodbye.", 1000)
    call.speaks()
    assert call.phase is Phase.CLOSING
    call.wait(60.0)
    assert hung_up(call) == ["opted-out"]


def test_a_lone_nine_is_an_opt_out_without_the_model() -> None:
    call = Call().talking()
    call.turn("Hm.")
    call.says("Let me tell you about our offer.", 5000, server=True)
    call.on(ev.DtmfPressed("9"))
    call.wait(1.1)
    assert [(c.call_id, c.name) for c in call.sent(cmd.RunTool)] == [("key9-1", "note_opt_out")]
    assert not call.sent(cmd.PlayClip)  # it is not true yet
    assert call.sent(cmd.ClearPlayback)
    call.tool_done("key9-1", effect="opt_out")
    assert [c.clip for c in call.sent(cmd.PlayClip)] == ["opted_out"]
    assert not call.sent(cmd.SendToolOutput)
    call.speaks()
    assert not call.now_sent(cmd.ClearPlayback)
    call.played()
    assert hung_up(call) == ["opted-out"]
    assert len(call.journal("call.opt_out")) == 1


def test_a_nine_within_a_number_is_a_digit() -> None:
    call = Call().talking()
    for digit in "4159":
        call.on(ev.DtmfPressed(digit))
        call.wait(0.3)
    call.wait(1.0)
    assert not call.sent(cmd.RunTool)
    notes = [c for c in call.sent(cmd.InsertText) if c.role == "user"]
    assert len(notes) == 1
    assert "4159" in notes[0].text
    assert [c.purpose for c in call.sent(cmd.CreateResponse)][-1] == "dtmf"


def test_the_hash_key_ends_an_entry() -> None:
    call = Call().talking()
    call.on(ev.DtmfPressed("7"))
    call.on(ev.DtmfPressed("#"))
    assert call.now_sent(cmd.InsertText)


@pytest.mark.parametrize(("clean", "reason"), [(True, "caller-hangup"), (False, "media-lost")])
def test_the_caller_hangs_up(clean: bool, reason: str) -> None:
    call = Call().talking()
    call.hangs_up(clean=clean)
    assert [type(c) for c in call.last[-2:]] == [cmd.CloseModel, cmd.Finish]
    assert call.sent(cmd.Finish)[0].reason == reason


def test_a_carrier_that_does_not_end_the_stream_is_left() -> None:
    call = Call(Limits(hangup_wait_s=5.0)).talking()
    call.on(ev.OperatorHangUp())
    assert hung_up(call) == ["operator-hangup"]
    call.wait(5.1)
    assert call.sent(cmd.CloseStream)
    assert call.sent(cmd.Finish)[0].reason == "operator-hangup"


def test_an_operator_speaks_and_transfers() -> None:
    call = Call().talking()
    call.on(ev.OperatorTransfer({"to": "desk"}))
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["goodbye"]
    call.says("A colleague takes over.", 500)
    call.played()
    assert [c.target for c in call.sent(cmd.TransferCall)] == [{"to": "desk"}]


def test_a_draining_process_hands_the_call_over() -> None:
    call = Call().talking()
    call.turn("Hello?")
    call.on(ev.Drain())
    assert call.sent(cmd.CloseStream)
    assert call.log[-1] == cmd.Finish("handed-over")


def test_a_draining_process_finishes_a_farewell_by_hanging_up() -> None:
    call = ending()
    call.on(ev.Drain())
    assert hung_up(call) == ["agent-hangup"]


def test_after_the_end_nothing_is_said_and_nothing_is_due() -> None:
    call = Call().talking()
    call.hangs_up()
    assert call.session.next_deadline() is None
    for event in (ev.CallerAudio("AAAA", 20), ev.StreamStopped(True), ev.OperatorHangUp(), ev.Drain()):
        assert call.on(event) == []
    assert call.session.handle_timer(call.now + 1000) == []
