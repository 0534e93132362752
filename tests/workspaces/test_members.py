"""Members: who gets in, who may change whom, and that a workspace keeps an owner."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from tenex.errors import Conflict
from tenex.workspaces.models import AuditEntry, Invitation, Membership, Role, User
from tenex.workspaces.scopes import may_manage
from tenex.workspaces.services import keys, members, people, tokens
from tests import rows
from tests.api.world import PASSWORD, Api, Tenant, person

USERS = "/api/v1/users"
INVITATIONS = f"{USERS}/invitations"
ACCEPT = f"{INVITATIONS}/accept"
NEW = "another long password"


def member(tenant: Tenant, role: Role, name: str = "") -> tuple[User, Api]:
    user = person(f"{name or role}@{tenant.workspace.slug}.example")
    Membership.objects.create(workspace=tenant.workspace, user=user, role=role)
    return user, Api(tokens.issue(user))


@pytest.fixture
def owner(alice: Tenant) -> Api:
    return Api(tokens.issue(alice.owner))


def invite(api: Api, email: str = "New@Alice.example", role: str = "operator") -> Any:
    return api.post(INVITATIONS, {"email": email, "role": role})


def test_an_invitation_makes_an_account_and_signs_in(alice: Tenant, owner: Api) -> None:
    made = invite(owner).json()
    assert made["email"] == "new@alice.example"
    body = {"token": made["token"], "password": NEW, "name": "New"}
    joined = Api().post(ACCEPT, body)
    assert joined.status_code == 201
    assert joined.json()["company_id"] == str(alice.workspace.id)
    me = Api(joined.json()["access_token"]).get(f"{USERS}/me").json()
    assert (me["email"], me["name"], me["role"]) == ("new@alice.example", "New", "operator")
    assert Api().post(ACCEPT, body).json()["code"] == "invitation_invalid"
    assert Api().post(f"{USERS}/login", {"email": "new@alice.example", "password": NEW}).status_code == 200
    told = AuditEntry.objects.filter(workspace=alice.workspace).values_list("action", flat=True)
    assert {"member.invited", "member.joined"} <= set(told)


def test_its_token_is_shown_once_and_kept_as_a_digest(alice: Tenant, owner: Api) -> None:
    token = invite(owner).json()["token"]
    listed = owner.get(INVITATIONS).json()["items"]
    assert token not in str(listed)
    assert "token" not in listed[0]
    assert token.encode() not in bytes(Invitation.objects.first().digest)  # type: ignore[union-attr]


def test_somebody_with_an_account_gives_its_password(alice: Tenant, charlie: Tenant, owner: Api) -> None:
    token = invite(owner, "owner@charlie.example", "viewer").json()["token"]
    wrong = Api().post(ACCEPT, {"token": token, "password": "not the password"})
    assert wrong.json()["detail"][0]["loc"] == ["body", "password"]
    joined = Api().post(ACCEPT, {"token": token, "password": PASSWORD, "name": "Taken over"})
    assert joined.status_code == 201
    charlie.owner.refresh_from_db()
    assert charlie.owner.name == ""
    both = Api(joined.json()["access_token"])
    assert both.get(f"{USERS}/me").status_code == 422, "in two workspaces: name one"
    assert both.get(f"{USERS}/me", X_Workspace="alice").json()["role"] == "viewer"


@pytest.mark.parametrize("spoil", ["revoked", "expired", "replaced", "unknown"])
def test_a_dead_invitation_is_refused(alice: Tenant, owner: Api, spoil: str) -> None:
    made = invite(owner).json()
    token = made["token"]
    match spoil:
        case "revoked":
            assert owner.delete(f"{INVITATIONS}/{made['id']}").status_code == 204
        case "expired":
            Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        case "replaced":
            assert invite(owner).status_code == 201
        case _:
            token = token[:-1] + ("a" if token[-1] != "a" else "b")
    refused = Api().post(ACCEPT, {"token": token, "password": NEW})
    assert (refused.status_code, refused.json()["code"]) == (404, "invitation_invalid")
    assert not User.objects.filter(email="new@alice.example").exists()


def test_a_weak_password_is_refused(alice: Tenant, owner: Api) -> None:
    token = invite(owner).json()["token"]
    for password in ("short", "password1234"):
        refused = Api().post(ACCEPT, {"token": token, "password": password}).json()["detail"][0]
        assert (refused["loc"], refused["type"]) == (["body", "password"], "password")
    assert Api().post(ACCEPT, {"token": token, "password": NEW}).status_code == 201


def test_a_member_is_not_invited_again(alice: Tenant, owner: Api) -> None:
    again = invite(owner, "OWNER@alice.example")
    assert (again.status_code, again.json()["code"]) == (409, "already_member")


def test_trying_passwords_with_an_invitation_is_slow(alice: Tenant, owner: Api) -> None:
    token = invite(owner, "owner@charlie.example").json()["token"]
    answers = [Api().post(ACCEPT, {"token": token, "password": "x"}).status_code for _ in range(21)]
    assert set(answers[:20]) == {422}
    assert answers[20] == 429


@pytest.mark.parametrize("by", [*Role, None])
def test_nobody_gives_or_takes_more_than_they_have(by: Role | None) -> None:
    from tenex.workspaces.scopes import ROLE_SCOPES

    held = ROLE_SCOPES[by] if by else {"*"}
    may = {role for role in Role if may_manage(role, by_role=by, by_scopes=held)}
    assert (
        may
        == {
            Role.OWNER: set(Role),
            Role.ADMIN: {Role.ADMIN, Role.OPERATOR, Role.VIEWER},
            Role.OPERATOR: {Role.OPERATOR, Role.VIEWER},  # but lacks users:write
            Role.VIEWER: {Role.VIEWER},
            None: {Role.ADMIN, Role.OPERATOR, Role.VIEWER},
        }[by]
    )


def test_a_narrow_key_cannot_raise_anybody(alice: Tenant) -> None:
    user, _ = member(alice, Role.VIEWER)
    admin, _ = member(alice, Role.ADMIN)
    _, text = keys.create(alice.workspace, "narrow", ["users:write", "calls:read"], "system:test")
    narrow = Api(text)
    for role in ("owner", "admin", "operator", "viewer"):
        refused = narrow.patch(f"{USERS}/{user.pk}", {"role": role})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_role")
    assert narrow.delete(f"{USERS}/{admin.pk}").json()["code"] == "forbidden_role"
    assert invite(narrow, role="admin").json()["code"] == "forbidden_role"


def test_an_admin_cannot_touch_owners(alice: Tenant, owner: Api) -> None:
    _, admin = member(alice, Role.ADMIN)
    user, _ = member(alice, Role.VIEWER)
    for refused in (
        admin.patch(f"{USERS}/{alice.owner.pk}", {"role": "viewer"}),
        admin.delete(f"{USERS}/{alice.owner.pk}"),
        admin.patch(f"{USERS}/{user.pk}", {"role": "owner"}),
        invite(admin, role="owner"),
        alice.api.patch(f"{USERS}/{user.pk}", {"role": "owner"}),  # a key with every scope
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_role")
    assert admin.patch(f"{USERS}/{user.pk}", {"role": "admin"}).status_code == 200
    assert owner.patch(f"{USERS}/{user.pk}", {"role": "owner"}).status_code == 200


def test_a_removed_member_is_out_at_once(alice: Tenant, owner: Api) -> None:
    user, api = member(alice, Role.OPERATOR)
    assert api.get(f"{USERS}/me").status_code == 200
    assert owner.delete(f"{USERS}/{user.pk}").status_code == 204
    assert api.get(f"{USERS}/me").json()["code"] == "forbidden_workspace"
    assert owner.delete(f"{USERS}/{user.pk}").status_code == 404
    assert User.objects.filter(pk=user.pk).exists()


def test_another_role_holds_at_once(alice: Tenant, owner: Api) -> None:
    user, api = member(alice, Role.VIEWER)
    assert api.post("/api/v1/crm/leads", {"first_name": "x"}).status_code == 403
    owner.patch(f"{USERS}/{user.pk}", {"role": "operator"})
    assert api.post("/api/v1/crm/leads", {"first_name": "x"}).status_code == 201


def test_the_last_owner_stays(alice: Tenant, owner: Api) -> None:
    mine = f"{USERS}/{alice.owner.pk}"
    for refused in (owner.delete(mine), owner.patch(mine, {"role": "admin"})):
        assert (refused.status_code, refused.json()["code"]) == (409, "last_owner")
    member(alice, Role.OWNER, "second")
    assert owner.patch(mine, {"role": "admin"}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_remove_each_other_at_once_leave_one(alice: Tenant) -> None:
    user, _ = member(alice, Role.OWNER, "second")
    both = list(Membership.objects.filter(workspace=alice.workspace, role=Role.OWNER).select_related("user"))
    assert {one.user for one in both} == {user, alice.owner}
    jobs = [lambda o=one: members.remove(o, people.principal(o)) for one in both]
    results = rows.together(*jobs)
    assert sorted(type(one).__name__ for one in results) == ["Conflict", "NoneType"]
    assert any(isinstance(one, Conflict) and one.code == "last_owner" for one in results)
    assert Membership.objects.filter(workspace=alice.workspace, role=Role.OWNER).count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_database_keeps_the_last_owner_by_itself(alice: Tenant) -> None:
    def demote(one: Membership) -> None:
        Membership.objects.filter(pk=one.pk).update(role=Role.VIEWER)

    with pytest.raises(IntegrityError, match="no owner"):
        Membership.objects.filter(workspace=alice.workspace).delete()
    member(alice, Role.OWNER, "second")
    both = Membership.objects.filter(workspace=alice.workspace, role=Role.OWNER)
    results = rows.together(*[lambda o=one: demote(o) for one in both])
    assert sorted(type(one).__name__ for one in results) == ["IntegrityError", "NoneType"]
    assert Membership.objects.filter(workspace=alice.workspace, role=Role.OWNER).count() == 1


def test_a_workspace_that_goes_takes_its_owners_along(db: None) -> None:
    space = rows.workspace("gone")
    Membership.objects.create(workspace=space, user=person("x@gone.example"), role=Role.OWNER)
    space.delete()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert not Membership.objects.exists()


def test_who_am_i(alice: Tenant, owner: Api) -> None:
    me = owner.get(f"{USERS}/me").json()
    assert (me["workspace"], me["role"], me["scopes"]) == ("alice", "owner", ["*"])
    key = alice.api.get(f"{USERS}/me").json()
    assert (key["actor"], key["role"], key["user_id"]) == (f"key:{alice.key_prefix}", None, None)
    _, text = keys.create(alice.workspace, "narrow", ["calls:read"], "system:test")
    assert Api(text).get(f"{USERS}/me").json()["scopes"] == ["calls:read"]
    assert owner.patch(f"{USERS}/me", {"name": "Alice"}).json()["name"] == "Alice"
    assert alice.api.patch(f"{USERS}/me", {"name": "x"}).json()["code"] == "forbidden"


def test_a_new_password_ends_every_token(alice: Tenant, owner: Api) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW}
    wrong = owner.post(f"{USERS}/me/password", {**body, "current_password": "wrong"}).json()["detail"][0]
    assert (wrong["loc"], wrong["type"]) == (["body", "current_password"], "password")
    weak = owner.post(f"{USERS}/me/password", {**body, "new_password": "short"}).json()["detail"][0]
    assert weak["loc"] == ["body", "new_password"]
    fresh = owner.post(f"{USERS}/me/password", body)
    assert fresh.status_code == 200
    assert owner.get(f"{USERS}/me").status_code == 401
    assert Api(fresh.json()["access_token"]).get(f"{USERS}/me").status_code == 200
    assert AuditEntry.objects.filter(action="user.password_changed").exists()
    assert alice.api.post(f"{USERS}/me/password", body).json()["code"] == "forbidden"


def test_members_are_listed(alice: Tenant, charlie: Tenant, owner: Api) -> None:
    user, viewer = member(alice, Role.VIEWER)
    listed = viewer.get(USERS).json()["items"]
    assert [one["email"] for one in listed] == [user.email, alice.owner.email]
    assert owner.get(f"{USERS}/{user.pk}").json()["role"] == "viewer"


def test_a_browser_session_may_do_what_a_token_may(alice: Tenant) -> None:
    """Doors for browsers ask the same function, with the person of the Django session."""
    user, _ = member(alice, Role.OPERATOR)
    by_session = people.principal(people.membership(user, None))
    by_token = tokens.verify(tokens.issue(user), workspace=None)
    assert by_session == by_token
