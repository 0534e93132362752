"""The grammar of scenarios: what is read, what is refused and how, templates."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from voice.rehearsal import scenario
from voice.rehearsal.expectations import AppFacts, check
from voice.rehearsal.scenario import AgentStep, CallerStep, Say, ScenarioError, UseTool, fill, fill_text


def test_short_and_long_forms_mean_the_same() -> None:
    read = scenario.parse(
        """
name: forms
script:
  - agent: "Hello."
  - agent: {say: "Hello."}
  - agent: [{say: "Hello."}]
  - agent: ["Hello."]
  - caller: "Hi."
  - caller: {say: "Hi."}
"""
    )
    assert [step.agent for step in read.script if isinstance(step, AgentStep)] == [(Say(say="Hello."),)] * 4
    callers = [step for step in read.script if isinstance(step, CallerStep)]
    assert callers[0] == callers[1]
    assert list(read.lines("caller")) == ["Hi.", "Hi."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: x\nscript:\n  - caller: {say: hi, hangup: true}\n",
            "s.yaml:3: script.0.caller: a caller step is",
        ),
        ("name: x\nscript:\n  - agent:\n      - sey: hi\n", "s.yaml:4: script.0.agent.0: the agent can: say"),
        ("name: x\nscript:\n  - bot: hi\n", "s.yaml:3: script.0: a step is `agent: …` or `caller: …`"),
        ("name: x\ncall:\n  answer: maybe\n", "s.yaml:3: call.answer: Input should be 'person'"),
        (
            "name: x\nscript:\n  - caller: {dtmf: abc}\n",
            "s.yaml:3: script.0.caller.dtmf: String should match",
        ),
        (
            "name: x\nexpect:\n  - {tool: a, outcome: b}\n",
            "s.yaml:3: expect.0: an expectation is exactly one",
        ),
        ("name: x\ncolour: red\n", "s.yaml:2: colour: Extra inputs are not permitted"),
        ("name: x\nscript: [\n", "s.yaml:3: "),
        ("- a\n", "s.yaml:1: a scenario is a mapping"),
    ],
)
def test_mistakes_are_named_with_line_and_key(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario.parse(text, source="s.yaml")
    assert message in caught.value.detail
    assert len(caught.value.detail.splitlines()) == 1


def test_packaged_ones_are_found_by_name_and_others_by_path(tmp_path: Path) -> None:
    assert {"inbound-qualified", "outbound-opt-out", "model-drop"} <= set(scenario.names())
    for name in scenario.names():
        assert scenario.load(name).name == name
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\n")
    assert scenario.load(path).name == "mine"
    with pytest.raises(ScenarioError, match="there are: barge-in"):
        scenario.load("nonsense")
    with pytest.raises(ScenarioError, match="cannot be read"):
        scenario.load(tmp_path / "none.yaml")


def test_templates_keep_types_and_fill_text() -> None:
    context: dict[str, scenario.Json] = {"last": {"slots": [{"id": 7, "spoken": "Monday"}]}, "tools": {}}
    args: scenario.Json = {"a": ["{{ last.slots.0.id }}"], "b": "on {{last.slots.0.spoken}}!", "c": 1}
    assert fill(args, context) == {"a": [7], "b": "on Monday!", "c": 1}
    assert fill_text("{{ last.slots.0.id }}", context) == "7"
    with pytest.raises(ScenarioError, match="there is no '1'"):
        fill("{{ last.slots.1.id }}", context)


def test_templates_know_the_time() -> None:
    later = fill("{{ now+2d }}", {})
    assert isinstance(later, str)
    off = datetime.fromisoformat(later) - datetime.now(UTC) - timedelta(days=2)
    assert abs(off) < timedelta(seconds=5)


def test_expectations() -> None:
    item = scenario.parse(
        """
name: x
script: [{agent: [{tool: t}]}]
expect:
  - {tool: t, within_ms: 500}
  - {tool: t, within_ms: 300}
  - {tool: other, absent: true}
  - {text_contains: "GOOD morning"}
  - {status: busy}
  - {outcome: qualified}
  - {event: call.ended}
  - {verdict: unqualified, absent: true}
"""
    )
    assert isinstance(item.script[0], AgentStep)
    assert isinstance(item.script[0].agent[0], UseTool)
    truth = {
        "tool_at_ms": {"t": 400}, "status": "completed", "caller_lines": ["Good morning!"], "agent_lines": [],
    }  # fmt: skip
    blind = [checked.met for checked in check(item, truth, None)]
    assert blind == [True, False, True, True, False, None, None, None]
    seen = check(item, truth, AppFacts("qualified", "qualified", ["call.ended"]))
    assert [checked.met for checked in seen[5:]] == [True, True, True]
    assert [checked.text for checked in seen[:3]] == [
        "tool: t within 500 ms", "tool: t within 300 ms", "no tool: other",
    ]  # fmt: skip
