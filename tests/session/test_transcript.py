"""Rule 8 and pitfall 20: order by `previous_item_id`, text later, a bounded wait for the last words."""

from tests.session.dsl import Call
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.limits import Limits
from voice.session.turns import Transcript


def transcript() -> Transcript:
    return Transcript(max_turns=50, max_chars=1000)


def chain(t: Transcript) -> list[tuple[str, str | None]]:
    return [(turn.item_id, turn.previous_item_id) for turn in t.take_dirty()]


def test_a_turn_exists_when_it_is_committed_and_its_text_comes_later_with_a_revision() -> None:
    call = Call().talking()
    call.speaks("u1")
    call.stops()
    first = call.turns()["u1"]
    assert (first.text, first.status, first.revision) == ("", "in_progress", 1)
    call.says("I see.", server=True)
    call.said("Hello there.", "u1")
    last = call.turns()["u1"]
    assert (last.text, last.heard_text, last.status) == ("Hello there.", "Hello there.", "completed")
    assert last.revision > first.revision


def test_texts_that_come_in_the_wrong_order_stay_with_their_turns() -> None:
    call = Call().talking()
    call.speaks("u1")
    call.stops()
    a = call.says("One?", server=True)
    call.speaks("u2")
    call.stops()
    call.said("second", "u2")
    call.said("first", "u1")
    turns = call.turns()
    assert (turns["u1"].text, turns["u2"].text) == ("first", "second")
    assert (turns[a].previous_item_id, turns["u2"].previous_item_id) == ("u1", a)


def test_items_that_are_no_turns_do_not_break_the_chain() -> None:
    t = transcript()
    t.committed("u1", None, 0)
    t.item_added("fc", "u1", is_turn=False)
    t.item_added("out", "fc", is_turn=False)
    t.item_added("own_note1", "out", is_turn=True)
    t.agent_delta("a1", "r", 0, "Hi.", 10)
    t.agent_text("a1", "r", 0, "Hi.", 10)
    assert chain(t) == [("u1", None), ("a1", "u1")]


def test_an_item_that_is_named_late_moves_between_its_neighbors_and_the_next_one_is_stored_again() -> None:
    t = transcript()
    t.committed("u1", None, 0)
    t.committed("u2", "a1", 0)  # a1 is not known yet
    assert chain(t) == [("u1", None), ("u2", "u1")]
    t.item_added("a1", "u1", is_turn=True)
    t.agent_text("a1", "r", 0, "Hi.", 10)
    assert chain(t) == [("a1", "u1"), ("u2", "a1")]


def test_text_before_its_item_is_moved_when_the_item_is_placed() -> None:
    t = transcript()
    t.committed("u1", None, 0)
    t.committed("u2", "u1", 0)
    t.agent_text("a1", "r", 0, "Late.", 10)
    t.take_dirty()
    t.item_added("a1", "u1", is_turn=True)
    assert chain(t) == [("a1", "u1"), ("u2", "a1")]


def told(call: Call, item: str) -> str:
    """The words of one item as a reader of the live stream puts them together."""
    return "".join(d["text"] for d in call.journal("transcript.delta") if d["item_id"] == item)


def test_the_callers_partial_words_are_told_whole_and_then_the_rest() -> None:
    call = Call().talking()
    call.speaks("u1")
    call.stops()
    for piece in ("I ", "want ", "a bo"):
        call.on(ev.CallerTextDelta("u1", piece))
    assert told(call, "u1") == "", "not a line for each delta"
    call.wait(0.3)
    assert told(call, "u1") == "I want a "
    call.said("I want a boat.", "u1")
    assert told(call, "u1") == "I want a boat." == call.turns()["u1"].text


def test_final_words_that_differ_from_the_partial_ones_come_with_the_turn_only() -> None:
    call = Call().talking()
    call.speaks("u1")
    call.stops()
    call.on(ev.CallerTextDelta("u1", "I want a boat."))
    call.wait(0.3)
    call.said("I want two goats.", "u1")
    assert told(call, "u1") == "I want a boat."
    assert call.turns()["u1"].text == "I want two goats."


def test_words_without_spaces_between_them_are_told_in_pieces() -> None:
    call = Call().talking()
    call.speaks("u1")
    call.stops()
    call.on(ev.CallerTextDelta("u1", "我" * 30))
    call.wait(0.3)
    assert told(call, "u1") == "我" * 30


def test_the_agents_words_are_told_as_they_are_heard() -> None:
    call = Call().talking()
    call.turn("Go on.")
    text = "one two three four five six seven eight nine ten"
    item = call.says(text, 4000, server=True)  # generated at once, spoken for four seconds
    assert told(call, item) == ""
    pieces = []
    for _ in range(16):
        before = len(call.journal("transcript.delta"))
        call.wait(0.25)
        lines = call.journal("transcript.delta")[before:]
        assert len(lines) <= 1, "four rows a second at most"
        pieces += [line["text"] for line in lines]
    assert len(pieces) >= 8, pieces
    assert all(len(piece.split()) <= 2 for piece in pieces), pieces
    call.played()
    assert told(call, item) == text


def test_words_that_run_ahead_of_their_sound_wait_for_it() -> None:
    call = Call().talking()
    call.turn("Go on.")
    call.created(server=True)
    call.on(ev.AgentTextDelta(call.response, "a9", 0, "word " * 40))
    call.audio(1000, item="a9")  # more is to come
    call.wait(0.5)
    assert 0 < len(told(call, "a9")) <= 0.024 * 500


def test_words_that_were_cut_off_are_not_told() -> None:
    call = Call().talking()
    call.turn("Go on.")
    item = call.says("one two three four five six seven eight nine ten", 4000, server=True)
    call.wait(1.7)
    call.speaks()
    assert told(call, item) == "one two three four "
    assert call.turns()[item].heard_text == "one two three four"
    call.wait(3)
    assert told(call, item) == "one two three four "


def test_text_that_comes_after_its_sound_is_told_at_once() -> None:
    call = Call().talking()
    call.turn("Go on.")
    call.created(server=True)
    call.audio(500, item="a9")
    call.on(ev.AudioDone(call.response, "a9", 0))
    call.played()
    call.on(ev.AgentTextDone(call.response, "a9", 0, "Late words."))
    assert told(call, "a9") == "Late words."


def test_a_failed_transcription_is_said_so_and_an_empty_one_is_legal() -> None:
    call = Call().talking()
    call.speaks("u1")
    call.stops()
    call.on(ev.CallerTextFailed("u1", "audio_unintelligible"))
    assert call.turns()["u1"].status == "failed"
    call.speaks("u2")
    call.stops()
    call.said("", "u2")
    assert call.turns()["u2"].status == "completed"


def test_replayed_history_makes_no_turns() -> None:
    call = Call().talking()
    call.on(ev.ItemAdded("own_h2_0", None, "message", "assistant"))
    call.on(ev.ItemAdded("own_h2_1", "own_h2_0", "message", "user"))
    call.speaks("u1")
    call.on(ev.SpeechStopped("u1", 0))
    call.on(ev.InputCommitted("u1", "own_h2_1"))
    assert set(call.turns()) == {call.item, "u1"}
    assert call.turns()["u1"].previous_item_id == call.item


def test_after_the_hang_up_the_last_words_are_waited_for() -> None:
    call = Call().talking()
    call.speaks("u1")
    call.stops()
    call.hangs_up()
    assert not call.sent(cmd.Finish)
    call.wait(1.0)
    call.said("Call me tomorrow.", "u1")
    assert call.turns()["u1"].text == "Call me tomorrow."
    assert [type(c) for c in call.last[-2:]] == [cmd.CloseModel, cmd.Finish]


def test_but_not_for_long() -> None:
    call = Call(Limits(last_transcript_s=2.5)).talking()
    call.speaks("u1")
    call.stops()
    call.hangs_up()
    call.wait(2.6)
    assert call.turns()["u1"].status == "failed"
    assert isinstance(call.log[-1], cmd.Finish)


def test_words_that_the_hang_up_cut_off_are_committed_by_hand() -> None:
    call = Call().talking()
    call.speaks("u1")
    call.hangs_up()
    assert call.now_sent(cmd.CommitAudio)
    assert not call.sent(cmd.Finish)
    call.on(ev.InputCommitted("u1", None))
    call.said("And one more th-", "u1")
    assert call.turns()["u1"].text == "And one more th-"
    assert call.sent(cmd.Finish)


def test_a_response_that_nobody_hears_any_more_is_canceled() -> None:
    call = Call().talking()
    call.turn("Bye.")
    call.created(server=True)
    call.hangs_up()
    assert [c.response_id for c in call.now_sent(cmd.CancelResponse)] == [call.response]


def test_the_agents_turn_carries_generated_and_heard_text() -> None:
    call = Call().talking()
    call.turn("Go on.")
    item = call.says("alpha beta gamma delta", 2000, server=True)
    assert call.turns()[item].status == "in_progress"
    assert call.turns()[item].heard_text == ""
    call.played()
    turn = call.turns()[item]
    assert (turn.status, turn.heard_text, turn.interrupted) == ("completed", "alpha beta gamma delta", False)


def test_times_of_a_turn_follow_the_sound() -> None:
    call = Call().talking()
    call.turn("Go on.")
    at = int((call.now - 100) * 1000)
    call.says("first", 1000, server=True)
    second = call.says("second", 500, server=True)
    call.played()
    turn = call.turns()[second]
    assert abs(turn.start_ms - (at + 1000)) <= 1
    assert turn.end_ms is not None
    assert abs(turn.end_ms - (at + 1500)) <= 1


def test_the_callers_times_are_of_the_call_not_of_the_session() -> None:
    call = Call().talking()
    call.frame(100)
    call.on(ev.ModelLost("1006", retryable=True, attempt=1))
    call.on(ev.ModelReady("s2", attempt=2))
    call.frame(50)
    call.on(ev.SpeechStarted("u1", 400))
    call.on(ev.SpeechStopped("u1", 900))
    call.on(ev.InputCommitted("u1", None))
    turn = call.turns()["u1"]
    assert (turn.start_ms, turn.end_ms) == (2400, 2900)


def test_latency_is_from_the_end_of_speech_to_the_first_audio() -> None:
    call = Call().talking()
    call.speaks()
    call.stops()
    call.wait(0.35)
    item = call.says("Yes.", server=True)
    assert call.journal("turn.latency") == [{"item_id": item, "ms": 350}]


def test_memory_is_bounded() -> None:
    t = transcript()
    for n in range(5000):
        t.committed(f"u{n}", f"u{n - 1}", n)
        t.agent_delta("a", "r", 0, "word " * 10, n)
        t.item_added(f"x{n}", None, is_turn=False)
        t.take_dirty()
    assert len(t.turns) <= 50
    assert all(len(turn.text) <= 1000 for turn in t.turns.values())
    assert len(t._order) <= 200
    assert len(t._hidden) <= 5000
    assert t.dropped


def test_an_item_that_names_itself_as_its_predecessor_is_placed_at_the_end() -> None:
    t = transcript()
    t.committed("u1", None, 0)
    t.committed("u2", "u2", 0)
    assert chain(t) == [("u1", None), ("u2", "u1")]
