"""Rule 3 and pitfall 14: one owner of `response.create`."""

from tests.session.dsl import Call
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.limits import Limits

COLLISION = "conversation_already_has_active_response"


def test_nothing_is_asked_for_while_a_response_is_active() -> None:
    call = Call().talking()
    call.turn("Hi.")
    call.created(server=True)
    call.on(ev.OperatorSay("We close at six."))
    call.on(ev.OperatorWhisper("Mention the offer."))
    assert len(call.sent(cmd.CreateResponse)) == 1  # the greeting
    call.done()
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["say"]
    call.created()
    assert call.done()
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["whisper"]


def test_a_collision_is_asked_again_after_the_active_response() -> None:
    call = Call().talking()
    call.on(ev.OperatorSay("We close at six."))
    asked = call.now_sent(cmd.CreateResponse)[0]
    call.created(server=True, response="servers_own")
    call.on(ev.ModelError(COLLISION, "", client_event_id=asked.event_id))
    assert not call.now_sent(cmd.CreateResponse)
    call.response = "servers_own"
    call.done()
    again = call.now_sent(cmd.CreateResponse)
    assert [c.purpose for c in again] == ["say"]
    assert again[0].event_id != asked.event_id


def test_a_collision_before_the_other_response_is_known_is_asked_again_a_little_later() -> None:
    call = Call().talking()
    call.on(ev.OperatorSay("We close at six."))
    call.on(ev.ModelError(COLLISION, "", client_event_id=call.now_sent(cmd.CreateResponse)[0].event_id))
    assert not call.now_sent(cmd.CreateResponse)
    call.wait(1.1)
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["say"]


def test_a_request_that_is_always_refused_is_dropped_in_the_end() -> None:
    call = Call().talking()
    call.on(ev.OperatorSay("We close at six."))
    for _ in range(5):
        asked = call.sent(cmd.CreateResponse)[-1]
        call.on(ev.ModelError(COLLISION, "", client_event_id=asked.event_id))
        call.wait(1.1)
    assert len([c for c in call.sent(cmd.CreateResponse) if c.purpose == "say"]) == 3
    assert call.counters["intent_dropped"] == 1


def test_a_response_of_the_server_answers_what_was_waiting() -> None:
    call = Call().talking()
    call.speaks()
    call.on(ev.OperatorWhisper("Mention the offer."))
    assert [c.text for c in call.now_sent(cmd.InsertText)]  # told at once
    call.stops()
    call.says("With the offer.", server=True)
    call.played()
    assert [c.purpose for c in call.sent(cmd.CreateResponse)] == ["greeting"]


def test_our_response_that_began_as_the_caller_did_is_canceled_and_asked_again() -> None:
    call = Call().talking()
    call.on(ev.OperatorSay("We close at six."))
    call.speaks()
    call.created()
    assert [c.response_id for c in call.now_sent(cmd.CancelResponse)] == [call.response]
    assert call.audio(200, item="over_the_caller") == []
    call.done("cancelled")
    call.stops()
    call.says("Yes?", server=True)
    assert [c.purpose for c in call.sent(cmd.CreateResponse)] == ["greeting", "say", "say"]


def test_our_response_that_begins_after_we_gave_it_up_does_not_speak_over_the_caller() -> None:
    call = Call(Limits(stall_lost_s=60)).talking()
    call.on(ev.OperatorSay("We close at six."))
    asked = call.now_sent(cmd.CreateResponse)[0]
    call.speaks()
    call.wait(5.5)
    assert call.counters["response_not_created"] == 1
    call.on(ev.ResponseCreated("late", {"event_id": asked.event_id}))
    assert [c.response_id for c in call.now_sent(cmd.CancelResponse)] == ["late"]
    call.on(ev.ResponseDone("late", "failed"))
    assert not call.now_sent(cmd.CreateResponse)


def test_while_the_server_is_about_to_answer_nothing_is_asked() -> None:
    call = Call().talking()
    call.speaks()
    call.stops()
    call.on(ev.OperatorSay("We close at six."))
    assert not call.now_sent(cmd.CreateResponse)
    call.wait(2.1)  # it did not answer
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["say"]


def test_without_metadata_the_first_response_after_asking_is_ours() -> None:
    call = Call().talking()
    call.on(ev.OperatorSay("We close at six."))
    call.on(ev.ResponseCreated("resp_x"))
    call.wait(5.0)
    assert call.counters["response_not_created"] == 0


def test_a_create_that_nothing_follows_is_sent_once_more() -> None:
    call = Call(Limits(stall_lost_s=60)).talking()
    call.on(ev.OperatorSay("We close at six."))
    call.wait(5.5)
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["say"]


def test_a_server_that_does_not_answer_by_itself_is_asked_to() -> None:
    call = Call(Limits(server_responds=False)).talking()
    call.speaks()
    assert not call.sent(cmd.CreateResponse)[1:]
    call.stops()
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["answer"]


def test_a_failed_response_is_asked_for_again_and_given_up_the_third_time() -> None:
    call = Call().talking()
    call.turn("Hi.")
    call.created(server=True)
    call.done("failed", error_code="server_error")
    assert [c.purpose for c in call.now_sent(cmd.CreateResponse)] == ["resume"]
    for _ in range(2):
        call.created()
        call.done("failed", error_code="server_error")
    assert [c.clip for c in call.now_sent(cmd.PlayClip)] == ["apology"]


def test_the_queue_is_bounded() -> None:
    call = Call().talking()
    call.speaks()
    for n in range(100):
        call.on(ev.OperatorSay(str(n)))
    assert call.counters["intent_dropped"] == 84
