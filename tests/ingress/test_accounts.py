"""What is asked about a workspace's own account is believed if that account signed it, and no other."""

import uuid
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from tests import own_accounts
from tests.dialing_rows import agent, knock, number, outbound_call, workspace
from voice.models import Call, CallStatus, Recording, StreamToken
from voice.services import accounts, attempts, live
from voice.services.accounts import Owner
from voice.telephony import signature

pytestmark = pytest.mark.django_db

SHARED, ANNA, BORIS = "+14155550111", "+14155550122", "+14155550133"
TOKENS = {SHARED: "the settings' token", ANNA: "a" * 32, BORIS: "b" * 32}


@pytest.fixture(autouse=True)
def _configured(settings: Settings) -> None:
    settings.TWILIO_AUTH_TOKEN = TOKENS[SHARED]
    settings.TWILIO_AUTH_TOKEN_SECONDARY = ""
    settings.PUBLIC_BASE_URL = "https://voice.example"
    settings.MEDIA_BASE_URL = "wss://media.example"
    settings.OPENAI_API_KEY = "sk-test"
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "whitenoise" not in name]


@pytest.fixture
def lines() -> dict[str, Any]:
    """Three workspaces with a number each: the first one uses the account of the settings."""
    found = {}
    for e164 in (SHARED, ANNA, BORIS):
        space = workspace()
        found[e164] = number(space, agent(space), e164=e164)
        if e164 != SHARED:
            own_accounts.twilio(space, token=TOKENS[e164])
            found[e164].refresh_from_db()
    return found


@pytest.fixture
def door() -> Client:
    return Client()


def ring(to: str, sid: str = "CA1") -> dict[str, str]:
    return {"CallSid": sid, "From": "+14155559999", "To": to, "CallStatus": "ringing"}


@pytest.mark.parametrize("called", [SHARED, ANNA, BORIS])
@pytest.mark.parametrize("signed_by", [SHARED, ANNA, BORIS])
def test_a_call_is_taken_from_the_account_of_the_number_only(
    door: Client, lines: dict[str, Any], called: str, signed_by: str
) -> None:
    answer = knock(door, "/twilio/voice", ring(called), token=TOKENS[signed_by])
    assert answer.status_code == (200 if called == signed_by else 403)
    assert Call.objects.count() == (called == signed_by)


def test_a_call_carries_its_account_and_its_socket_names_its_token(
    door: Client, lines: dict[str, Any]
) -> None:
    answer = knock(door, "/twilio/voice", ring(ANNA), token=TOKENS[ANNA]).content.decode()
    call = Call.objects.get()
    assert call.account_sid == lines[ANNA].account_sid != ""
    assert 'url="wss://media.example/twilio/media/t1.' in answer
    assert StreamToken.objects.filter(call=call).count() == 1
    shared = knock(door, "/twilio/voice", ring(SHARED, "CA2"), token=TOKENS[SHARED]).content.decode()
    assert 'url="wss://media.example/twilio/media"' in shared


def test_a_call_id_of_somebody_else_opens_nothing(door: Client, lines: dict[str, Any]) -> None:
    """Boris rings his own number with the id of Anna's call: he must not get her stream."""
    knock(door, "/twilio/voice", ring(ANNA, "CA-of-anna"), token=TOKENS[ANNA])
    for to in (BORIS, "+14155550199"):
        answer = knock(door, "/twilio/voice", ring(to, "CA-of-anna"), token=TOKENS[BORIS])
        assert answer.status_code == 403 or b"<Reject" in answer.content, answer.content
    assert StreamToken.objects.count() == 1


@pytest.mark.parametrize("path", ["resume", "dial", "recording", "stream"])
def test_what_is_told_of_a_call_must_come_from_its_account(
    door: Client, lines: dict[str, Any], path: str
) -> None:
    knock(door, "/twilio/voice", ring(ANNA), token=TOKENS[ANNA])
    call = Call.objects.get()
    form = {"CallSid": "CA1", "RecordingSid": "RE1", "RecordingStatus": "completed", "StreamEvent": "x"}
    for token in (TOKENS[SHARED], TOKENS[BORIS], ""):
        assert knock(door, f"/twilio/{path}/{call.pk}", form, token=token or "x").status_code == 403
    assert not Recording.objects.exists()
    assert knock(door, f"/twilio/{path}/{call.pk}", form, token=TOKENS[ANNA]).status_code in {200, 204}


@pytest.mark.parametrize("path", ["outbound", "status", "amd"])
def test_what_is_told_of_an_attempt_must_come_from_its_account(
    door: Client, lines: dict[str, Any], path: str
) -> None:
    space = lines[ANNA].workspace
    call = outbound_call(space)
    Call.objects.filter(pk=call.pk).update(account_sid=lines[ANNA].account_sid)
    attempt = attempts.prepare(call.pk)
    assert attempt is not None
    attempts.fence(attempt.pk)
    form = {"CallSid": "CA7", "CallStatus": "in-progress", "AnsweredBy": "human"}
    for token in (TOKENS[SHARED], TOKENS[BORIS]):
        assert knock(door, f"/twilio/{path}/{attempt.pk}", form, token=token).status_code == 403
    call.refresh_from_db()
    assert call.status == CallStatus.DIALING
    assert call.provider_sid is None
    assert knock(door, f"/twilio/{path}/{attempt.pk}", form, token=TOKENS[ANNA]).status_code in {200, 204}


@pytest.mark.parametrize("path", ["status", "fallback"])
def test_the_end_of_a_call_is_told_by_its_account(door: Client, lines: dict[str, Any], path: str) -> None:
    knock(door, "/twilio/voice", ring(ANNA), token=TOKENS[ANNA])
    form = {"CallSid": "CA1", "To": BORIS, "CallStatus": "completed", "ErrorCode": "11200"}
    assert knock(door, f"/twilio/{path}", form, token=TOKENS[BORIS]).status_code == 403
    assert knock(door, f"/twilio/{path}", form, token=TOKENS[SHARED]).status_code == 403
    assert knock(door, f"/twilio/{path}", form, token=TOKENS[ANNA]).status_code in {200, 204}


def test_both_tokens_of_an_account_count_while_one_is_rotated(door: Client) -> None:
    space = workspace()
    number(space, agent(space), e164=ANNA)
    own_accounts.twilio(space, token=TOKENS[ANNA], auth_token_secondary="c" * 32)
    assert knock(door, "/twilio/voice", ring(ANNA, "CA1"), token="c" * 32).status_code == 200
    assert knock(door, "/twilio/voice", ring(ANNA, "CA2"), token=TOKENS[ANNA]).status_code == 200


def test_numbers_from_before_stay_with_the_account_of_the_settings(door: Client) -> None:
    """A workspace that got an account of its own goes on with the number that it had."""
    space = workspace()
    line = number(space, agent(space), e164=ANNA)
    own_accounts.twilio(space, token=TOKENS[ANNA])
    type(line).objects.filter(pk=line.pk).update(account_sid="")
    assert knock(door, "/twilio/voice", ring(ANNA, "CA1"), token=TOKENS[SHARED]).status_code == 200
    assert knock(door, "/twilio/voice", ring(ANNA, "CA2"), token=TOKENS[ANNA]).status_code == 403


def test_credentials_that_cannot_be_read_make_nothing_genuine(
    door: Client, lines: dict[str, Any], settings: Settings
) -> None:
    from tenex.workspaces.services import vault

    settings.SECRETS_KEYS = {"other": bytes(32)}
    vault.forget()
    for token in TOKENS.values():
        assert knock(door, "/twilio/voice", ring(ANNA), token=token).status_code == 403
    assert knock(door, "/twilio/voice", ring(SHARED), token=TOKENS[SHARED]).status_code == 200


def test_the_upgrade_of_a_socket_is_signed_by_the_account_of_its_call(lines: dict[str, Any]) -> None:
    def genuine(token: str, by: str) -> bool:
        path = f"/twilio/media/{token}"
        return live.genuine_for(token, path, signature.sign(f"wss://media.example{path}", {}, token=by))

    call = Call.objects.create(
        workspace=lines[ANNA].workspace, direction="inbound", status=CallStatus.RINGING,
        from_number="+14155559999", to_number=ANNA, account_sid=lines[ANNA].account_sid, provider_sid="CA1",
    )  # fmt: skip
    token = live.issue_token(call)
    assert genuine(token, TOKENS[ANNA])
    assert not genuine(token, TOKENS[BORIS])
    assert not genuine(token, TOKENS[SHARED])
    assert not genuine(token + "x", TOKENS[ANNA])


def test_a_call_is_opened_at_the_door_of_its_account_with_its_own_credentials(
    door: Client, lines: dict[str, Any]
) -> None:
    own_accounts.openai(lines[ANNA].workspace, "sk-of-anna-0123456789")
    for e164, sid in ((ANNA, "CA1"), (SHARED, "CA2")):
        knock(door, "/twilio/voice", ring(e164, sid), token=TOKENS[e164])
        call, own = Call.objects.get(provider_sid=sid), e164 == ANNA
        with pytest.raises(live.StreamRefused) as refused:
            live.open_stream(live.issue_token(call), sid, "MZ1", "owner", own_account=not own)
        assert refused.value.extra["reason"] == "other-account"
        context = live.open_stream(live.issue_token(call), sid, "MZ2", "owner", own_account=own)
        assert (context.account is not None) is own
        assert context.model_access is not None
        assert context.model_access.api_key == ("sk-of-anna-0123456789" if own else "sk-test")
        if context.account is not None:
            assert (context.account.sid, context.account.password) == (lines[ANNA].account_sid, TOKENS[ANNA])
        assert TOKENS[ANNA] not in repr(context)
        assert "sk-of-anna" not in repr(context)


def test_a_key_that_cannot_be_read_refuses_the_stream_and_takes_no_other(
    door: Client, lines: dict[str, Any], settings: Settings
) -> None:
    from tenex.workspaces.services import vault

    own_accounts.openai(lines[SHARED].workspace, "sk-of-shared-0123456789")
    knock(door, "/twilio/voice", ring(SHARED), token=TOKENS[SHARED])
    settings.SECRETS_KEYS = {"other": bytes(32)}
    vault.forget()
    with pytest.raises(live.StreamRefused) as refused:
        live.open_stream(live.issue_token(Call.objects.get()), "CA1", "MZ1", "owner")
    assert refused.value.extra["reason"] == "secret_unreadable"


def test_an_account_that_two_workspaces_use_is_each_ones_own(door: Client, lines: dict[str, Any]) -> None:
    """Whoever enters somebody's account with a token of their own cannot speak for that one's calls."""
    thief = workspace()
    own_accounts.twilio(thief, account=lines[ANNA].account_sid, token="d" * 32)
    assert knock(door, "/twilio/voice", ring(ANNA), token="d" * 32).status_code == 403
    assert accounts.tokens(Owner(thief.pk, lines[ANNA].account_sid)) == ["d" * 32]
    assert accounts.tokens(Owner(lines[ANNA].workspace_id, lines[ANNA].account_sid)) == [TOKENS[ANNA]]
    assert accounts.tokens(Owner(uuid.uuid4(), lines[ANNA].account_sid)) == []
