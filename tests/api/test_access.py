"""Who gets in: keys, tokens, scopes, roles."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tenex.workspaces.models import ApiKey, AuditEntry, Membership, Role, User
from tenex.workspaces.services import keys, tokens
from tests.api.world import PASSWORD, Api, Tenant, person

CALLS = "/api/v1/voice/calls"
KEYS = "/api/v1/admin/api-keys"


def login(email: str, password: str = PASSWORD) -> Api:
    answer = Api().post("/api/v1/users/login", {"email": email, "password": password})
    assert answer.status_code == 200, answer.content
    assert answer.json() == {
        "access_token": answer.json()["access_token"],
        "token_type": "bearer",
        "expires_in": 3600,
    }
    return Api(answer.json()["access_token"])


def test_the_owner_signs_in_and_mints_a_key(alice: Tenant) -> None:
    minted = login("Owner@Alice.example").post(KEYS, {"name": "crm"})
    assert minted.status_code == 201
    body = minted.json()
    assert body["scopes"] == ["*"]
    assert set(body) >= {"prefix", "secret", "scopes", "created_at"}
    assert Api(body["secret"]).get(CALLS).status_code == 200
    assert Api(f"tnx_{body['prefix']}_{body['secret']}").get(CALLS).status_code == 200
    assert "secret" not in alice.api.get(KEYS).json()["items"][0]
    assert AuditEntry.objects.filter(actor="user:owner@alice.example", action="api_key.created").exists()


@pytest.mark.parametrize("by", ["id", "prefix"])
def test_a_revoked_key_fails_on_the_very_next_request(alice: Tenant, by: str) -> None:
    body = alice.api.post(KEYS, {"name": "short-lived"}).json()
    key = Api(body["secret"])
    assert key.get(CALLS).status_code == 200
    assert alice.api.delete(f"{KEYS}/{body[by]}").status_code == 204
    assert key.get(CALLS).status_code == 401
    assert alice.api.delete(f"{KEYS}/{body[by]}").status_code == 204


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer tnx_aaaaaaaa_bbb", "Bearer a.b.c", "tnx_1"]
)
def test_without_a_good_credential_the_answer_is_401(alice: Tenant, header: str) -> None:
    answer = Api().get(CALLS, Authorization=header) if header else Api().get(CALLS)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_wrong_password_and_an_unknown_address_look_the_same(alice: Tenant) -> None:
    one = Api().post("/api/v1/users/login", {"email": "owner@alice.example", "password": "wrong"})
    other = Api().post("/api/v1/users/login", {"email": "nobody@alice.example", "password": "wrong"})
    assert one.status_code == other.status_code == 401
    assert one.content == other.content


def test_a_token_dies_with_the_password_and_with_the_account(alice: Tenant) -> None:
    user = alice.owner
    token = Api(tokens.issue(user))
    assert token.get(CALLS).status_code == 200
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert token.get(CALLS).status_code == 401
    User.objects.filter(pk=user.pk).update(is_active=True)
    user.set_password("another long password")
    user.save()
    assert token.get(CALLS).status_code == 401


def test_somebody_in_two_workspaces_names_one(alice: Tenant, charlie: Tenant) -> None:
    Membership.objects.create(workspace=charlie.workspace, user=alice.owner, role=Role.VIEWER)
    token = Api(tokens.issue(alice.owner))
    unnamed = token.get(CALLS)
    assert unnamed.status_code == 422
    assert unnamed.json()["detail"][0]["loc"] == ["header", "X-Workspace"]
    for tenant in (alice, charlie):
        for name in (str(tenant.workspace.id), tenant.workspace.slug):
            items = token.get(CALLS, X_Workspace=name).json()["items"]
            assert [item["id"] for item in items] == [str(tenant.call.id)]
    refused = token.get(CALLS, X_Workspace="elsewhere")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_workspace")


def test_a_workspace_header_cannot_leave_the_membership(alice: Tenant, charlie: Tenant) -> None:
    refused = Api(tokens.issue(alice.owner)).get(CALLS, X_Workspace=charlie.workspace.slug)
    assert refused.status_code == 403
    assert charlie.workspace.name not in refused.content.decode()


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("leads:read", "GET", CALLS),
        ("calls:read", "POST", "/api/v1/voice/sessions"),
        ("calls:write", "GET", "/api/v1/crm/leads"),
        ("batches:read", "POST", "/api/v1/voice/batches"),
        ("webhooks:read", "POST", "/api/v1/voice/webhooks"),
        ("calls:write", "POST", KEYS),
        ("calls:read", "GET", "/api/v1/voice/settings"),
    ],
)
def test_a_key_without_the_scope_gets_403(alice: Tenant, scope: str, method: str, path: str) -> None:
    _, text = keys.create(alice.workspace, "narrow", [scope], "system:test")
    answer = Api(text).request(method, path, {})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")  # type: ignore[attr-defined]


def test_a_key_cannot_mint_more_than_it_has(alice: Tenant) -> None:
    _, text = keys.create(alice.workspace, "minter", ["keys:admin", "calls:read"], "system:test")
    assert Api(text).post(KEYS, {"name": "x"}).json()["code"] == "forbidden_scope"
    assert Api(text).post(KEYS, {"name": "x", "scopes": ["calls:read"]}).status_code == 201


@pytest.mark.parametrize(
    ("role", "reads", "writes", "mints"),
    [
        (Role.OWNER, 200, 201, 201),
        (Role.ADMIN, 200, 201, 201),
        (Role.OPERATOR, 200, 201, 403),
        (Role.VIEWER, 200, 403, 403),
    ],
)
def test_a_role_is_a_set_of_scopes(alice: Tenant, role: Role, reads: int, writes: int, mints: int) -> None:
    user = person(f"new-{role}@alice.example")
    Membership.objects.create(workspace=alice.workspace, user=user, role=role)
    token = Api(tokens.issue(user))
    assert token.get(CALLS).status_code == reads
    assert token.post("/api/v1/crm/leads", {"first_name": "New"}).status_code == writes
    assert token.post(KEYS, {"name": "x"}).status_code == mints


def test_an_expiry_holds(alice: Tenant) -> None:
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    body = alice.api.post(KEYS, {"name": "x", "expires_at": later}).json()
    ApiKey.objects.filter(prefix=body["prefix"]).update(expires_at=timezone.now())
    assert Api(body["secret"]).get(CALLS).status_code == 401
    past = alice.api.post(KEYS, {"name": "x", "expires_at": "2020-01-01T00:00:00Z"})
    assert past.status_code == 422
