"""The live pages: who may see and do what, and that a button's wish reaches the call and its records."""

import uuid
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tenex.workspaces.models import AuditEntry, Membership, Role, User, Workspace
from tests import rows
from voice.models import Agent, Call, CallEvent
from voice.services import control, live

JSON = {"Accept": "application/json"}
ACTIONS = {
    "whisper": {"text": "Offer ten per cent."},
    "say": {"text": "One moment, please."},
    "mute": {},
    "unmute": {},
    "transfer": {"to": "+14155550166"},
    "hangup": {},
}


def person(role: Role, space: Workspace, email: str = "ava@example.com") -> Client:
    """A browser in which a person of that role has signed in."""
    user = User.objects.create_user(email)
    Membership.objects.create(user=user, workspace=space, role=role)
    client = Client()
    client.force_login(user)
    return client


def live_call(space: Workspace) -> Call:
    return rows.call(space, lead=rows.lead(space), lease_until=timezone.now() + timedelta(minutes=1))


@pytest.mark.django_db
@pytest.mark.parametrize("action", ACTIONS)
def test_an_operator_may_and_a_viewer_may_not(
    action: str, django_capture_on_commit_callbacks: object
) -> None:
    space = rows.workspace()
    call = live_call(space)
    operator, viewer = person(Role.OPERATOR, space), person(Role.VIEWER, space, "eve@example.com")
    url = f"/console/live/{call.pk}/{action}"
    with patch.object(control, "send") as send:
        assert viewer.post(url, ACTIONS[action], headers=JSON).status_code == 403
        assert send.call_count == 0
        with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
            answer = operator.post(url, ACTIONS[action], headers=JSON)
    assert answer.status_code == 200, answer.content
    assert answer.json()["done"]
    assert (send.call_args.args[0], send.call_args.args[1]) == (call.pk, action)
    assert send.call_args.kwargs["by"] == "user:ava@example.com"
    assert AuditEntry.objects.filter(actor="user:ava@example.com", object_id=str(call.pk)).count() == 1


@pytest.mark.django_db
def test_a_transfer_goes_to_the_number_that_was_asked_for() -> None:
    space = rows.workspace(transfer_number="+14155550177")
    call = live_call(space)
    with patch.object(control, "send") as send:
        person(Role.OPERATOR, space).post(f"/console/live/{call.pk}/transfer", {"to": "+14155550166"})
    assert send.call_args.kwargs["number"] == "+14155550166"


@pytest.mark.django_db
@pytest.mark.parametrize("action", ACTIONS)
def test_a_call_of_others_is_not_there(action: str) -> None:
    call = live_call(rows.workspace("other"))
    client = person(Role.OWNER, rows.workspace("mine"))
    with patch.object(control, "send") as send:
        for call_id in (call.pk, uuid.uuid4()):
            answer = client.post(f"/console/live/{call_id}/{action}", ACTIONS[action])
            assert answer.status_code == 404
    assert send.call_count == 0
    assert client.get(f"/console/live/{call.pk}").status_code == 404


@pytest.mark.django_db
def test_without_a_script_a_button_leads_back_and_says_what_happened() -> None:
    space = rows.workspace()
    call = live_call(space)
    client = person(Role.OPERATOR, space)
    with patch.object(control, "send"):
        text = client.post(f"/console/live/{call.pk}/mute", follow=True).content.decode()
    assert "The agent is silent now." in text
    rows.end(call)
    text = client.post(f"/console/live/{call.pk}/mute", follow=True).content.decode()
    assert "nobody is on the line" in text
    assert "This call is over." in text


@pytest.mark.django_db
def test_nothing_is_whispered_when_nothing_was_written() -> None:
    space = rows.workspace()
    call = live_call(space)
    with patch.object(control, "send") as send:
        answer = person(Role.OPERATOR, space).post(
            f"/console/live/{call.pk}/whisper", {"text": "  "}, headers=JSON
        )
    assert (answer.status_code, answer.json()["error"]) == (422, "write something first")
    assert send.call_count == 0


@pytest.mark.django_db
def test_a_viewer_sees_the_call_and_no_button() -> None:
    space = rows.workspace()
    call = live_call(space)
    text = person(Role.VIEWER, space).get(f"/console/live/{call.pk}").content.decode()
    assert "Your role may watch this call and nothing more." in text
    assert "Take over" not in text
    assert "Maria" in text


@pytest.mark.django_db
def test_the_board_is_the_list_of_live_calls_without_a_script() -> None:
    space = rows.workspace()
    live_call(space)
    rows.end(rows.call(space, agent=rows.version(rows.workspace("other")), from_number="+14155550188"))
    text = person(Role.VIEWER, space).get("/console/").content.decode()
    assert "Maria" in text
    assert "0188" not in text


@pytest.mark.django_db
def test_the_board_asks_as_much_for_many_calls_as_for_one() -> None:
    space = rows.workspace()
    agent = rows.version(space)
    client = person(Role.VIEWER, space)

    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/console/").status_code == 200
        return len(captured)

    rows.call(space, agent=agent, lead=rows.lead(space, first_name="", phone="+14155550110"))
    one = asked()
    for n in range(20):
        lead = rows.lead(space, first_name="", phone=f"+141555502{n:02d}")
        rows.call(space, agent=agent, lead=lead)
    assert asked() == one


# --- talk to your agent ----------------------------------------------------------------------------


def an_agent(space: Workspace) -> Agent:
    return rows.version(space).agent


@pytest.mark.django_db
def test_a_test_call_runs_the_version_that_was_chosen_and_is_marked() -> None:
    space = rows.workspace()
    agent = an_agent(space)
    draft = agent.versions.create(number=2, system_prompt="A draft.", tools=[])
    lead = rows.lead(space)
    client = person(Role.OPERATOR, space)
    page = client.get(f"/console/agents/{agent.pk}/talk").content.decode()
    assert "v2" in page
    answer = client.post(f"/console/agents/{agent.pk}/talk", {"version": "2", "lead": str(lead.pk)})
    assert answer.status_code == 201, answer.content
    assert answer.json()["stream"].startswith("/sessions/media/")
    call = Call.objects.get(pk=answer.json()["call"])
    assert (call.is_test, call.agent_version, call.lead) == (True, draft, lead)
    assert CallEvent.objects.filter(call=call).count() == 1
    assert AuditEntry.objects.filter(action="call.test").count() == 1


@pytest.mark.django_db
def test_another_prompt_is_tried_and_the_version_stays_as_it_is() -> None:
    space = rows.workspace()
    agent = an_agent(space)
    client = person(Role.OPERATOR, space)
    url = f"/console/agents/{agent.pk}/talk"
    made = client.post(url, {"prompt": "You sell {{workspace.name}} to {{lead.first_name}}."})
    call = Call.objects.get(pk=made.json()["call"])
    assert call.spoken
    assert call.spoken.system_prompt.startswith("You sell")
    assert call.spoken.tools == call.agent_version.tools  # type: ignore[union-attr]
    assert agent.versions.get().system_prompt == "You are Ava."
    token = made.json()["stream"].rpartition("/")[2]
    context = live.open_stream(token, "", "talk", "here", by_carrier=False)
    assert "You sell Acme to" in context.instructions
    assert "You are Ava." not in context.instructions
    refused = client.post(url, {"prompt": "Dear {{lead.nickname}}"})
    assert refused.status_code == 422


@pytest.mark.django_db
def test_who_may_not_start_calls_may_not_talk() -> None:
    space = rows.workspace()
    agent = an_agent(space)
    viewer = person(Role.VIEWER, space)
    assert "Your role may not start calls." in viewer.get(f"/console/agents/{agent.pk}/talk").content.decode()
    assert viewer.post(f"/console/agents/{agent.pk}/talk").status_code == 403
    assert not Call.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("sent", [{"version": "9"}, {"lead": "x"}, {"lead": str(uuid.uuid4())}])
def test_what_is_not_there_cannot_be_talked_to(sent: dict[str, str]) -> None:
    space = rows.workspace()
    agent = an_agent(space)
    client = person(Role.OPERATOR, space)
    assert client.post(f"/console/agents/{agent.pk}/talk", sent).status_code in (404, 422)
    assert (
        person(Role.OPERATOR, rows.workspace("other"), "o@example.com")
        .get(f"/console/agents/{agent.pk}/talk")
        .status_code
        == 404
    )
    assert not Call.objects.exists()


@pytest.mark.django_db
def test_only_into_a_test_call_one_may_write() -> None:
    space = rows.workspace()
    call = live_call(space)
    client = person(Role.OPERATOR, space)
    assert call.agent_version
    url = f"/console/agents/{call.agent_version.agent_id}/talk/{call.pk}/type"
    with patch.object(control, "send") as send:
        assert client.post(url, {"text": "Hello"}).json()["code"] == "no_test_call"
        assert send.call_count == 0
        Call.objects.filter(pk=call.pk).update(is_test=True)
        assert client.post(url, {"text": "Hello"}).json() == {"done": True}
        assert client.post(url, {"text": ""}).status_code == 422
    assert send.call_args.args == (call.pk, "type")


@pytest.mark.django_db
def test_without_a_session_nothing_is_steered() -> None:
    call = live_call(rows.workspace())
    for action, sent in ACTIONS.items():
        answer = Client().post(f"/console/live/{call.pk}/{action}", sent)
        assert answer.status_code == 302
        assert "/console/login" in answer["Location"]
