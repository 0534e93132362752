"""Agents: templates are checked, versions compared, copies made, and nobody in use is archived."""

from typing import Any

import pytest

from tests.api.world import Tenant, live_call
from voice.models import Agent
from voice.services import live, templates

A = "/api/v1/voice/agents"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Hello {{lead.frist_name}}", "unknown_variable"),
        ("Hello {{plan}}", "unknown_variable"),
        ("Hello {{lead.custom}}", "unknown_variable"),
        ("Hello {{variables.}}", "unknown_variable"),
        ("Hello {{lead first name}}", "template"),
        ("Hello {{}}", "template"),
        ("Hello {{lead.first_name", "template"),
        ("Hello {{ lead.first_name }} of {{lead.custom.plan}}, {{variables.offer}}", None),
    ],
)
def test_a_variable_that_nothing_fills_is_refused(alice: Tenant, text: str, kind: str | None) -> None:
    for body in ({"system_prompt": text}, {"objective": text}):
        answer = alice.api.patch(f"{A}/{alice.agent.id}", body)
        if kind is None:
            assert answer.status_code == 200, answer.content
        else:
            assert answer.status_code == 422
            error = answer.json()["detail"][0]
            assert (error["loc"], error["type"]) == (["body", next(iter(body))], kind)


def test_every_variable_that_is_listed_is_filled_in_a_call(alice: Tenant) -> None:
    names = [one["name"].replace("<key>", "plan") for one in alice.api.get(f"{A}/variables").json()["items"]]
    assert all(map(templates.known, names))
    prompt = "\n".join(f"{name}=[{{{{{name}}}}}]" for name in names)
    shown = alice.api.patch(f"{A}/{alice.agent.id}", {"system_prompt": prompt}).json()
    assert shown["variables"] == names
    alice.lead.custom, alice.lead.title, alice.lead.email = (
        {"plan": "pro", "first_name": "X"},
        "CEO",
        "m@x.example",
    )
    alice.lead.time_zone = "Europe/Berlin"
    alice.lead.company = alice.workspace.companies.create(name="Acme")
    alice.lead.save()
    alice.agent.refresh_from_db()
    call = live_call(alice.workspace, alice.agent, alice.number, alice.lead)
    call.variables = {"plan": "spring"}
    call.save()
    context = live.open_stream(live.issue_token(call), call.provider_sid or "", "MZ1", "test")
    filled = dict(line.split("=", 1) for line in context.instructions.splitlines() if "=[" in line)
    assert set(filled) == set(names)
    assert [name for name, value in filled.items() if value == "[]"] == []
    assert filled["lead.custom.plan"] == "[pro]"
    assert filled["variables.plan"] == "[spring]"
    assert filled["lead.first_name"] == "[Maria]", "a custom field does not shadow a field"


def test_two_versions_are_compared(alice: Tenant) -> None:
    path = f"{A}/{alice.agent.id}"
    alice.api.patch(path, {"system_prompt": "You qualify leads.\nBe brief.", "tools": ["end_call"]})
    told = alice.api.get(f"{path}/versions/2/diff").json()
    assert (told["from"], told["to"]) == (1, 2)
    assert [one["field"] for one in told["changes"]] == ["system_prompt", "tools"]
    assert told["changes"][1]["after"] == ["end_call"]
    assert told["prompt_diff"].splitlines() == [
        "--- v1", "+++ v2", "@@ -1 +1,2 @@", " You qualify leads.", "+Be brief.",
    ]  # fmt: skip
    back = alice.api.get(f"{path}/versions/1/diff?against=2").json()
    assert "-Be brief." in back["prompt_diff"]
    assert alice.api.get(f"{path}/versions/1/diff").json()["changes"] == []
    for wrong in ("0", "x", "99999999999", "7"):
        answer = alice.api.get(f"{path}/versions/2/diff?against={wrong}")
        assert answer.json()["detail"][0]["loc"] == ["query", "against"], wrong
    assert alice.api.get(f"{path}/versions/9/diff").status_code == 404


def test_a_copy_says_the_same_and_answers_nothing(alice: Tenant) -> None:
    path = f"{A}/{alice.agent.id}/duplicate"
    first = alice.api.post(path, {}, Idempotency_Key="k")
    assert alice.api.post(path, {}, Idempotency_Key="k").json() == first.json()
    copy = first.json()
    assert (copy["name"], copy["slug"], copy["version"]) == ("Copy of Ava", "copy-of-ava", 1)
    same = ("system_prompt", "objective", "criteria", "tools", "profile_id", "calendar_id")
    original = alice.api.get(f"{A}/{alice.agent.id}").json()
    assert {name: copy[name] for name in same} == {name: original[name] for name in same}
    assert alice.api.post(path, {}).json()["slug"] == "copy-of-ava-2"
    taken = alice.api.post(path, {"slug": "ava"})
    assert (taken.status_code, taken.json()["code"]) == (409, "slug_taken")
    assert not Agent.objects.get(pk=copy["id"]).numbers.exists()


def test_a_default_agent_takes_batches_that_name_none(alice: Tenant) -> None:
    other = alice.api.post(A, {"name": "Ben", "system_prompt": "Hi"}).json()
    body = {"lead_ids": [str(alice.lead.id)], "objective": "Book"}
    assert alice.api.post("/api/v1/voice/batches", body).json()["detail"][0]["loc"] == ["body", "agent_id"]
    assert alice.api.patch(f"{A}/{alice.agent.id}", {"is_default": True}).json()["is_default"]
    assert alice.api.post("/api/v1/voice/batches", body).json()["agent_id"] == str(alice.agent.id)
    alice.api.patch(f"{A}/{other['id']}", {"is_default": True})
    assert Agent.objects.filter(is_default=True).get().name == "Ben"


def test_an_agent_that_runs_is_not_archived(alice: Tenant) -> None:
    alice.api.patch(f"/api/v1/voice/numbers/{alice.number.id}", {"agent_id": None})
    alice.api.post(f"/api/v1/voice/batches/{alice.batch.id}/cancel")
    live_call(alice.workspace, alice.agent, alice.number)
    answer: Any = alice.api.delete(f"{A}/{alice.agent.id}")
    assert (answer.status_code, answer.json()["code"], answer.json()["calls"]) == (409, "agent_in_use", 1)


def test_agents_are_searched(alice: Tenant) -> None:
    alice.api.post(A, {"name": "Ben", "slug": "second", "system_prompt": "Hi"})
    found = alice.api.get(f"{A}?q=SECO").json()["items"]
    assert [one["name"] for one in found] == ["Ben"]
    assert alice.api.get(f"{A}?profile_id={alice.profile.id}&archived=false").json()["items"]
    assert alice.api.get(f"{A}?archived=perhaps").status_code in (200, 422)
