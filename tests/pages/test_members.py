"""The people of a workspace: nobody gives more than they have, and a link lets one person in."""

import re
from typing import Any

import pytest
from django.test import Client

from tenex.workspaces.models import Invitation, Membership, Role, User, Workspace
from tests import rows
from tests.pages.test_access import PASSWORD, person


@pytest.fixture
def space(db: None) -> Workspace:
    return rows.workspace()


def invited(client: Client, email: str, role: str) -> str:
    """The token of the link that is shown."""
    text = client.post("/console/members", {"email": email, "role": role}).content.decode()
    return str(re.findall(r"join\?token=([\w-]+)", text)[0])


def test_an_invitation_lets_one_person_in(space: Workspace) -> None:
    owner = person(Role.OWNER, space)
    token = invited(owner, "Ben@example.com", "operator")
    assert token not in owner.get("/console/members").content.decode(), "shown once"
    browser = Client()
    assert "ben@example.com" in browser.get(f"/console/join?token={token}").content.decode()
    weak = browser.post("/console/join", {"token": token, "password": "short"})
    assert weak.status_code == 422
    answer: Any = browser.post("/console/join", {"token": token, "password": PASSWORD, "name": "Ben"})
    assert (answer.status_code, answer["Location"]) == (302, "/console/start")
    seat = Membership.objects.get(user__email="ben@example.com")
    assert (seat.role, seat.workspace) == ("operator", space)
    assert Client().get(f"/console/join?token={token}").status_code == 410
    assert Client().post("/console/join", {"token": token, "password": PASSWORD}).status_code == 410


def test_nobody_gives_more_than_they_have(space: Workspace) -> None:
    person(Role.OWNER, space, "owner@example.com")
    admin = person(Role.ADMIN, space)
    answer = admin.post("/console/members", {"email": "c@example.com", "role": "owner"})
    assert answer.status_code == 403
    assert not Invitation.objects.exists()
    owner = User.objects.get(email="owner@example.com")
    refused = admin.post(f"/console/members/{owner.pk}", {"role": "viewer"}, follow=True)
    assert "needs more than you have" in refused.content.decode()
    operator = person(Role.OPERATOR, space, "o@example.com")
    assert operator.get("/console/members").status_code == 200
    assert operator.post("/console/members", {"email": "c@example.com", "role": "viewer"}).status_code == 403
    assert operator.post(f"/console/members/{owner.pk}", {"remove": "1"}).status_code == 403


def test_roles_change_invitations_are_taken_back_and_the_last_owner_stays(space: Workspace) -> None:
    owner = person(Role.OWNER, space)
    person(Role.VIEWER, space, "v@example.com")
    viewer = User.objects.get(email="v@example.com")
    owner.post(f"/console/members/{viewer.pk}", {"role": "admin"})
    assert Membership.objects.get(user=viewer).role == "admin"
    owner.post(f"/console/members/{viewer.pk}", {"remove": "1"})
    assert not Membership.objects.filter(user=viewer).exists()
    me = User.objects.get(email="ava@example.com")
    kept = owner.post(f"/console/members/{me.pk}", {"remove": "1"}, follow=True)
    assert "last owner" in kept.content.decode()
    token = invited(owner, "b@example.com", "viewer")
    owner.post(f"/console/invitations/{Invitation.objects.get().pk}/revoke")
    assert Client().get(f"/console/join?token={token}").status_code == 410


def test_members_of_others_are_not_there(space: Workspace) -> None:
    other = rows.workspace("other")
    person(Role.VIEWER, other, "them@example.com")
    theirs = User.objects.get(email="them@example.com")
    owner = person(Role.OWNER, space)
    assert "them@example.com" not in owner.get("/console/members").content.decode()
    assert owner.post(f"/console/members/{theirs.pk}", {"remove": "1"}).status_code == 404
    assert owner.post("/console/members", {"email": "nobody", "role": "viewer"}).status_code == 422
