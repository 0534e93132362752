"""The page of accounts and keys: owners and admins set them, nobody reads them."""

import secrets

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tenex.workspaces.models import Role, Workspace
from tenex.workspaces.services import vault
from tests import own_accounts, rows
from tests.pages.people import member
from voice.models import Credential, PhoneNumber

PAGE = "/console/credentials"
ACCOUNT, TOKEN = "AC" + secrets.token_hex(16), secrets.token_hex(16)


@pytest.fixture
def space(db: None, settings: Settings) -> Workspace:
    settings.TWILIO_API_BASE_URL = "http://127.0.0.1:9"  # nobody answers: it is kept, and says so
    settings.OPENAI_BASE_URL = "http://127.0.0.1:9/v1"
    return rows.workspace()


def test_only_owners_and_admins_see_it(space: Workspace) -> None:
    for role, status in ((Role.OWNER, 200), (Role.ADMIN, 200), (Role.OPERATOR, 403), (Role.VIEWER, 403)):
        browser = member(role, space, f"{role}@example.com")
        assert browser.get(PAGE).status_code == status, role
        assert browser.post(f"{PAGE}/twilio", {"account_sid": ACCOUNT}).status_code == (
            422 if status == 200 else 403
        )
        menu = browser.get("/console/").content.decode()
        assert (f'href="{PAGE}"' in menu) is (status == 200)


def test_what_is_set_is_not_shown_again(space: Workspace) -> None:
    owner = member(Role.OWNER, space)
    given = {"account_sid": ACCOUNT, "auth_token": TOKEN, "api_key_sid": "", "api_key_secret": ""}
    answer = owner.post(f"{PAGE}/twilio", given, follow=True)
    text = answer.content.decode()
    assert TOKEN not in text
    assert f"ends in <code>{TOKEN[-4:]}</code>" in text
    assert ACCOUNT in text
    assert "did not answer" in text
    checked = owner.post(f"{PAGE}/twilio/check", follow=True).content.decode()
    assert "the provider did not answer" in checked
    assert TOKEN not in checked
    assert "Last checked" in checked


def test_a_mistake_is_named_at_its_field_and_no_secret_comes_back(space: Workspace) -> None:
    owner = member(Role.OWNER, space)
    answer = owner.post(f"{PAGE}/twilio", {"account_sid": "AC-mine", "auth_token": TOKEN})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "AC and 32 characters" in text
    assert 'value="AC-mine"' in text
    assert TOKEN not in text
    assert owner.post(f"{PAGE}/nothing", {}).status_code == 404


def test_an_account_in_use_asks_once_more(space: Workspace) -> None:
    owner = member(Role.OWNER, space)
    PhoneNumber.objects.create(workspace=space, e164="+14155550122")
    own_accounts.twilio(space, account=ACCOUNT)
    refused = owner.post(f"{PAGE}/twilio/forget")
    assert refused.status_code == 409
    assert "1 number," in refused.content.decode()
    other = {"account_sid": "AC" + "f" * 32, "auth_token": TOKEN}
    assert owner.post(f"{PAGE}/twilio", other).status_code == 409
    assert Credential.objects.get().account == ACCOUNT
    owner.post(f"{PAGE}/twilio", {**other, "force": "1"})
    assert Credential.objects.get().account == "AC" + "f" * 32
    owner.post(f"{PAGE}/twilio/forget", {"force": "1"}, follow=True)
    assert not Credential.objects.exists()


def test_a_key_that_cannot_be_read_is_said_and_crashes_no_page(space: Workspace, settings: Settings) -> None:
    owner = member(Role.OWNER, space)
    own_accounts.openai(space)
    settings.SECRETS_KEYS = {"other": bytes(32)}
    vault.forget()
    assert owner.get(PAGE).status_code == 200
    checked = owner.post(f"{PAGE}/openai/check", follow=True)
    assert "is not in secrets_keys" in checked.content.decode().lower()
    answer = owner.post(f"{PAGE}/openai", {"api_key": "sk-" + "x" * 40})
    assert answer.status_code == 503
    for page in ("/console/", "/console/agents", "/console/start", "/console/dashboard"):
        assert owner.get(page).status_code == 200, page


def test_one_query_shows_all(space: Workspace) -> None:
    owner = member(Role.OWNER, space)
    owner.get(PAGE)
    with CaptureQueriesContext(connection) as without:
        owner.get(PAGE)
    own_accounts.twilio(space)
    own_accounts.openai(space)
    with CaptureQueriesContext(connection) as both:
        owner.get(PAGE)
    assert len(both) == len(without)


def test_the_admin_shows_that_it_is_there(space: Workspace) -> None:
    owner = member(Role.OWNER, space)
    row = own_accounts.openai(space, "sk-" + "y" * 40)
    listed = owner.get("/admin/voice/credential/").content.decode()
    shown = owner.get(f"/admin/voice/credential/{row.pk}/change/").content.decode()
    for text in (listed, shown):
        assert "OpenAI" in text
        assert "y" * 10 not in text
        assert row.sealed not in text
    assert "api_key …yyyy" in shown
    assert owner.get("/admin/workspaces/datakey/").status_code == 403
