"""People call us from a place where they have to be asked before they are recorded."""

from typing import Any

import httpx2
import pytest

from tests.flows.world import V, World

_FROM = {"yes": "+4930901820001", "no": "+4930901820002"}


def scenario(caller: str, answer: str) -> dict[str, Any]:
    return {
        "name": "asked",
        "call": {"direction": "inbound", "from": caller},
        "script": [
            {"caller": {"silence_s": 20}},  # they wait until they are spoken to
            {"caller": answer},
            {"agent": "Thank you. What can I do for you?"},
            {"caller": "Nothing, I only wanted to hear your voice. Goodbye."},
            {"agent": [{"tool": "end_call", "args": {"reason": "done"}}, {"say": "Goodbye."}]},
        ],
    }


def places(world: World, modes: dict[str, str]) -> None:
    answer = httpx2.patch(
        f"{world.system.base_url}{V}/settings",
        json={"recording_consent_places": modes},
        headers={"Authorization": f"Bearer {world.key}"},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def calls(world: World) -> dict[str, dict[str, Any]]:
    places(world, {"DE": "explicit"})
    try:
        made = {
            "yes": world.call_in(scenario(_FROM["yes"], "Yes, that is fine.")),
            "no": world.call_in(scenario(_FROM["no"], "No, I do not want that.")),
        }
        return {name: world.finished(call_id) for name, call_id in made.items()}
    finally:
        places(world, {})


def test_they_are_greeted_and_asked_before_the_agent_comes_on(
    world: World, calls: dict[str, dict[str, Any]]
) -> None:
    first, *rest = world.transcript(calls["yes"]["id"])
    assert first["speaker"] == "agent"
    assert "I am an AI assistant." in first["text"]
    assert "May we record this call?" in first["text"]
    told = [(one["speaker"], one["text"]) for one in rest]
    assert [speaker for speaker, _ in told][:2] == ["caller", "agent"], told


def test_a_yes_is_recorded_from_there_on(world: World, calls: dict[str, dict[str, Any]]) -> None:
    call = calls["yes"]
    recording = world.api.get(f"{V}/calls/{call['id']}/recording")
    assert recording["status"] == "stored"
    truth = world.carrier("GET", f"calls?number=%2B{_FROM['yes'][1:]}")["calls"][-1]
    assert recording["duration_ms"] < truth["duration_s"] * 1000 - 3000, "the question is not in it"


def test_a_no_is_not_recorded(world: World, calls: dict[str, dict[str, Any]]) -> None:
    url = f"{world.system.base_url}{V}/calls/{calls['no']['id']}/recording"
    answer = httpx2.get(url, headers={"Authorization": f"Bearer {world.key}"}, trust_env=False)
    assert answer.status_code == 404
    truth = world.carrier("GET", f"calls?number=%2B{_FROM['no'][1:]}")["calls"][-1]
    assert truth["recordings"] == []
