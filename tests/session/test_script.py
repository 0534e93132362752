"""Outbound calls with a script: the opening, barge-in, stop. Conversations."""

from tests.session.dsl import Call
from tests.session.scripted import NOTICE, READY, WHO, WHY, dialed, hears, hung_up, lines, opened
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.phases import Phase

# --- when it begins -------------------------------------------------------------------------------


def test_it_begins_at_the_end_of_a_hello_with_or_without_the_model() -> None:
    call = dialed()
    hears(call, 300)
    hears(call, 500, "voice")
    assert lines(call) == []
    hears(call, 460)
    assert lines(call) == ["identity", "purpose", "recording"]
    assert call.phase is Phase.OPENING  # the model is not there yet
    assert call.journal("call.first_audio")[0]["ms"] <= 1300


def test_who_says_nothing_is_spoken_to_within_a_second() -> None:
    call = dialed()
    hears(call, 700)
    assert lines(call)[0] == "identity"


def test_it_does_not_talk_over_a_long_greeting() -> None:
    call = dialed()
    hears(call, 5000, "voice")
    assert lines(call) == []
    hears(call, 800)
    assert lines(call)[0] == "identity"


def test_somebody_who_never_pauses_is_spoken_to_all_the_same() -> None:
    call = dialed()
    hears(call, 12_200, "voice")
    assert lines(call)[0] == "identity"


def test_the_carriers_word_for_a_person_is_enough() -> None:
    call = dialed()
    call.on(ev.AnsweredBy("human"))
    assert lines(call)[0] == "identity"


def test_nobody_listens_to_frames_any_more_once_it_is_known_who_is_there() -> None:
    call = dialed()
    hears(call, 700)
    call.on(ev.AnsweredBy("human"))
    assert call.session._live.ear is None
    unknown = dialed(amd=False)
    unknown.on(READY)
    hears(unknown, 6100)
    assert unknown.session._live.ear is None


def test_a_call_that_was_opened_on_another_process_is_not_opened_again() -> None:
    call = dialed(opened=True, history=[("agent", WHO.text), ("caller", "Go on.")])
    call.on(READY)
    assert lines(call) == []
    assert [c.purpose for c in call.sent(cmd.CreateResponse)] == ["resume"]


# --- the model ------------------------------------------------------------------------------------


def test_the_model_finds_it_in_the_conversation_and_speaks_after_it() -> None:
    call = dialed()
    call.on(READY)
    hears(call, 700)
    (told,) = [c for c in call.sent(cmd.InsertText) if c.role == "assistant"]
    assert told.text == f"{WHO.text} {WHY.text} {NOTICE.text}"
    assert not call.sent(cmd.CreateResponse)
    call.wait(5.0)
    assert not call.sent(cmd.CreateResponse)
    call.wait(1.5)
    assert [c.purpose for c in call.sent(cmd.CreateResponse)] == ["greeting"]


def test_a_model_that_comes_late_is_told_before_it_hears_anything() -> None:
    call = dialed()
    hears(call, 700)
    hears(call, 3000)
    call.on(READY)
    kinds = [type(c) for c in call.last]
    assert kinds.index(cmd.AppendAudio) < kinds.index(cmd.InsertText)
    assert not call.sent(cmd.CreateResponse)


def test_a_model_that_speaks_unasked_is_not_heard_before_the_end_of_it() -> None:
    call = dialed()
    call.on(READY)
    hears(call, 700)
    call.created(server=True)
    assert call.now_sent(cmd.CancelResponse)
    call.audio(1000, item="Hi, I am a real person!")
    call.done("cancelled")
    assert not call.sent(cmd.PlayAudio)
    assert not call.sent(cmd.ClearPlayback)
    call.played()
    assert [c.purpose for c in call.sent(cmd.CreateResponse)] == ["greeting"]


def test_a_model_that_is_dead_leaves_a_person_with_the_opening_and_a_word_of_regret() -> None:
    call = dialed()
    call.on(ev.ModelLost("invalid_api_key", retryable=False))
    assert lines(call) == ["identity", "purpose", "recording"]
    assert [c.clip for c in call.sent(cmd.PlayClip)] == ["apology"]
    call.played()
    assert hung_up(call) == ["model-unavailable"]


def test_the_hello_is_answered_after_the_opening_and_not_greeted_on_top() -> None:
    call = dialed()
    call.on(READY)
    hears(call, 400, "voice")
    call.speaks()
    hears(call, 500)
    call.stops()
    call.said("Hello?")
    assert lines(call)
    assert not call.sent(cmd.CreateResponse)
    call.played()
    assert [c.purpose for c in call.sent(cmd.CreateResponse)] == ["answer"]


def test_it_is_a_turn_of_the_transcript() -> None:
    call = opened(dialed())
    turn = call.turns()["opening"]
    assert turn.text.split() == f"{WHO.text} {WHY.text} {NOTICE.text}".split()
    assert turn.heard_text.strip() == turn.text.strip()
    assert (turn.speaker, turn.interrupted) == ("agent", False)
    done = [c for c in call.sent(cmd.StoreTurn) if c.item_id == "opening" and c.status == "completed"]
    assert len(done) == 1  # not after each line
    assert call.journal("call.opening") == [{"lines": ["identity", "purpose", "recording"], "turns": 1}]


def test_it_stands_where_it_was_said_whenever_the_model_tells_of_the_turns_around_it() -> None:
    call = dialed()
    call.on(READY)
    hears(call, 400, "voice")
    call.on(ev.SpeechStarted("hello", 100))
    hears(call, 460)
    assert lines(call)
    call.on(ev.SpeechStopped("hello", 800))
    call.on(ev.InputCommitted("hello", None))  # told of after the opening began
    call.on(ev.ItemAdded("own_note1", None, "message", "assistant"))
    call.on(ev.ItemAdded("hello", "own_note1", "message", "user"))
    call.said("Hello?", "hello")
    hears(call, 5000)
    call.on(ev.SpeechStarted("who", 6400))
    call.user_item, call.previous = "who", "hello"  # the model knows nothing of our lines
    hears(call, 600)
    call.stops()
    call.on(ev.ItemAdded("who", "hello", "message", "user"))
    call.said("Who is this?")
    call.played()
    call.says("It is Ava.", 1000)
    call.played()
    turns = call.turns()
    chain = [""]
    while len(chain) <= len(turns):
        chain.append(next(item for item, turn in turns.items() if (turn.previous_item_id or "") == chain[-1]))
    assert chain[1:5] == ["hello", "opening", "who", "opening_2"]


# --- barge-in -------------------------------------------------------------------------------------


def test_who_calls_is_said_to_its_end_whatever_they_say() -> None:
    call = dialed()
    call.on(READY)
    hears(call, 700)
    call.wait(1.0)
    call.session._live.input_base_ms = 0
    call.on(ev.SpeechStarted("u1", 1650))
    assert call.now_sent(cmd.ClearPlayback)
    (rest,) = call.now_sent(cmd.PlayLine)
    assert rest.line == "identity"
    assert 700 <= rest.from_ms <= 1000
    assert not call.sent(cmd.TruncateItem)


def test_what_was_talked_over_is_said_at_the_next_pause_before_the_answer() -> None:
    call = dialed()
    call.on(READY)
    hears(call, 700)
    call.wait(4.3)  # in the middle of the purpose
    call.mark()
    call.on(ev.SpeechStarted("u1", 4800))
    call.user_item = "u1"
    assert lines(call) == ["identity", "purpose", "recording"]
    hears(call, 1000)
    call.stops()
    assert lines(call)[3:] == ["purpose", "recording"]
    call.said("Who is this?")
    assert not call.sent(cmd.CreateResponse)
    call.played()
    assert [c.purpose for c in call.sent(cmd.CreateResponse)] == ["answer"]
    assert call.turns()["opening"].interrupted
    assert call.journal("call.opening")[0]["turns"] == 2


def test_a_line_whose_end_the_clock_has_seen_and_no_mark_is_said_again() -> None:
    call = dialed()
    call.on(READY)
    hears(call, 700)
    call.wait(7.0)  # all of it, by the clock: the sound is still on its way
    at = round((call.now - 100.0) * 1000) - 20
    call.on(ev.SpeechStarted("u1", at))
    call.user_item = "u1"
    hears(call, 400)
    call.stops()
    assert "recording" in lines(call)[3:]
    assert not call.sent(cmd.StartRecording)


def test_who_talks_over_everything_hears_it_all_the_same() -> None:
    call = dialed()
    call.on(READY)
    hears(call, 700)
    for n in range(6):
        call.wait(0.3)
        at = round((call.now - 100.0) * 1000) - 20
        call.on(ev.SpeechStarted(f"u{n}", at))
        call.user_item = f"u{n}"
        hears(call, 400)
        call.stops()
    call.played()
    heard = " ".join(turn.heard_text for turn in call.turns().values() if turn.speaker == "agent")
    for line in (WHO, WHY, NOTICE):
        assert line.text in heard


# --- stop -----------------------------------------------------------------------------------------


def test_stop_is_written_down_then_confirmed_once_then_the_call_ends() -> None:
    call = opened(dialed())
    call.says("So, about our robots: they pick everything.", 4000)
    call.turn("Stop.")
    assert call.sent(cmd.ClearPlayback)
    (run,) = call.sent(cmd.RunTool)
    assert (run.call_id, run.name) == ("said-1", "note_opt_out")
    assert not call.sent(cmd.PlayClip)
    call.tool_done("said-1", effect="opt_out")
    assert [c.clip for c in call.sent(cmd.PlayClip)] == ["opted_out"]
    assert hung_up(call) == []
    call.played()
    assert hung_up(call) == ["opted-out"]
    assert len(call.journal("call.opt_out")) == 1


def test_it_works_in_the_opening_and_with_the_model_dead() -> None:
    call = dialed()
    hears(call, 700)
    call.on(ev.DtmfPressed("9"))
    call.wait(1.1)
    assert call.sent(cmd.ClearPlayback)
    call.tool_done("key9-1", effect="opt_out")
    call.played()
    assert hung_up(call) == ["opted-out"]


def test_a_nine_while_we_apologize_for_the_model_is_confirmed_too() -> None:
    call = dialed()
    call.on(ev.ModelLost("invalid_api_key", retryable=False))
    call.on(ev.DtmfPressed("9"))
    call.on(ev.DtmfPressed("#"))
    assert call.sent(cmd.ClearPlayback)
    call.marks.clear()
    call.tool_done("key9-1", effect="opt_out")
    assert [c.clip for c in call.sent(cmd.PlayClip)][-1] == "opted_out"
    call.played()
    assert hung_up(call) == ["opted-out"]


def test_the_end_waits_for_the_row_even_if_the_goodbye_does_not() -> None:
    call = opened(dialed())
    call.turn("Take me off your list.")
    call.wait(2.6)
    assert [c.clip for c in call.sent(cmd.PlayClip)] == ["opted_out"]
    call.played()
    assert hung_up(call) == []
    call.tool_done("said-1", effect="opt_out")
    assert hung_up(call) == ["opted-out"]


def test_a_row_that_could_not_be_written_is_tried_again() -> None:
    call = opened(dialed())
    call.turn("Do not call me again.")
    call.tool_done("said-1", ok=False)
    assert [run.call_id for run in call.sent(cmd.RunTool)] == ["said-1", "said-2"]
    assert call.sent(cmd.RunTool)[0].arguments == call.sent(cmd.RunTool)[1].arguments
    call.tool_done("said-2", effect="opt_out")
    call.played()
    assert hung_up(call) == ["opted-out"]


def test_a_model_that_talks_on_is_not_heard() -> None:
    call = opened(dialed())
    call.turn("Stop.")
    call.tool_done("said-1", effect="opt_out")
    call.created(server=True)
    assert call.now_sent(cmd.CancelResponse)
    call.audio(2000, item="more")
    assert not call.now_sent(cmd.PlayAudio)
    call.played()
    assert hung_up(call) == ["opted-out"]


def test_the_last_word_of_somebody_who_hangs_up_counts() -> None:
    call = opened(dialed())
    call.speaks()
    call.wait(0.5)
    call.stops()
    call.hangs_up()
    call.said("Stop calling me!")
    assert [run.name for run in call.sent(cmd.RunTool)] == ["note_opt_out"]
    assert not call.sent(cmd.Finish)
    call.tool_done("said-1", effect="opt_out")
    assert call.sent(cmd.Finish)


def test_who_calls_us_may_stop_it_too() -> None:
    call = Call().talking()
    call.turn("Please stop calling me.")
    assert [run.name for run in call.sent(cmd.RunTool)] == ["note_opt_out"]


# --- wrap-up --------------------------------------------------------------------------------------


def test_a_call_can_be_brought_to_its_end() -> None:
    call = opened(dialed())
    call.says("Tell me more about your warehouse.", 1000)
    call.on(ev.WrapUp(10, "budget"))
    assert call.journal("call.wrap_up") == [{"seconds_left": 10, "reason": "budget"}]
    assert any("seconds of this call are left" in c.text for c in call.sent(cmd.InsertText))
    call.says("I will send you the details.", 1000)
    call.played()
    hears(call, 12_000)
    assert hung_up(call) == ["max-duration"]
