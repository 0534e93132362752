"""Accounts and keys of a workspace's own: set, looked at, checked, used, forgotten; never given back."""

import secrets
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from tenex.workspaces.models import AuditEntry
from tests.api.shop import OWNED, Shop
from tests.api.world import Tenant
from voice.models import Call, CallStatus, Credential, PhoneNumber
from voice.rehearsal.carrier.options import NumberSetup
from voice.rehearsal.carrier.rest import open_account
from voice.services import accounts, model_access, number_orders

C = "/api/v1/voice/credentials"
ACCOUNT, TOKEN = "AC" + secrets.token_hex(16), secrets.token_hex(16)
KEY_SID, KEY_SECRET = "SK" + secrets.token_hex(16), secrets.token_urlsafe(24)
MINE = "+14155550190"


@pytest.fixture
def own(shop: Shop) -> Any:
    """The carrier has another account, with a number of its own."""
    exchange = open_account(shop.app, ACCOUNT, TOKEN, {KEY_SID: KEY_SECRET})
    exchange.books.add_number(NumberSetup(MINE))
    return exchange


def put(tenant: Tenant, **more: Any) -> Any:
    return tenant.api.put(f"{C}/twilio", {"account_sid": ACCOUNT, "auth_token": TOKEN, **more})


def test_what_is_set_is_told_of_and_never_told(alice: Tenant, own: Any) -> None:
    made = put(alice, api_key_sid=KEY_SID, api_key_secret=KEY_SECRET)
    assert made.status_code == 200, made.content
    listed = alice.api.get(C)
    [item] = listed.json()["items"]
    assert item["kind"] == "twilio"
    assert item["account"] == ACCOUNT
    assert item["endings"] == {"auth_token": TOKEN[-4:], "api_key_secret": KEY_SECRET[-4:]}
    assert item["state"] == "verified"
    assert item["set_by"].startswith("key:")
    checked = alice.api.post(f"{C}/twilio/check")
    for answer in (made, listed, checked):
        assert TOKEN not in answer.content.decode()
        assert KEY_SECRET not in answer.content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(c)::text FROM voice_credential c")
        [[kept]] = cursor.fetchall()
    assert TOKEN not in kept
    assert KEY_SECRET not in kept
    assert TOKEN not in str(list(AuditEntry.objects.values_list("data", flat=True)))
    assert {"credential.set", "credential.checked"} <= set(
        AuditEntry.objects.values_list("action", flat=True)
    )


@pytest.mark.parametrize(
    ("given", "field", "type_"),
    [
        ({"auth_token": "f" * 32}, "auth_token", "credential_refused"),
        ({"auth_token_secondary": "f" * 32}, "auth_token_secondary", "credential_refused"),
        ({"account_sid": "AC" + "f" * 32}, "auth_token", "credential_refused"),
        ({"api_key_sid": KEY_SID, "api_key_secret": "f" * 32}, "api_key_secret", "credential_refused"),
        ({"account_sid": "AC12"}, "account_sid", "form"),
        ({"auth_token": ""}, "auth_token", "too_short"),
        ({"api_key_sid": KEY_SID}, "api_key_secret", "missing"),
        ({"api_key": "x"}, "api_key", "extra_forbidden"),
    ],
)
def test_what_the_provider_refuses_is_not_kept(
    alice: Tenant, own: Any, given: dict[str, str], field: str, type_: str
) -> None:
    answer = put(alice, **given)
    assert answer.status_code == 422, answer.content
    first = answer.json()["detail"][0]
    assert (first["loc"], first["type"]) == (["body", field], type_)
    assert not Credential.objects.exists()


def test_what_could_not_be_asked_about_is_kept_and_says_so(
    alice: Tenant, own: Any, settings: Settings
) -> None:
    settings.TWILIO_API_BASE_URL = "http://127.0.0.1:9"
    assert put(alice).json()["state"] == "unreachable"
    settings.OPENAI_BASE_URL = "http://127.0.0.1:9/v1"
    made = alice.api.put(f"{C}/openai", {"api_key": "sk-" + "x" * 40, "project": "proj_1"}).json()
    assert (made["state"], made["project"], made["endings"]) == ("unreachable", "proj_1", {"api_key": "xxxx"})
    access = model_access.of(alice.workspace.pk)
    assert access.headers()["OpenAI-Project"] == "proj_1"
    assert access.api_key == "sk-" + "x" * 40
    assert "sk-" not in repr(access)


def test_new_numbers_come_from_the_own_account_and_old_ones_stay(alice: Tenant, own: Any, shop: Shop) -> None:
    old = alice.api.post("/api/v1/voice/numbers", {"e164": OWNED}).json()["id"]
    put(alice)
    assert alice.api.post("/api/v1/voice/numbers", {"e164": "+16285550101", "buy": True}).status_code == 201
    new = alice.api.post("/api/v1/voice/numbers", {"e164": MINE}).json()["id"]
    number_orders.settle()
    accounts_of = dict(PhoneNumber.objects.values_list("pk", "account_sid"))
    assert {str(pk): sid for pk, sid in accounts_of.items()}[old] == ""
    assert PhoneNumber.objects.get(pk=new).account_sid == ACCOUNT
    owned = {one.phone_number for one in own.books.numbers.values()}
    assert owned == {MINE, "+16285550101"}
    assert set(shop.owned()) == {OWNED}
    assert alice.api.post("/api/v1/voice/numbers", {"e164": OWNED}).status_code == 422, "not in this account"


def test_an_account_in_use_is_given_up_by_force_only(alice: Tenant, own: Any) -> None:
    put(alice)
    alice.api.post("/api/v1/voice/numbers", {"e164": MINE})
    Call.objects.create(
        workspace=alice.workspace, direction="outbound", status=CallStatus.RINGING, from_number=MINE,
        to_number="+14155559999", account_sid=ACCOUNT, provider_sid="CA77",
    )  # fmt: skip
    refused = alice.api.delete(f"{C}/twilio")
    assert (refused.status_code, refused.json()["code"]) == (409, "account_in_use")
    assert (refused.json()["numbers"], refused.json()["calls"]) == (1, 1)
    assert alice.api.delete(f"{C}/twilio?force=yes").status_code == 422
    assert alice.api.delete(f"{C}/twilio?force=true").status_code == 204
    assert alice.api.delete(f"{C}/twilio").status_code == 404
    assert not accounts.usable(alice.workspace.pk, ACCOUNT)
    forced = AuditEntry.objects.get(action="credential.removed")
    assert forced.data == {"kind": "twilio", "account": ACCOUNT, "forced": True}


def test_the_tokens_of_an_account_in_use_are_changed_freely(alice: Tenant, own: Any) -> None:
    put(alice)
    alice.api.post("/api/v1/voice/numbers", {"e164": MINE})
    assert put(alice, api_key_sid=KEY_SID, api_key_secret=KEY_SECRET).status_code == 200
    assert accounts.account_of(alice.workspace.pk, ACCOUNT).username == KEY_SID
    assert Credential.objects.count() == 1


def test_only_owners_and_admins_and_only_their_own(alice: Tenant, charlie: Tenant, own: Any) -> None:
    put(alice)
    assert charlie.api.get(C).json()["items"] == []
    assert charlie.api.post(f"{C}/twilio/check").status_code == 404
    assert charlie.api.delete(f"{C}/twilio").status_code == 404
    assert charlie.api.post(f"{C}/nothing/check").status_code == 404
    assert accounts.own_sid(charlie.workspace.pk) == ""


def test_a_use_is_noted(alice: Tenant, own: Any) -> None:
    put(alice)
    assert accounts.carrier_of(alice.workspace.pk, ACCOUNT).numbers()[0].e164 == MINE
    assert Credential.objects.get().last_used_at is not None
    row = Credential.objects.get()
    Credential.objects.update(sealed=row.sealed[:-8] + "AAAAAAAA")
    assert alice.api.post(f"{C}/twilio/check").json()["code"] == "secret_unreadable"
