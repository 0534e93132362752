"""What an outbound call says of its own accord, over real sockets: the opening, machines, screening, stop."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.flows.world import V, World
from voice.rehearsal import scenarios

_NUMBERS = {
    name: World.number(last)  # where it is day, which the scenario's own number is not always
    for name, last in (
        ("voicemail-message", "0111"),
        ("fax", "0112"),
        ("screening", "0113"),
        ("opening-barge-in", "0114"),
        ("stop-word", "0115"),
    )
}
_SCENARIOS = Path(scenarios.__file__).parent
_MAKE = """
import json
from django.db import transaction
from tenex.workspaces.models import Workspace
from voice.models import Batch
from voice.services import batches
with transaction.atomic():
    space = Workspace.objects.get()
    Workspace.objects.filter(pk=space.pk).update(legal_name="Northwind Robotics Inc.")
    made = batches.create(space, objective="Qualify them", lead_ids={ids})
    Batch.objects.filter(pk=made.batch.pk).update(
        voicemail_policy="leave_message", voicemail_message="We have news about your robots."
    )
print(json.dumps(str(made.batch.pk)))
"""


@pytest.fixture(scope="module")
def calls(world: World) -> dict[str, dict[str, Any]]:
    """One batch that leaves messages, to all of them at once; the finished calls by scenario."""
    for name, number in _NUMBERS.items():
        scenario = yaml.safe_load((_SCENARIOS / f"{name}.yaml").read_text(encoding="utf-8"))
        scenario["call"]["to"] = number
        world.answers(number, scenario)
    leads = {name: world.new_lead(number) for name, number in _NUMBERS.items()}
    code = _MAKE.format(ids=list(leads.values()))
    batch = world.system.manage("shell", "--no-imports", "-c", code).splitlines()[-1].strip('"')
    world.completed(batch, timeout_s=150)
    made = {call["lead_id"]: call for call in world.calls(batch_id=batch)}
    return {name: world.finished(made[lead]["id"]) for name, lead in leads.items()}


def _said(world: World, call: dict[str, Any], speaker: str = "agent") -> str:
    return " ".join(item["text"] for item in world.transcript(call["id"]) if item["speaker"] == speaker)


def test_the_first_sound_of_a_call_is_its_opening(calls: dict[str, dict[str, Any]]) -> None:
    """Not the model's first word, which comes after it: by that every call would count as abandoned."""
    for name in ("opening-barge-in", "stop-word"):
        assert calls[name]["latency"]["first_audio_ms"] < 1200, name


def test_a_machine_gets_its_message_after_the_beep(world: World, calls: dict[str, dict[str, Any]]) -> None:
    call = calls["voicemail-message"]
    assert call["outcome"] == "voicemail"
    said = _said(world, call)
    assert "automated message from Northwind Robotics Inc" in said
    assert "We have news about your robots." in said
    assert "call this number back and say stop" in said
    assert "machine" in call["end_reason"]


def test_a_fax_is_hung_up_on(calls: dict[str, dict[str, Any]]) -> None:
    assert (calls["fax"]["outcome"], calls["fax"]["end_reason"]) == ("failed", "fax")


def test_a_screening_service_is_answered_and_the_person_hears_the_opening(
    world: World, calls: dict[str, dict[str, Any]]
) -> None:
    items = world.transcript(calls["screening"]["id"])
    texts = [(item["speaker"], item["text"]) for item in items]
    answered = next(n for n, (_, text) in enumerate(texts) if "with an AI assistant. This is a sales" in text)
    person = next(n for n, (who, text) in enumerate(texts) if who == "caller" and "Elena" in text)
    opened = max(n for n, (_, text) in enumerate(texts) if "say stop or press 9" in text)
    agent = next(n for n, (_, text) in enumerate(texts) if "My name is Ava" in text)
    assert answered < person < agent, [text[:40] for _, text in texts]
    assert answered < opened < agent, [text[:40] for _, text in texts]


def test_who_talks_over_the_opening_hears_all_of_it_before_the_agent(
    world: World, calls: dict[str, dict[str, Any]]
) -> None:
    items = world.transcript(calls["opening-barge-in"]["id"])
    agent = [item for item in items if item["speaker"] == "agent"]
    first = next((n for n, item in enumerate(agent) if "My name is Ava" in item["text"]), None)
    assert first is not None, (calls["opening-barge-in"], items)
    heard = " ".join(item["heard_text"] if "heard_text" in item else item["text"] for item in agent[:first])
    for words in (
        "this is Northwind Robotics Inc",
        "I am an AI assistant: say stop or press 9",
        "This is a sales call.",
        "This call is recorded",
    ):
        assert words in heard


def test_one_word_ends_it_whatever_the_model_does(world: World, calls: dict[str, dict[str, Any]]) -> None:
    call = calls["stop-word"]
    assert (call["outcome"], call["end_reason"]) == ("opted-out", "opted-out")
    assert world.lead(_NUMBERS["stop-word"])["opted_out_at"]
    heard = [item["heard_text"] for item in world.transcript(call["id"]) if item["speaker"] == "agent"]
    assert "the best that there are" not in " ".join(heard)


def test_the_recording_begins_after_the_notice(world: World, calls: dict[str, dict[str, Any]]) -> None:
    call = calls["stop-word"]
    made = world.carrier("GET", f"calls?number=%2B{_NUMBERS['stop-word'][1:]}")["calls"][-1]
    recording = world.api.get(f"{V}/calls/{call['id']}/recording")
    assert recording["duration_ms"] < made["duration_s"] * 1000 - 5000  # the opening is not in it
