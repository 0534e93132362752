"""Who may see a page: nobody without a session, only what the role allows, only one's own workspace."""

import pytest
from django.test import Client

from tenex.workspaces.models import Membership, Role, User, Workspace
from tests import rows
from voice.models import PhoneNumber

PASSWORD = "correct horse battery"


def person(role: Role | None, space: Workspace, email: str = "ava@example.com") -> Client:
    """A browser in which a person of that role (None: of no workspace) has signed in through the form."""
    user = User.objects.create_user(email, PASSWORD)
    if role:
        Membership.objects.create(user=user, workspace=space, role=role)
    client = Client()
    answer = client.post(
        "/console/login", {"email": email.upper(), "password": PASSWORD, "next": "/console/calls"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/console/calls")
    return client


@pytest.mark.django_db
def test_without_a_session_there_is_the_door_and_the_way_back() -> None:
    answer = Client().get("/console/calls?outcome=busy")
    assert answer.status_code == 302
    assert answer["Location"] == "/console/login?next=/console/calls%3Foutcome%3Dbusy"


@pytest.mark.django_db
def test_a_part_of_a_page_whose_session_is_over_asks_for_a_reload() -> None:
    answer = Client().get("/console/calls", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Refresh"]) == (401, "true")


@pytest.mark.django_db
def test_the_way_back_leads_to_no_other_host() -> None:
    space = rows.workspace()
    Membership.objects.create(user=User.objects.create_user("b@example.com", PASSWORD), workspace=space)
    sent = {"email": "b@example.com", "password": PASSWORD, "next": "https://evil.example/console/"}
    assert Client().post("/console/login", sent)["Location"] == "/console/"


@pytest.mark.django_db
def test_calls_of_others_are_not_listed() -> None:
    mine, other = rows.workspace("mine"), rows.workspace("other")
    rows.call(mine, from_number="+14155550101")
    foreign = PhoneNumber.objects.create(workspace=other, e164="+14155550199")
    rows.call(other, number=foreign, from_number="+14155550202")
    text = person(Role.VIEWER, mine).get("/console/calls").content.decode()
    assert "415-555-0101" in text
    assert "415-555-0202" not in text


@pytest.mark.django_db
def test_a_foreign_workspace_cannot_be_chosen() -> None:
    mine, other = rows.workspace("mine"), rows.workspace("other-people")
    client = person(Role.OWNER, mine)
    client.post("/console/workspace", {"workspace": str(other.pk)})
    assert "other-people" not in client.get("/console/calls").content.decode()


@pytest.mark.django_db
def test_who_is_a_member_of_nothing_is_told_so() -> None:
    answer = person(None, rows.workspace()).get("/console/calls")
    assert answer.status_code == 403
    assert "not a member of any workspace" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["outcome=nonsense", "cursor=x", "bogus=1", "agent_id=7"])
def test_a_filter_that_makes_no_sense_is_said_above_the_list(query: str) -> None:
    answer = person(Role.VIEWER, rows.workspace()).get(f"/console/calls?{query}")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()


@pytest.mark.django_db
def test_pages_run_only_files_of_ours() -> None:
    answer = person(Role.VIEWER, rows.workspace()).get("/console/calls")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer["Cache-Control"] == "no-store"
