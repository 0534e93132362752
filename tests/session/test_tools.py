"""Rule 5, pitfalls 15-19 and 21: each call runs once, is answered once, and in time."""

import json
from collections.abc import Sequence

from tests.session.dsl import Call
from voice.session import commands as cmd
from voice.session import events as ev
from voice.session.limits import Limits


def asking(limits: Limits | None = None) -> Call:
    """The caller wants something that needs a tool; the model's response to it is under way."""
    call = Call(limits).talking()
    call.turn("When are you free?")
    call.created(server=True)
    return call


def purposes(call: Call) -> Sequence[str]:
    return [c.purpose for c in call.sent(cmd.CreateResponse)][1:]


def test_a_call_runs_at_once_with_its_deadline() -> None:
    call = asking(Limits(tool_deadline_s=6.0))
    call_id = call.calls_tool("list_free_slots", args='{"days":5}')
    run = call.now_sent(cmd.RunTool)[0]
    assert (run.call_id, run.name, run.arguments, run.deadline_s) == (
        call_id,
        "list_free_slots",
        '{"days":5}',
        6.0,
    )


def test_the_output_goes_out_at_once_and_the_response_when_both_are_over() -> None:
    call = asking()
    call_id = call.calls_tool()
    call.tool_done(call_id, '{"slots":[]}')
    assert [(c.call_id, c.output) for c in call.now_sent(cmd.SendToolOutput)] == [(call_id, '{"slots":[]}')]
    assert purposes(call) == []  # the calling response is still active
    call.done()
    assert purposes(call) == ["tool"]


def test_parallel_calls_are_answered_by_one_response() -> None:
    call = asking()
    first, second = call.calls_tool(), call.calls_tool()
    call.done()
    call.tool_done(second)
    assert purposes(call) == []
    call.tool_done(first)
    assert purposes(call) == ["tool"]


def test_the_same_call_is_never_run_twice() -> None:
    call = asking()
    call_id = call.calls_tool()
    call.calls_tool(call_id=call_id)
    again = ev.ToolCalled(call.response, "x", call_id, "lookup", "{}")
    call.done(tool_calls=[again])
    call.tool_done(call_id)
    call.calls_tool(call_id=call_id)
    assert len(call.sent(cmd.RunTool)) == len(call.sent(cmd.SendToolOutput)) == 1
    assert call.counters["tool_repeated"] == 2


def test_a_call_that_only_the_finished_response_names_runs() -> None:
    call = asking()
    call.done(tool_calls=[ev.ToolCalled(call.response, "fc", "call_x", "lookup", "{}")])
    assert [c.call_id for c in call.now_sent(cmd.RunTool)] == ["call_x"]
    call.tool_done("call_x")
    assert purposes(call) == ["tool"]


def test_calls_of_a_canceled_response_do_not_run_from_its_summary() -> None:
    call = asking()
    call.done("cancelled", tool_calls=[ev.ToolCalled(call.response, "fc", "call_x", "lookup", "{}")])
    assert not call.sent(cmd.RunTool)


def test_bad_arguments_are_the_runners_to_answer_never_an_error_here() -> None:
    call = asking()
    call.calls_tool(args='{"days": ')
    assert call.now_sent(cmd.RunTool)[0].arguments == '{"days": '


def test_the_deadline_answers_and_a_late_result_is_dropped_and_counted() -> None:
    call = asking(Limits(tool_deadline_s=2.0))
    call_id = call.calls_tool()
    call.done()
    call.wait(2.3)
    outputs = call.now_sent(cmd.SendToolOutput)
    assert json.loads(outputs[0].output)["error"]["code"] == "timeout"
    assert purposes(call) == ["tool"]
    assert call.tool_done(call_id)[0] == cmd.Journal("tool.late", {"call_id": call_id})
    assert len(call.sent(cmd.SendToolOutput)) == 1
    assert call.counters["tool_late"] == 1


def test_a_slow_tool_gets_one_spoken_filler_and_audio_goes_on() -> None:
    call = asking(Limits(tool_filler_s=1.5))
    call.calls_tool()
    call.done()
    call.wait(1.4)
    assert not call.sent(cmd.PlayClip)
    call.frame(10)
    assert len(call.sent(cmd.AppendAudio)) == 10
    assert [c.clip for c in call.sent(cmd.PlayClip)] == ["one_moment"]
    call.wait(4.0)
    assert len(call.sent(cmd.PlayClip)) == 1


def test_no_filler_while_the_agent_itself_still_speaks() -> None:
    call = asking()
    call.audio(3000, item="one_moment_please")
    call.calls_tool()
    call.done()
    call.wait(3.0)
    call.mark()
    assert not call.sent(cmd.PlayClip)
    call.wait(1.6)
    assert [c.clip for c in call.sent(cmd.PlayClip)] == ["one_moment"]


def test_interrupted_while_it_runs_the_output_is_sent_but_no_response_is_forced() -> None:
    call = asking()
    call_id = call.calls_tool()
    call.speaks()
    call.done("cancelled")
    call.tool_done(call_id)
    assert len(call.now_sent(cmd.SendToolOutput)) == 1
    assert purposes(call) == []
    call.wait(0.5)
    call.stops()
    call.says("About that.", server=True)
    call.played()
    assert purposes(call) == []  # the server's answer knew the output


def test_a_result_that_just_missed_the_servers_response_is_spoken_about_afterwards() -> None:
    call = asking()
    call_id = call.calls_tool()
    call.done()
    call.speaks()
    call.stops()
    call.tool_done(call_id)
    call.wait(0.05)
    call.says("Well.", server=True)
    assert purposes(call) == ["tool"]


def test_after_too_many_calls_each_further_one_is_refused_and_a_flood_is_bounded() -> None:
    call = asking(Limits(tool_calls_per_call=2))
    for n in range(1000):
        call.calls_tool(call_id=f"c{n}")
    assert len(call.sent(cmd.RunTool)) == 2
    refused = call.sent(cmd.SendToolOutput)
    assert len(refused) == 200
    assert json.loads(refused[0].output)["error"]["code"] == "too_many_calls"


def test_a_large_output_is_clipped_to_valid_json_within_the_bound() -> None:
    call = asking(Limits(tool_output_bytes=500))
    call.tool_done(call.calls_tool(), '{"a":"' + 'ä"\\' * 100_000 + '"}')
    output = call.now_sent(cmd.SendToolOutput)[0].output
    assert len(output.encode()) <= 500
    assert json.loads(output)["truncated"] is True


def test_the_caller_hangs_up_while_a_tool_runs() -> None:
    call = asking()
    call_id = call.calls_tool("book_meeting")
    call.hangs_up()
    assert call.journal("tool.abandoned") == [{"call_id": call_id, "name": "book_meeting"}]
    assert call.sent(cmd.Finish)
    assert call.tool_done(call_id) == []


def test_a_result_after_a_reconnect_reaches_the_new_session_as_a_fact() -> None:
    call = asking()
    call_id = call.calls_tool("list_free_slots")
    call.on(ev.ModelLost("1006", retryable=True, attempt=1))
    call.tool_done(call_id, '{"slots":["nine"]}')
    call.on(ev.ModelReady("sess_2", attempt=2))
    assert not call.sent(cmd.SendToolOutput)
    facts = [c.text for c in call.now_sent(cmd.InsertText)]
    assert any("list_free_slots" in text and "nine" in text for text in facts)
    assert len(call.now_sent(cmd.CreateResponse)) == 1


def test_results_of_unknown_calls_are_counted() -> None:
    call = asking()
    call.tool_done("never_asked")
    assert call.counters["tool_late"] == 1
    assert not call.sent(cmd.SendToolOutput)
