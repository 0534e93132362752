"""The agents' pages: writing a draft, publishing it, going back; nobody overwrites anybody."""

import re
from typing import Any

import pytest
from django.test import Client

from tenex.workspaces.models import AuditEntry, Role, Workspace
from tests import rows
from tests.pages.test_access import person
from voice.models import Agent, AgentDraft, AgentVersion, Batch, BatchVersion, Call, Outcome, PhoneNumber
from voice.services import agents as write
from voice.services import templates, version_diff


@pytest.fixture
def space(db: None) -> Workspace:
    return rows.workspace()


@pytest.fixture
def agent(space: Workspace) -> Agent:
    return rows.version(space, system_prompt="You are Ava.\nBe brief.").agent


@pytest.fixture
def client(space: Workspace) -> Client:
    return person(Role.OPERATOR, space)


def token(client: Client, agent: Agent) -> str:
    """What the page's form holds."""
    text = client.get(f"/console/agents/{agent.pk}").content.decode()
    (found,) = re.findall(r'name="token" value="([^"]+)"', text)
    return str(found)


def text(agent: Agent, token: str, **fields: Any) -> dict[str, Any]:
    """The form as a browser sends it."""
    version = agent.current_version
    assert version is not None
    return {
        "token": token,
        "system_prompt": version.system_prompt.replace("\n", "\r\n"),
        "objective": version.objective,
        "criterion_name": [row["name"] for row in version.criteria],
        "criterion_description": [row["description"] for row in version.criteria],
        "tools": version.tools,
        **fields,
    }


def save(client: Client, agent: Agent, token: str, **fields: Any) -> Any:
    """As the script does while somebody types."""
    page = f"/console/agents/{agent.pk}"
    return client.post(page, text(agent, token, **fields), headers={"Accept": "application/json"})


def test_what_is_sent_back_unchanged_is_no_draft(client: Client, agent: Agent) -> None:
    answer = save(client, agent, token(client, agent))
    assert answer.status_code == 200
    assert answer.json()["is_draft"] is False
    assert not AgentDraft.objects.exists()


def test_a_draft_is_published_with_a_reason_and_calls_under_way_keep_their_version(
    client: Client, agent: Agent, space: Workspace
) -> None:
    first = agent.current_version
    live = rows.call(space, agent=first)
    saved = save(client, agent, token(client, agent), system_prompt="You are Ava.\r\nBe very brief.").json()
    assert saved["is_draft"] is True
    agent.refresh_from_db()
    assert agent.current_version == first, "a draft is said by nobody"
    page = f"/console/agents/{agent.pk}/publish"
    shown = client.get(page).content.decode()
    assert re.search("<ins>[^<]*very[^<]*</ins>", shown)
    sent = {"token": saved["token"], "against": "1", "publish": "1"}
    refused = client.post(page, {**sent, "note": "  "})
    assert refused.status_code == 422
    assert "Say why" in refused.content.decode()
    assert client.post(page, {**sent, "note": "People hung up"}).status_code == 302
    agent.refresh_from_db()
    made = agent.current_version
    assert made is not None
    assert (made.number, made.note, made.system_prompt) == (
        2,
        "People hung up",
        "You are Ava.\nBe very brief.",
    )
    assert made.created_by == "user:ava@example.com"
    live.refresh_from_db()
    assert live.agent_version == first
    assert not AgentDraft.objects.exists()
    assert AuditEntry.objects.filter(action="agent.updated", object_id=str(agent.pk)).exists()


def test_two_people_who_write_at_once_lose_nothing(client: Client, agent: Agent) -> None:
    begun = token(client, agent)
    assert save(client, agent, begun, objective="Theirs").status_code == 200
    answer = save(client, agent, begun, objective="Mine")
    assert (answer.status_code, answer.json()["code"]) == (409, "draft_conflict")
    page = client.post(f"/console/agents/{agent.pk}", text(agent, begun, objective="Mine"))
    assert page.status_code == 409
    shown = page.content.decode()
    assert "<del>Theirs</del>" in shown
    assert "<ins>Mine</ins>" in shown
    assert "\nMine</textarea>" in shown, "what was typed is still there"
    (fresh,) = re.findall(r'name="token" value="([^"]+)"', shown)
    assert save(client, agent, fresh, objective="Mine").status_code == 200
    assert AgentDraft.objects.get().objective == "Mine"


def test_publishing_by_somebody_else_is_a_conflict_too(client: Client, agent: Agent) -> None:
    begun = token(client, agent)
    write.update(agent, {"objective": "Of the API"}, "key:x")
    assert save(client, agent, begun, objective="Mine").status_code == 409
    agent.refresh_from_db()
    mine = save(client, agent, token(client, agent), objective="Mine").json()["token"]
    write.update(agent, {"objective": "Again of the API"}, "key:x")
    sent = {"token": mine, "against": "2", "note": "why", "publish": "1"}
    answer = client.post(f"/console/agents/{agent.pk}/publish", sent)
    assert answer.status_code == 409
    assert "has been published since" in answer.content.decode()
    assert AgentDraft.objects.get().objective == "Mine"


def test_a_discarded_draft_is_gone_for_who_still_writes_it(client: Client, agent: Agent) -> None:
    saved = save(client, agent, token(client, agent), objective="Mine").json()["token"]
    page = f"/console/agents/{agent.pk}/publish"
    assert client.post(page, {"token": saved, "discard": "1"}).status_code == 302
    assert save(client, agent, saved, objective="Mine again").status_code == 409


def test_mistyped_variables_are_shown_with_their_place_and_not_published(
    client: Client, agent: Agent
) -> None:
    wrong = "Hello {{lead.first_name}}.\r\nFrom {{lead.compny}} and {{ oops"
    saved = save(client, agent, token(client, agent), system_prompt=wrong).json()
    first, second = saved["problems"]
    assert (first["line"], first["column"], first["suggestion"]) == (2, 6, "lead.company")
    assert (second["line"], second["column"]) == (2, 26)
    shown = client.get(f"/console/agents/{agent.pk}").content.decode()
    assert "Prompt, line 2, column 6" in shown
    sent = {"token": saved["token"], "against": "1", "note": "why", "publish": "1"}
    assert client.post(f"/console/agents/{agent.pk}/publish", sent).status_code == 422
    assert AgentVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"criterion_name": ["a", "a"], "criterion_description": ["", ""]}, "same name"),
        ({"criterion_name": [""], "criterion_description": ["what"]}, "needs a name"),
        ({"system_prompt": "x" * 32_001}, "at most 32000"),
    ],
)
def test_what_cannot_be_saved_is_said_and_kept_in_the_form(
    client: Client, agent: Agent, fields: dict[str, Any], said: str
) -> None:
    sent = text(agent, token(client, agent), **{"objective": "Keep me", **fields})
    answer = client.post(f"/console/agents/{agent.pk}", sent)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert "Keep me" in answer.content.decode()
    assert not AgentDraft.objects.exists()


def test_the_preview_is_what_the_call_would_get(client: Client, agent: Agent, space: Workspace) -> None:
    lead = rows.lead(space, last_name="Lopez", notes="Likes robots")
    sent = text(
        agent, "", system_prompt="You talk to {{lead.first_name}} of {{lead.company}}.", lead=str(lead.pk)
    )
    answer = client.post(f"/console/agents/{agent.pk}/preview", sent, headers={"X-Part": "1"})
    shown = answer.content.decode()
    assert "You talk to Maria of ." in shown
    assert "Likes robots" in shown
    assert "# Rules" in shown
    assert "<code>lead.company</code>" in shown, "what is empty is named"
    other = rows.lead(rows.workspace("other"), phone="+14155550155")
    assert (
        client.post(f"/console/agents/{agent.pk}/preview", {**sent, "lead": str(other.pk)}).status_code == 404
    )


def test_an_old_version_is_published_again_as_a_new_one(client: Client, agent: Agent) -> None:
    write.update(agent, {"system_prompt": "Something worse"}, "user:x")
    assert (
        client.post(f"/console/agents/{agent.pk}/versions/1/restore", {"why": "It was better"}).status_code
        == 302
    )
    agent.refresh_from_db()
    current = agent.current_version
    assert current is not None
    assert (current.number, current.system_prompt) == (3, "You are Ava.\nBe brief.")
    assert current.note == "Restored from version 1: It was better"
    again = client.post(f"/console/agents/{agent.pk}/versions/1/restore", follow=True)
    assert "nothing changed" in again.content.decode()


def test_versions_say_how_they_did_and_who_runs_them(client: Client, agent: Agent, space: Workspace) -> None:
    first = agent.current_version
    assert first is not None
    for outcome in (Outcome.QUALIFIED, Outcome.UNQUALIFIED):
        call = rows.end(rows.call(space, agent=first))
        Call.objects.filter(pk=call.pk).update(
            status="finalized", outcome=outcome, finalized_at=call.ended_at
        )
    write.update(agent, {"objective": "New", "note": "A new goal"}, "user:ben@example.com")
    number = PhoneNumber.objects.get(e164="+14155550100")
    batch = Batch.objects.create(workspace=space, agent=agent, number=number, name="Autumn", status="running")
    BatchVersion.objects.create(batch=batch, agent_version=first, weight=3)
    shown = client.get(f"/console/agents/{agent.pk}/versions").content.decode()
    assert "50 %" in shown
    assert "A new goal" in shown
    assert "ben@example.com" in shown
    assert "v1 × 3" in shown
    compared = client.get(f"/console/agents/{agent.pk}/compare?from=1&to=2").content.decode()
    assert "<ins>New</ins>" in compared
    assert client.get(f"/console/agents/{agent.pk}/compare?from=9").status_code == 404


def test_a_viewer_reads_and_changes_nothing(agent: Agent, space: Workspace) -> None:
    viewer = person(Role.VIEWER, space, "viewer@example.com")
    page = f"/console/agents/{agent.pk}"
    shown = viewer.get(page).content.decode()
    assert "Publish…" not in shown
    assert viewer.post(page, text(agent, "v1", objective="x")).status_code == 403
    assert viewer.post(f"{page}/versions/1/restore").status_code == 403
    assert viewer.post(f"{page}/publish", {}).status_code == 403
    assert viewer.post(f"{page}/preview", {"direction": "inbound"}).status_code == 200


def test_agents_of_others_are_not_there(client: Client) -> None:
    foreign = rows.version(rows.workspace("other")).agent
    for path in ("", "/versions", "/compare", "/publish"):
        assert client.get(f"/console/agents/{foreign.pk}{path}").status_code == 404
    for path in ("", "/settings", "/preview", "/publish", "/duplicate", "/archive", "/versions/1/restore"):
        assert client.post(f"/console/agents/{foreign.pk}{path}", {}).status_code == 404


def test_a_new_agent_can_speak_at_once(client: Client, space: Workspace) -> None:
    answer = client.post("/console/agents/new", {"name": "Nora"}, follow=True)
    assert answer.status_code == 200
    made = Agent.objects.get(name="Nora")
    assert made.current_version is not None
    assert templates.problems(made.current_version.system_prompt) == []
    assert client.post("/console/agents/new", {"name": " "}).status_code == 422


def test_name_voice_and_default_are_saved_and_an_agent_in_use_is_not_archived(
    client: Client, agent: Agent, space: Workspace
) -> None:
    page = f"/console/agents/{agent.pk}"
    client.post(
        f"{page}/settings", {"name": "Ava the second", "profile": str(agent.profile_id), "is_default": "on"}
    )
    agent.refresh_from_db()
    assert (agent.name, agent.is_default) == ("Ava the second", True)
    assert client.post(f"{page}/duplicate").status_code == 302
    rows.call(space, agent=agent.current_version)
    assert "still in use: 1 calls" in client.post(f"{page}/archive", follow=True).content.decode()


def test_the_list_asks_as_often_for_many_agents_as_for_one(
    client: Client, agent: Agent, space: Workspace, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as one:
        client.get("/console/agents")
    for n in range(5):
        made = write.duplicate(agent, "user:x", name=f"Copy {n}")
        rows.call(space, agent=made.current_version)
    with django_assert_num_queries(len(one)):
        assert "Copy 4" in client.get("/console/agents").content.decode()


def test_differences_stand_side_by_side() -> None:
    before = {
        "system_prompt": "a\nb\nc\nd\ne\nf\ng\nh\ni\nold word\n",
        "objective": "",
        "criteria": [],
        "tools": ["x"],
    }
    after = {**before, "system_prompt": "a\nb\nc\nd\ne\nf\ng\nh\ni\nnew word\nmore\n", "tools": []}
    prompt, tools = version_diff.side_by_side(before, after)
    assert [line.kind for line in prompt.lines] == ["gap", "same", "same", "same", "changed", "added"]
    assert prompt.lines[0].count == 6
    changed = prompt.lines[4]
    assert [piece.text for piece in changed.before if piece.changed] == ["old"]
    assert [piece.text for piece in changed.after if piece.changed] == ["new"]
    assert (changed.before_no, changed.after_no) == (10, 10)
    assert [line.kind for line in tools.lines] == ["removed"]
