"""Rule 2 and pitfalls 1-9: the caller talks over the agent."""

from tests.session.dsl import Call
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.limits import Limits


def speaking(ms: float = 2000) -> Call:
    """The agent has said `ms` of audio, generated completely, none of it heard yet."""
    call = Call().talking()
    call.turn("Tell me more.")
    call.says("one two three four five six seven eight nine ten", ms, server=True)
    return call


def test_clear_comes_first_then_truncate_at_what_was_heard() -> None:
    call = speaking()
    call.wait(0.9)
    call.speaks()
    kinds = [type(c) for c in call.last if not isinstance(c, cmd.Journal | cmd.StoreTurn)]
    assert kinds == [cmd.ClearPlayback, cmd.TruncateItem]
    assert call.now_sent(cmd.TruncateItem)[0].audio_end_ms == 900
    assert call.journal("turn.interrupted") == [
        {"item_id": call.item, "reason": "caller", "heard_ms": 900, "received_ms": 2000}
    ]


def test_the_heard_text_ends_at_a_whole_word_and_the_generated_text_stays() -> None:
    call = speaking()
    call.wait(1.0)
    call.speaks()
    turn = call.turns()[call.item]
    assert turn.interrupted
    assert turn.text.endswith("nine ten")
    assert turn.heard_text == "one two three four five"


def test_marks_that_come_back_after_clear_mean_nothing() -> None:
    call = speaking()
    call.wait(0.4)
    old = list(call.marks)
    call.speaks()
    for name in old:
        call.mark(name)
    assert call.counters["mark_stale"] == len(old) > 1
    call.stops()
    item = call.says("new answer", 2000, server=True)
    call.wait(0.5)
    call.speaks()
    cut = call.now_sent(cmd.TruncateItem)
    assert [(c.item_id, c.audio_end_ms) for c in cut] == [(item, 500)]


def test_truncation_never_passes_what_was_received() -> None:
    call = Call().talking()
    call.turn("Yes?")
    call.created(server=True)
    call.audio(200, item="slow")  # the rest of the answer is still being generated
    call.wait(5.0)
    call.speaks()
    assert [c.audio_end_ms for c in call.now_sent(cmd.TruncateItem)] == [200]


def test_an_item_that_was_heard_to_its_end_is_not_truncated() -> None:
    call = speaking(ms=1000)
    call.played()
    call.speaks()
    assert not call.now_sent(cmd.TruncateItem)
    assert not call.now_sent(cmd.ClearPlayback)


def test_heard_to_its_end_by_the_clock_with_marks_outstanding_clears_but_does_not_truncate() -> None:
    call = speaking(ms=1000)
    call.wait(1.3)
    call.speaks()
    assert call.now_sent(cmd.ClearPlayback)
    assert not call.now_sent(cmd.TruncateItem)
    assert not call.turns()[call.item].interrupted


def test_two_items_of_one_response_oldest_first() -> None:
    call = Call().talking()
    call.turn("Go on.")
    call.created(server=True)
    call.audio(500, item="first")
    call.audio(500, item="second")
    call.done()
    call.wait(0.2)
    call.speaks()
    assert [(c.item_id, c.audio_end_ms) for c in call.now_sent(cmd.TruncateItem)] == [
        ("first", 200),
        ("second", 0),
    ]


def test_the_first_of_two_items_was_heard_the_second_not() -> None:
    call = Call().talking()
    call.turn("Go on.")
    call.created(server=True)
    call.audio(500, item="first")
    call.on(ev.AudioDone(call.response, "first", 0))
    call.audio(500, item="second")
    call.wait(0.6)
    call.speaks()
    assert [(c.item_id, c.audio_end_ms) for c in call.now_sent(cmd.TruncateItem)] == [("second", 100)]


def test_late_audio_of_an_interrupted_response_is_dropped() -> None:
    call = Call().talking()
    call.turn("Go on.")
    call.created(server=True)
    call.audio(200, item="a")
    call.speaks()
    assert call.audio(200) == []
    assert call.audio(200, item="b") == []  # another item of the same response
    assert call.counters["late_audio"] == 2


def test_a_response_without_audio_yet_is_interrupted_too() -> None:
    call = Call().talking()
    call.turn("Go on.")
    call.created(server=True)
    call.speaks()
    assert not call.now_sent(cmd.ClearPlayback)
    assert call.audio(200, item="late") == []


def test_speech_with_nothing_playing_sends_nothing() -> None:
    call = Call().talking()
    call.speaks()
    assert all(isinstance(c, cmd.Journal | cmd.StoreTurn) for c in call.last)


def test_no_cancel_when_the_server_interrupts_by_itself() -> None:
    call = Call().talking()
    call.turn("Go on.")
    call.created(server=True)
    call.audio(200, item="a")
    call.speaks()
    assert not call.sent(cmd.CancelResponse)


def test_cancel_when_it_does_not_and_only_while_a_response_is_active() -> None:
    call = Call(Limits(server_interrupts=False)).talking()
    call.turn("Go on.")
    call.created(server=True)
    call.audio(2000, item="a")
    call.speaks()
    assert [c.response_id for c in call.now_sent(cmd.CancelResponse)] == [call.response]
    call.done("cancelled")
    call.stops()
    call.says("answer", 2000, server=True)
    call.speaks()
    assert not call.now_sent(cmd.CancelResponse)  # done already, only still playing


def test_errors_of_cancel_and_truncate_are_warnings() -> None:
    call = speaking()
    call.speaks()
    cut = call.now_sent(cmd.TruncateItem)[0]
    for code, cause in (
        ("response_cancel_not_active", "cancel9"),
        ("invalid_value", cut.event_id),
        ("item_truncate_invalid_item_id", cut.event_id),
        ("input_audio_buffer_commit_empty", None),
    ):
        assert call.on(ev.ModelError(code, "", client_event_id=cause)) == []
    assert call.counters["model_error_benign"] == 4


def test_a_clip_that_plays_is_cleared_without_truncation() -> None:
    call = Call().talking()
    call.turn("Book it.")
    call.created(server=True)
    call.calls_tool()
    call.wait(2.0)
    assert call.sent(cmd.PlayClip)
    call.speaks()
    assert call.now_sent(cmd.ClearPlayback)
    assert not call.now_sent(cmd.TruncateItem)


def test_the_carrier_closed_in_the_middle_of_the_agents_words() -> None:
    call = speaking()
    call.wait(0.5)
    call.hangs_up()
    assert not call.sent(cmd.TruncateItem)
    assert call.turns()[call.item].interrupted
    assert call.journal("turn.interrupted")[0]["reason"] == "end"
