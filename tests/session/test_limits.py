"""Rules 9 and 10, pitfalls 26, 33 and 41: silence, duration, spend, floods, unknown events."""

from collections.abc import Sequence

import pytest

from tests.session.dsl import FRAME, Call
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.limits import Limits, Prices
from voice.session.phases import Phase
from voice.session.spend import cost_microusd

QUIET = Limits(silence_reprompt_s=10, silence_reprompts=2, silence_hangup_s=8, no_media_s=600)


def purposes(call: Call) -> Sequence[str]:
    return [c.purpose for c in call.sent(cmd.CreateResponse)][1:]


def test_silence_is_answered_twice_then_with_goodbye_and_the_end() -> None:
    call = Call(QUIET).talking()
    for _ in range(2):
        call.wait(10.1)
        assert call.now_sent(cmd.CreateResponse)[0].purpose == "reprompt"
        call.says("Are you still there?", 1000)
        call.played()
    call.wait(8.1)
    assert purposes(call) == ["reprompt", "reprompt", "goodbye"]
    call.says("Goodbye then.", 1000)
    call.played()
    assert [c.reason for c in call.sent(cmd.HangUp)] == ["silence"]


def test_the_silence_begins_when_the_agent_has_finished_not_when_it_was_generated() -> None:
    call = Call(QUIET).talking()
    call.turn("Tell me everything.")
    call.says("A long story.", 30_000, server=True)
    call.wait(30.0)
    call.played()
    call.wait(9.8)
    assert purposes(call) == []
    call.wait(0.4)
    assert purposes(call) == ["reprompt"]


def test_a_word_of_the_caller_starts_the_count_again() -> None:
    call = Call(QUIET).talking()
    call.wait(10.1)
    call.says("Are you still there?", 500)
    call.played()
    call.turn("Yes.")
    call.says("Good.", 500, server=True)
    call.played()
    call.wait(9.9)
    assert purposes(call) == ["reprompt"]
    call.wait(0.3)
    assert purposes(call) == ["reprompt", "reprompt"]


def test_no_silence_while_a_tool_runs_or_the_caller_speaks() -> None:
    call = Call(Limits(silence_reprompt_s=5, tool_deadline_s=60, no_media_s=600)).talking()
    call.turn("Look it up.")
    call.created(server=True)
    call.calls_tool()
    call.done()
    call.wait(20.0)
    assert purposes(call) == []
    other = Call(QUIET).talking()
    other.speaks()
    other.wait(60.0)
    assert purposes(other) == []


def test_a_stream_without_frames_is_lost_and_no_silent_caller() -> None:
    limits = Limits(silence_reprompt_s=3, silence_reprompts=0, silence_hangup_s=3, no_media_s=10)
    call = Call(limits).talking()
    call.wait(10.1)
    assert purposes(call) == []
    assert [c.reason for c in call.sent(cmd.HangUp)] == ["media-lost"]


def test_the_servers_prompts_on_a_stream_without_frames_count_for_nothing() -> None:
    call = Call(Limits(silence_reprompts=0, silence_reprompt_s=600, no_media_s=10)).talking()
    call.wait(2.1)
    call.on(ev.IdleTimeout("idle0"))
    call.says("Hello?", 500, server=True)
    assert purposes(call) == []
    assert call.phase is Phase.TALKING


def test_the_servers_own_prompts_are_counted_too() -> None:
    call = Call(QUIET).talking()
    for n in range(2):
        call.on(ev.IdleTimeout(f"idle{n}"))
        call.on(ev.InputCommitted(f"idle{n}", None))
        call.says("Hello?", 500, server=True)
        call.played()
        assert call.phase is Phase.TALKING
    call.on(ev.IdleTimeout("idle9"))
    call.says("Hello?", 500, server=True)
    assert call.phase is Phase.CLOSING
    assert purposes(call) == ["goodbye"]
    assert not [i for i in call.turns() if i.startswith("idle")]


def test_the_agent_is_told_to_come_to_an_end_and_then_it_ends() -> None:
    call = Call(Limits(max_duration_s=60, wrap_up_s=20, silence_reprompt_s=600, no_media_s=600)).talking()
    call.wait(40.0)
    assert any("20 seconds" in c.text for c in call.sent(cmd.InsertText))
    call.says("We are almost done.", 500)
    call.played()
    call.wait(20.0)
    assert [c.clip for c in call.sent(cmd.PlayClip)] == ["goodbye"]
    call.speaks()  # nothing calls this off
    call.wait(4.1)
    assert [c.reason for c in call.sent(cmd.HangUp)] == ["max-duration"]


@pytest.mark.parametrize("state", ["opening", "talking", "speaking", "closing", "failing", "reconnecting"])
def test_no_call_outlives_its_duration(state: str) -> None:
    """Even if the carrier never sends `stop` (promises B9: by no more than 5 s, plus the wait for it)."""
    limits = Limits(max_duration_s=30, wrap_up_s=5, hangup_wait_s=1.0, last_transcript_s=1.0, no_media_s=600)
    call = Call(limits).start()
    if state != "opening":
        call.on(ev.ModelReady("s", attempt=1))
        call.wait(29.5)
    match state:
        case "speaking":
            call.says("On and on.", 60_000)
        case "closing":
            call.on(ev.OperatorTransfer({}))
        case "failing":
            call.on(ev.ModelLost("x", retryable=False, attempt=1))
        case "reconnecting":
            call.on(ev.ModelLost("x", retryable=True, attempt=1))
    call.wait(130.0 + 30 + 5 - call.now)
    assert any(isinstance(c, cmd.HangUp | cmd.TransferCall) for c in call.log)
    call.wait(3.0)
    assert isinstance(call.log[-1], cmd.Finish)
    assert call.session.next_deadline() is None


def test_a_stream_without_frames_is_dead() -> None:
    call = Call(Limits(no_media_s=15)).talking()
    call.frame(10)
    call.wait(14.9)
    assert not call.sent(cmd.HangUp)
    call.wait(0.2)
    assert [c.reason for c in call.sent(cmd.HangUp)] == ["media-lost"]


def test_caller_audio_faster_than_time_is_dropped() -> None:
    call = Call().talking()
    for _ in range(2000):  # 40 s of audio at once
        call.on(ev.CallerAudio(FRAME, 20))
    assert 500 <= len(call.sent(cmd.AppendAudio)) <= 600
    assert call.counters["caller_flood"] == 2000 - len(call.sent(cmd.AppendAudio))


def test_agent_audio_beyond_the_backlog_is_dropped() -> None:
    call = Call(Limits(max_backlog_ms=10_000)).talking()
    call.created()
    for _ in range(100):
        call.audio(1000, item="endless")
    assert len(call.sent(cmd.PlayAudio)) <= 14
    assert call.counters["backlog_dropped"]


def test_unknown_and_bad_events_are_counted_and_ignored_in_every_phase() -> None:
    call = Call()
    events = (
        ev.UnknownEvent("model", "response.new_thing"),
        ev.UnknownEvent("carrier", "cheer"),
        ev.BadMessage("model", "json"),
        ev.BadMessage("carrier", "shape"),
    )
    steps = (lambda: None, call.start, call.talking, lambda: call.on(ev.OperatorHangUp()))
    for step in steps:
        step()
        for event in events:
            assert call.on(event) == []
    assert call.counters["unknown_model"] == call.counters["bad_carrier"] == 4


def test_an_event_that_a_phase_does_not_know_changes_nothing() -> None:
    call = Call().start()
    before = call.session.next_deadline()
    assert call.on(ev.AudioDelta("r", "i", 0, "AAAA", 20)) == []
    assert call.phase is Phase.OPENING
    assert call.session.next_deadline() == before
    assert call.counters["unexpected_AudioDelta"] == 1


USAGE = {
    "input_token_details": {
        "text_tokens": 1000,
        "audio_tokens": 2000,
        "cached_tokens_details": {"text_tokens": 400, "audio_tokens": 500},
    },
    "output_token_details": {"text_tokens": 100, "audio_tokens": 300},
}
PRICES = Prices(
    text_in=4_000, text_cached=400, text_out=24_000, audio_in=32_000, audio_cached=400, audio_out=64_000
)


def test_cached_tokens_are_a_part_of_the_input_and_of_nothing_else() -> None:
    # 600 x 4 + 400 x 0.4 + 1500 x 32 + 500 x 0.4 + 100 x 24 + 300 x 64 microdollars
    assert cost_microusd(USAGE, PRICES) == 2400 + 160 + 48_000 + 200 + 2400 + 19_200


@pytest.mark.parametrize(
    "usage", [{}, {"input_token_details": None}, {"output_token_details": {"audio_tokens": -5}}]
)
def test_missing_members_of_the_usage_cost_nothing(usage: dict[str, object]) -> None:
    assert cost_microusd(usage, PRICES) == 0


def test_canceled_responses_cost_and_the_bound_ends_the_call_politely() -> None:
    call = Call(Limits(prices=PRICES, max_spend_microusd=100_000)).talking()
    call.turn("Hi.")
    call.created(server=True)
    call.done("cancelled", usage=USAGE)
    assert call.session.spend_microusd == 72_360
    call.turn("Hi.")
    call.created(server=True)
    call.done(usage=USAGE)
    assert call.phase is Phase.CLOSING
    assert purposes(call) == ["goodbye"]
    call.says("Goodbye.", 500)
    call.played()
    assert [c.reason for c in call.sent(cmd.HangUp)] == ["max-duration"]
