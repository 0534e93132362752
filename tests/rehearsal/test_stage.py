"""The stage: what the model double may do, when, and what the caller waits for."""

import asyncio

from tenex.lib.clock import Clock
from voice.rehearsal.model import steps
from voice.rehearsal.model.mind import ScriptedMind
from voice.rehearsal.model.steps import Cue
from voice.rehearsal.scenario import Say, Scenario, UseTool
from voice.rehearsal.stage import AgentCursor, Stage, StageCall

SCRIPT = [
    {"agent": "Hello."},
    {"caller": "Hi."},
    {"agent": [{"say": "Moment."}, {"tool": "look"}, {"say": "Found {{ last.name }}."}]},
    {"caller": {"dtmf": "1"}},
    {"agent": "Thanks."},
    {"caller": "Bye."},
    {"agent": "Goodbye."},
]


def enter(stage: Stage, remote: str = "+14155550101") -> StageCall:
    scenario = Scenario.model_validate({"name": "x", "script": SCRIPT})
    return stage.enter(remote=remote, local="+14155550100", direction="inbound", scenario=scenario)


def said(cursor: AgentCursor) -> str | None:
    action = cursor.take()
    return action.say if isinstance(action, Say) else None


async def test_the_agent_goes_through_its_part_and_waits_for_the_caller() -> None:
    call = enter(Stage())
    cursor = call.agent
    assert (said(cursor), cursor.take()) == ("Hello.", None)
    assert not cursor.done_before(3)
    line = call.begin_line(1, "Hi.", 300)
    assert cursor.take() is None  # it was not heard yet
    assert cursor.hear() == [line]
    assert cursor.hear() == []
    assert said(cursor) == "Moment."
    assert isinstance(cursor.take(), UseTool)
    assert cursor.open_tool == "look"
    cursor.tool_answered("look", {"name": "Maria"})
    assert not cursor.done_before(3)
    action = cursor.take()
    assert isinstance(action, Say)
    assert cursor.fill(action.say) == "Found Maria."
    assert cursor.done_before(3)
    cursor.begin_response()
    assert not cursor.done_before(3)
    cursor.end_response()
    assert cursor.done_before(3)


async def test_keys_are_passed_once_they_were_pressed() -> None:
    call = enter(Stage())
    call.begin_line(1, "Hi.", 300)
    call.agent.hear()
    for _ in range(3):
        call.agent.take()
    call.agent.tool_answered("look", {})
    assert call.agent.take() is None
    call.begin_step(3)
    assert said(call.agent) == "Thanks."


async def test_an_interrupted_part_is_skipped() -> None:
    call = enter(Stage())
    call.begin_line(1, "Hi.", 300)
    call.agent.hear()
    call.agent.take()
    call.begin_line(5, "Bye.", 300)
    call.agent.hear()
    assert said(call.agent) == "Goodbye."
    assert call.agent.over


async def test_a_session_finds_its_call_by_number_or_because_it_is_alone() -> None:
    stage = Stage()
    first = enter(stage)
    assert stage.claim("no number here") is first
    second, third = enter(stage, "+14155550102"), enter(stage, "+14155550103")
    assert stage.claim("no number here") is None
    assert stage.claim("Caller number: +14155550103.") is third
    assert stage.claim("no number here") is second
    assert stage.claim("Caller number: +14155550103.") is third  # a reconnect
    stage.leave(third)
    assert stage.find("Caller number: +14155550103.") is None
    assert list(stage) == [first, second]


async def test_leaving_ends_the_wait_for_a_line() -> None:
    stage = Stage()
    call = enter(stage)
    line = call.begin_line(1, "Hi.", 300)
    stage.leave(call)
    await asyncio.wait_for(line.finished.wait(), 1)


async def test_a_line_that_was_lost_before_the_session_was_there_is_not_waited_for() -> None:
    stage = Stage()
    script = [{"caller": "Hello?"}, {"agent": "My name is Ava."}]
    call = stage.enter(
        remote="+14155550101",
        local="+14155550100",
        direction="outbound",
        scenario=Scenario.model_validate({"name": "x", "script": script}),
    )
    mind = ScriptedMind(stage, Clock(100), {})
    mind.meet("You talk to +14155550101.")
    line = call.begin_line(0, "Hello?", 700)

    def greeting() -> object:
        return mind.answer(Cue(purpose="greeting")).next_step()

    assert greeting() != steps.Say("My name is Ava.")  # they are still talking
    call.end_line(line)
    assert greeting() != steps.Say("My name is Ava.")  # their last words may be on the way
    await asyncio.sleep(0.01)
    assert greeting() == steps.Say("My name is Ava.")
