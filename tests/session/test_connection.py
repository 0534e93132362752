"""Rule 7, pitfalls 22-24: reconnect with the heard history, give up politely, rotate at a quiet moment."""

import pytest

from tests.session.dsl import Call
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.hearing import FATAL_CODES
from voice.session.limits import Limits
from voice.session.phases import Phase


def lost(attempt: int = 1, **fields: object) -> ev.ModelLost:
    return ev.ModelLost("1006", retryable=bool(fields.get("retryable", True)), attempt=attempt)


def clips(call: Call) -> list[str]:
    return [c.clip for c in call.sent(cmd.PlayClip)]


def test_a_filler_at_once_and_a_new_session_with_what_was_heard() -> None:
    call = Call().talking()
    call.turn("I need a boat.")
    call.says("We have many boats for you today", 2000, server=True)
    call.wait(1.0)
    call.speaks()
    call.stops()
    call.said("A small one.")
    call.on(lost())
    assert [type(c) for c in call.last if isinstance(c, cmd.PlayClip | cmd.OpenModel)] == [
        cmd.PlayClip,
        cmd.OpenModel,
    ]
    opened = call.now_sent(cmd.OpenModel)[0]
    assert (opened.attempt, opened.after_s, opened.standby) == (2, 0.0, False)
    assert opened.history == [
        ("agent", "Hello."),
        ("caller", "I need a boat."),
        ("agent", "We have many"),
        ("caller", "A small one."),
    ]


def test_the_agent_goes_on_and_does_not_greet_again() -> None:
    call = Call().talking()
    call.on(lost())
    call.frame(3)
    call.on(ev.ModelReady("sess_2", attempt=2))
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["resume"]
    assert any("Do not greet again" in c.text for c in call.now_sent(cmd.InsertText))
    assert len(call.now_sent(cmd.AppendAudio)) == 3
    assert call.journal("call.model_back")[0]["after_ms"] == 60


def test_a_greeting_that_was_never_heard_is_not_lost() -> None:
    call = Call().talking(quiet=False)
    call.on(lost())
    call.on(ev.ModelReady("sess_2", attempt=2))
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["greeting"]


def test_what_was_received_plays_on_and_late_audio_of_the_old_session_does_not() -> None:
    call = Call().talking()
    call.turn("Yes?")
    call.created(server=True)
    call.audio(1000, item="half")
    call.on(lost())
    assert not call.now_sent(cmd.ClearPlayback)
    assert call.audio(200) == []
    call.on(ev.ModelReady("sess_2", attempt=2))
    call.wait(0.2)
    call.speaks()
    assert not call.now_sent(cmd.TruncateItem)  # the new session does not know the old item


def test_three_tries_then_the_apology_and_the_end() -> None:
    call = Call().talking()
    for attempt in (1, 2, 3):
        call.on(lost(attempt))
    assert [c.attempt for c in call.sent(cmd.OpenModel)] == [1, 2, 3, 4]
    call.on(lost(4))
    assert clips(call) == ["one_moment", "apology"]
    assert call.phase is Phase.FAILING
    call.played()
    assert [c.reason for c in call.sent(cmd.HangUp)] == ["model-unavailable"]


def test_the_window_bounds_the_tries() -> None:
    call = Call(Limits(reconnect_window_s=3.0)).talking()
    call.on(lost())
    call.wait(3.1)
    assert clips(call) == ["one_moment", "apology"]
    assert call.now_sent(cmd.CloseModel)


def test_from_the_loss_to_the_end_of_the_apology_without_any_mark() -> None:
    call = Call(Limits(reconnect_window_s=3.0, apology_s=5.0)).talking()
    call.on(lost())
    call.wait(8.1)
    assert call.sent(cmd.HangUp)


def test_a_call_with_a_person_to_fall_back_on_is_transferred() -> None:
    call = Call(fallback_transfer={"to": "desk"}).talking()
    call.on(lost(retryable=False))
    assert clips(call) == ["apology"]
    call.mark()
    assert [c.target for c in call.sent(cmd.TransferCall)] == [{"to": "desk"}]


@pytest.mark.parametrize("code", sorted(FATAL_CODES))
def test_fatal_codes_are_never_tried_again(code: str) -> None:
    call = Call().talking()
    call.on(ev.ModelError(code, ""))
    assert clips(call) == ["apology"]
    assert len(call.sent(cmd.OpenModel)) == 1
    other = Call().talking()
    other.turn("Hi.")
    other.created(server=True)
    other.done("failed", error_code=code)
    assert clips(other) == ["apology"]


def test_an_expired_session_is_opened_again() -> None:
    call = Call().talking()
    call.on(ev.ModelError("session_expired", ""))
    assert [c.attempt for c in call.now_sent(cmd.CloseModel)] == [1]
    assert [c.attempt for c in call.now_sent(cmd.OpenModel)] == [2]
    assert call.on(lost(1)) == []  # the socket's own end comes after it
    assert call.counters["stale_model_lost"] == 1


def test_a_connection_that_keeps_breaking_is_given_up() -> None:
    call = Call(Limits(reconnects_per_call=3)).talking()
    for attempt in range(1, 4):
        call.on(lost(attempt))
        call.on(ev.ModelReady("s", attempt=attempt + 1))
        call.played()
    call.on(lost(4))
    assert clips(call)[-1] == "apology"


def test_lost_before_the_start_the_caller_hears_something_and_it_is_tried_again() -> None:
    call = Call().start()
    call.on(lost(1))
    assert clips(call) == ["one_moment"]
    call.on(ev.ModelReady("s", attempt=2))
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["greeting"]


def test_nobody_known_to_listen_hears_no_apology() -> None:
    call = Call(direction="outbound", amd_expected=True).start()
    call.on(lost(1, retryable=False))
    assert not clips(call)
    assert call.sent(cmd.HangUp)


def test_a_farewell_is_finished_by_our_own_line_when_the_model_is_lost() -> None:
    call = Call().talking()
    call.turn("Bye.")
    call.created(server=True)
    call_id = call.calls_tool("end_call")
    call.done()
    call.tool_done(call_id, effect="end_call")
    call.on(lost())
    assert clips(call) == ["goodbye"]
    call.mark()
    assert [c.reason for c in call.sent(cmd.HangUp)] == ["agent-hangup"]


def test_a_silent_model_gets_a_filler_and_then_counts_as_lost() -> None:
    call = Call(Limits(stall_filler_s=2.5, stall_lost_s=6.0)).talking()
    call.speaks()
    call.stops()
    call.wait(2.6)
    assert clips(call) == ["one_moment"]
    call.wait(3.5)
    assert [c.reason for c in call.sent(cmd.CloseModel)] == ["stalled"]
    assert call.sent(cmd.OpenModel)[-1].attempt == 2
    assert clips(call) == ["one_moment"]  # once is enough


def test_signs_of_life_are_no_speech() -> None:
    """A trickling connection: messages come, and the caller hears nothing (promises.md B1)."""
    call = Call().talking()
    call.speaks()
    call.stops()
    call.created(server=True)
    for _ in range(6):
        call.wait(1.0)
        call.on(ev.ItemAdded("x", None, "reasoning"))
    assert [c.reason for c in call.sent(cmd.CloseModel)] == ["stalled"]


def stops_late(late_frames: int) -> Call:
    """The caller spoke for a second; the news that it is over comes so many frames of 20 ms later."""
    call = Call().talking()
    call.speaks()
    call.frame(50 + late_frames)
    call.on(ev.SpeechStopped(call.user_item, 1000))
    return call


def test_news_that_crawl_count_from_when_the_caller_stopped() -> None:
    """Filler and loss are due by the caller's clock, not by that of a connection that trickles."""
    call = stops_late(100)
    assert not clips(call)
    call.wait(0.6)
    assert clips(call) == ["one_moment"]
    call.wait(2.5)
    assert [c.reason for c in call.sent(cmd.CloseModel)] == ["stalled"]


def test_news_that_come_very_late_leave_the_model_a_moment() -> None:
    call = stops_late(500)
    call.wait(0.01)
    assert clips(call) == ["one_moment"]
    call.wait(1.4)
    assert not call.sent(cmd.CloseModel)
    call.wait(0.2)
    assert [c.reason for c in call.sent(cmd.CloseModel)] == ["stalled"]


def test_a_server_that_does_not_say_where_speech_ended_is_not_late() -> None:
    call = Call().talking()
    call.speaks()
    call.frame(300)
    call.on(ev.SpeechStopped(call.user_item, 0))
    call.wait(2.4)
    assert not clips(call)


def test_a_response_that_stops_in_the_middle_is_lost() -> None:
    call = Call().talking()
    call.speaks()
    call.stops()
    call.created(server=True)
    call.audio(400)
    call.wait(0.1)
    call.mark()
    assert not clips(call)
    call.wait(2.7)
    assert clips(call) == ["one_moment"]
    call.wait(3.0)
    assert [c.reason for c in call.sent(cmd.CloseModel)] == ["stalled"]


def test_late_audio_pays_what_the_model_owes() -> None:
    call = Call().talking()
    call.speaks()
    call.stops()
    call.created(server=True)
    for _ in range(8):
        call.audio(200)
        call.wait(0.3)
        call.mark()
        call.wait(1.0)
    assert not call.sent(cmd.CloseModel)


# --- rotation -------------------------------------------------------------------------------------


def old(limits: Limits | None = None) -> Call:
    """A call whose session is about to be due for rotation."""
    call = Call(limits or Limits(rotate_after_s=60, silence_reprompt_s=600, max_duration_s=7200)).talking()
    alive(call, 59)
    return call


def alive(call: Call, seconds: int) -> None:
    for _ in range(seconds):
        call.wait(1.0)
        call.on(ev.CallerAudio("AAAA", 20))


def test_a_quiet_call_moves_to_a_new_session_without_a_gap() -> None:
    call = old()
    alive(call, 2)
    opened = call.sent(cmd.OpenModel)[-1]
    assert opened.standby
    assert opened.history == [("agent", "Hello.")]
    assert call.frame().now_sent(cmd.AppendAudio)  # the old session still listens
    call.on(ev.ModelReady("sess_2", attempt=2))
    assert [type(c) for c in call.last[:2]] == [cmd.UseModel, cmd.CloseModel]
    assert (call.now_sent(cmd.UseModel)[0].attempt, call.now_sent(cmd.CloseModel)[0].attempt) == (2, 1)
    assert not call.now_sent(cmd.CreateResponse)
    assert not clips(call)


def test_not_in_the_middle_of_speech() -> None:
    call = old()
    call.speaks()
    alive(call, 5)
    assert len(call.sent(cmd.OpenModel)) == 1
    call.stops()
    call.said("Done.")
    call.says("I see.", 500, server=True)
    call.played()
    alive(call, 2)
    assert call.sent(cmd.OpenModel)[-1].standby


def test_a_new_session_that_comes_up_in_the_middle_of_speech_is_given_back() -> None:
    call = old()
    alive(call, 2)
    call.speaks()
    call.on(ev.ModelReady("sess_2", attempt=2))
    assert [(c.reason, c.attempt) for c in call.now_sent(cmd.CloseModel)] == [("rotation-missed", 2)]
    assert not call.sent(cmd.UseModel)


def test_shortly_before_the_providers_end_it_happens_anyway() -> None:
    call = Call(Limits(rotate_after_s=60, silence_reprompt_s=600)).start()
    call.on(ev.ModelReady("s", attempt=1, expires_in_s=100.0))
    call.says("Hello.", 500)
    call.played()
    call.speaks()
    alive(call, 76)
    assert call.sent(cmd.OpenModel)[-1].standby
    call.on(ev.ModelReady("s2", attempt=2))
    assert call.now_sent(cmd.UseModel)


def test_a_standby_that_fails_disturbs_nobody() -> None:
    call = old()
    alive(call, 2)
    call.on(lost(2))
    assert call.phase is Phase.TALKING
    assert not clips(call)
    assert call.frame().now_sent(cmd.AppendAudio)


def test_the_session_lost_during_a_rotation_is_replaced_by_the_one_on_its_way() -> None:
    call = old()
    alive(call, 2)
    call.on(lost(1))
    assert len(call.sent(cmd.OpenModel)) == 2
    assert [c.attempt for c in call.now_sent(cmd.UseModel)] == [2]
    call.on(ev.ModelReady("sess_2", attempt=2))
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["resume"]
