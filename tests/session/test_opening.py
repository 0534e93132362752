"""Rule 4, pitfalls 10-13: nothing before `session.updated`, one condition for the greeting."""

import pytest

from tests.session.dsl import FRAME, Call
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.limits import Limits
from voice.session.phases import Phase

READY = ev.ModelReady("sess_1", attempt=1)


def outbound(**limits: float) -> Call:
    return Call(Limits(**limits), direction="outbound", amd_expected=True).start()  # type: ignore[arg-type]


def test_the_model_is_opened_when_the_stream_starts() -> None:
    call = Call().start()
    assert [c.attempt for c in call.now_sent(cmd.OpenModel)] == [1]
    assert not call.sent(cmd.CreateResponse)


def test_caller_audio_waits_for_the_session_bounded_and_in_order() -> None:
    call = Call(Limits(early_audio_ms=100)).start()
    for n in range(20):
        call.wait(0.02)
        assert call.on(ev.CallerAudio(f"frame{n}", 20)) == []
    call.on(READY)
    assert [c.payload for c in call.now_sent(cmd.AppendAudio)] == [f"frame{n}" for n in range(15, 20)]
    assert call.on(ev.CallerAudio(FRAME, 20)) == [cmd.AppendAudio(FRAME)]


def test_inbound_greets_at_once_and_once() -> None:
    call = Call(greeting="Hello, this is Ava.").talking(quiet=False)
    assert "Hello, this is Ava." in call.sent(cmd.InsertText)[0].text
    assert [c.purpose for c in call.sent(cmd.CreateResponse)] == ["greeting"]
    call.on(ev.ModelReady("again", attempt=1))
    assert len(call.sent(cmd.CreateResponse)) == 1


def test_the_agent_may_wait_for_the_caller() -> None:
    call = Call(Limits(greeting_first=False)).talking(quiet=False)
    assert call.phase is Phase.TALKING
    assert not call.sent(cmd.CreateResponse)


def test_outbound_waits_for_the_verdict_and_the_model_hears_nothing_before() -> None:
    call = outbound()
    call.on(READY)
    call.frame(5)
    assert not call.sent(cmd.AppendAudio)
    assert not call.sent(cmd.CreateResponse)
    call.on(ev.AnsweredBy("human"))
    assert len(call.now_sent(cmd.AppendAudio)) == 5
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["greeting"]


@pytest.mark.parametrize("order", [("model", "person"), ("person", "model")])
def test_either_may_come_first(order: tuple[str, str]) -> None:
    call = outbound()
    for what in order:
        assert not call.sent(cmd.CreateResponse)
        call.on(READY if what == "model" else ev.AnsweredBy("unknown"))
    assert [c.purpose for c in call.sent(cmd.CreateResponse)] == ["greeting"]


def test_without_a_verdict_in_time_a_person_is_assumed() -> None:
    call = outbound(answer_wait_s=3.0)
    call.on(READY)
    call.wait(2.9)
    assert not call.sent(cmd.CreateResponse)
    call.wait(0.2)
    assert call.sent(cmd.CreateResponse)
    assert call.journal("call.answered_by") == [{"answered_by": "assumed", "took_ms": None}]


def test_the_verdict_may_come_before_the_stream() -> None:
    call = Call(direction="outbound", amd_expected=True)
    call.on(ev.AnsweredBy("human"))
    call.start()
    call.on(READY)
    assert call.sent(cmd.CreateResponse)


@pytest.mark.parametrize(
    ("value", "reason"),
    [("machine_start", "machine"), ("machine_end_beep", "machine"), ("fax", "fax")],
)
def test_a_machine_is_hung_up_on_without_a_word(value: str, reason: str) -> None:
    call = outbound()
    call.on(READY)
    call.on(ev.AnsweredBy(value))
    assert [c.reason for c in call.now_sent(cmd.HangUp)] == [reason]
    assert not call.sent(cmd.PlayAudio)
    assert not call.sent(cmd.CreateResponse)
    call.hangs_up()
    assert [c.reason for c in call.sent(cmd.Finish)] == [reason]


def test_a_late_machine_verdict_ends_the_call_too() -> None:
    call = outbound()
    call.on(READY)
    call.wait(4.0)
    call.says("Hello, this is Ava.", 3000)
    call.on(ev.AnsweredBy("machine_end_silence"))
    assert call.now_sent(cmd.ClearPlayback)
    assert [c.reason for c in call.now_sent(cmd.HangUp)] == ["machine"]


def test_a_machine_before_the_stream_never_opens_a_model() -> None:
    call = Call(direction="outbound", amd_expected=True)
    call.on(ev.AnsweredBy("machine_start"))
    call.start()
    assert not call.sent(cmd.OpenModel)
    assert call.sent(cmd.HangUp)


def test_a_rejected_configuration_fails_the_start() -> None:
    call = Call().start()
    call.on(ev.ModelError("unknown_parameter", "", param="session.x", client_event_id="cfg"))
    assert [c.clip for c in call.now_sent(cmd.PlayClip)] == ["apology"]
    assert not call.sent(cmd.CreateResponse)
    assert len(call.sent(cmd.OpenModel)) == 1
    call.mark()
    assert [c.reason for c in call.now_sent(cmd.HangUp)] == ["model-unavailable"]


def test_a_session_that_never_answers_fails_the_start_in_time() -> None:
    call = Call(Limits(model_ready_s=5.0)).start()
    call.wait(4.9)
    assert not call.sent(cmd.PlayClip)
    call.wait(0.2)
    assert [c.clip for c in call.sent(cmd.PlayClip)] == ["apology"]


def test_a_resumed_call_is_not_greeted() -> None:
    call = Call(history=[("agent", "Hello."), ("caller", "Hi.")]).talking(quiet=False)
    assert call.sent(cmd.OpenModel)[0].history == [("agent", "Hello."), ("caller", "Hi.")]
    assert [c.purpose for c in call.sent(cmd.CreateResponse)] == ["resume"]


def test_the_caller_who_speaks_first_is_answered_not_greeted_on_top() -> None:
    call = Call().talking(quiet=False)
    asked = call.sent(cmd.CreateResponse)[0]
    call.created(server=True, response="answer")
    call.on(ev.ModelError("conversation_already_has_active_response", "", client_event_id=asked.event_id))
    call.audio(500, item="a")
    call.done()
    call.played()
    assert len(call.sent(cmd.CreateResponse)) == 1


def test_first_audio_is_measured_from_the_moment_at_which_speaking_was_allowed() -> None:
    call = Call().talking(quiet=False)
    call.wait(0.2)
    call.created()
    call.audio(200, item="a")
    assert call.journal("call.first_audio") == [{"ms": 200}]


def test_before_the_stream_there_is_nothing_to_end() -> None:
    call = Call()
    assert call.session.next_deadline() is None
    call.on(ev.CallerAudio(FRAME, 20))
    assert call.counters["unexpected_CallerAudio"] == 1
    call.hangs_up(clean=False)
    assert [c.reason for c in call.sent(cmd.Finish)] == ["media-lost"]
