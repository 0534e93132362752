"""Who gets a media socket (promises.md B6): nobody without a good token, and no model socket before it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings as SettingsWrapper
from websockets.exceptions import InvalidStatus

from tenex.server import drain
from tests import own_accounts
from tests.bridge.conftest import PhoneClient, World
from voice.bridge import consumer
from voice.models import Call, CallStatus, EndReason, StreamToken
from voice.telephony import signature

pytestmark = pytest.mark.django_db(transaction=True)


async def no_token(world: World, call: Call, phone: PhoneClient) -> None:
    await phone.start("", call.provider_sid or "")


async def rubbish_token(world: World, call: Call, phone: PhoneClient) -> None:
    await phone.start("t1.1.AAAA.BBBB", call.provider_sid or "")


async def changed_token(world: World, call: Call, phone: PhoneClient) -> None:
    token = await world.token(call)
    await phone.start(token[:-2] + ("AA" if token[-2:] != "AA" else "BB"), call.provider_sid or "")


async def used_token(world: World, call: Call, phone: PhoneClient) -> None:
    token = await world.token(call)
    await world.orm(lambda: StreamToken.objects.update(used_at=timezone.now()))
    await phone.start(token, call.provider_sid or "")


async def expired_token(world: World, call: Call, phone: PhoneClient) -> None:
    token = await world.token(call)
    await world.orm(lambda: StreamToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1)))
    await phone.start(token, call.provider_sid or "")


async def token_of_another_call(world: World, call: Call, phone: PhoneClient) -> None:
    other = await world.call()
    await phone.start(await world.token(other), call.provider_sid or "")


async def call_that_is_over(world: World, call: Call, phone: PhoneClient) -> None:
    token = await world.token(call)
    await world.orm(
        lambda: Call.objects.filter(pk=call.pk).update(
            status=CallStatus.ENDED, ended_at=timezone.now(), end_reason=EndReason.CALLER_HANGUP
        )
    )
    await phone.start(token, call.provider_sid or "")


async def media_first(world: World, call: Call, phone: PhoneClient) -> None:
    await phone.speak()


async def binary(world: World, call: Call, phone: PhoneClient) -> None:
    await phone.ws.send(b"\x00" * 160)


async def not_json(world: World, call: Call, phone: PhoneClient) -> None:
    await phone.ws.send("hello")


async def deep_json(world: World, call: Call, phone: PhoneClient) -> None:
    await phone.ws.send("[" * 60_000)


async def wrong_codec(world: World, call: Call, phone: PhoneClient) -> None:
    media_format = {"encoding": "audio/L16", "sampleRate": 16000, "channels": 1}
    start = {"streamSid": phone.sid, "callSid": "CA1", "mediaFormat": media_format, "customParameters": {}}
    await phone.send(event="start", streamSid=phone.sid, start=start)


Abuse = Callable[[World, Call, PhoneClient], Awaitable[None]]


@pytest.mark.parametrize(
    "abuse",
    [
        no_token,
        rubbish_token,
        changed_token,
        used_token,
        expired_token,
        token_of_another_call,
        call_that_is_over,
        media_first,
        binary,
        not_json,
        deep_json,
        wrong_codec,
    ],
)
async def test_refused(world: World, abuse: Abuse) -> None:
    call = await world.call()
    async with world.phone() as phone:
        await abuse(world, call, phone)
        assert await phone.closed() == 1008
        assert phone.received == []
    assert world.model.requests == []  # no model socket was ever asked for
    assert drain.live_calls.count == 0


async def test_a_token_works_once(world: World) -> None:
    async with world.talking() as talk:
        token = await world.token(talk.call)
        await world.orm(lambda: StreamToken.objects.update(used_at=timezone.now()))
        async with world.phone() as phone:
            await phone.start(token, talk.call.provider_sid or "")
            assert await phone.closed() == 1008
        await talk.phone.speak()
        await talk.session.wait_for("input_audio_buffer.append")


async def test_a_wrong_try_spoils_the_token(world: World) -> None:
    call = await world.call()
    token = await world.token(call)
    for sid in ("CA" + "0" * 32, call.provider_sid or ""):
        async with world.phone() as phone:
            await phone.start(token, sid)
            assert await phone.closed() == 1008
    assert world.model.requests == []


async def test_race_for_one_token_has_one_winner(world: World) -> None:
    call = await world.call()
    token = await world.token(call)

    async def take() -> int | None:
        async with world.phone() as phone:
            await phone.start(token, call.provider_sid or "")
            await asyncio.sleep(1.0)
            return phone.ws.close_code

    codes = await asyncio.gather(*(take() for _ in range(8)))
    assert sorted(code or 0 for code in codes) == [0] + [1008] * 7
    assert len(world.model.requests) == 1


async def test_silence_instead_of_start_is_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "START_WAIT_S", 0.2)
    async with world.phone() as phone:
        await phone.send(event="connected", protocol="Call", version="1.0.0")
        assert await phone.closed() == 1008


async def test_an_unknown_message_before_start_is_ignored(world: World) -> None:
    call = await world.call()
    async with world.phone() as phone:
        await phone.send(event="novelty", data={})
        await phone.start(await world.token(call), call.provider_sid or "")
        await world.model.session()


async def test_an_outbound_call_without_a_sid_adopts_it(world: World) -> None:
    call = await world.call(provider_sid=None, direction="outbound", status=CallStatus.DIALING)
    async with world.phone() as phone:
        await phone.start(await world.token(call), "CA" + "a" * 32)
        await world.model.session()
        row = await world.orm(lambda: Call.objects.get(pk=call.pk))
    assert (row.provider_sid, row.status) == ("CA" + "a" * 32, CallStatus.IN_PROGRESS)
    assert row.answered_at is not None


async def test_refused_before_accept_when_full_or_draining(
    world: World, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAX_CALLS_PER_PROCESS = 1
    async with world.talking() as talk:
        with pytest.raises(InvalidStatus) as caught:
            async with world.phone():
                pass
        assert caught.value.response.status_code == 403
        settings.MAX_CALLS_PER_PROCESS = 10
        monkeypatch.setattr(drain, "is_draining", lambda: True)
        with pytest.raises(InvalidStatus):
            async with world.phone():
                pass
        await talk.phone.speak()  # the call that is there goes on
        await talk.session.wait_for("input_audio_buffer.append")


def signed(url: str, token: str) -> dict[str, str]:
    return {"X-Twilio-Signature": signature.sign(url, {}, token=token)}


@pytest.mark.parametrize("token", ["primary", "secondary"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_signed_socket_is_accepted(
    world: World, settings: SettingsWrapper, token: str, slash: str
) -> None:
    settings.TWILIO_AUTH_TOKEN, settings.TWILIO_AUTH_TOKEN_SECONDARY = "primary", "secondary"
    settings.MEDIA_BASE_URL = "wss://voice.example.com"  # not where the request seems to go
    call = await world.call()
    async with world.phone(**signed(f"wss://voice.example.com/twilio/media{slash}", token)) as phone:
        await phone.start(await world.token(call), call.provider_sid or "")
        await world.model.session()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Twilio-Signature": ""},
        {"X-Twilio-Signature": "bm9uc2Vuc2U="},
        signed("wss://voice.example.com/twilio/media", "another account's token"),
        signed("wss://evil.example.com/twilio/media", "primary"),
        signed("https://voice.example.com/twilio/media", "primary"),
    ],
)
async def test_an_unsigned_socket_is_not_even_accepted(
    world: World, settings: SettingsWrapper, headers: dict[str, str]
) -> None:
    settings.TWILIO_AUTH_TOKEN = "primary"
    settings.MEDIA_BASE_URL = "wss://voice.example.com"
    with pytest.raises(InvalidStatus) as caught:
        async with world.phone(**headers):
            pass
    assert caught.value.response.status_code == 403
    assert world.model.requests == []


async def _of_an_account(world: World, settings: SettingsWrapper) -> tuple[Call, str]:
    """A call of a workspace with an account of its own, and a token for its stream."""
    settings.TWILIO_AUTH_TOKEN, settings.MEDIA_BASE_URL = "primary", "wss://voice.example.com"
    call = await world.call()

    def own() -> None:
        credential = own_accounts.twilio(call.workspace, token="the account's own")
        Call.objects.filter(pk=call.pk).update(account_sid=credential.account)

    await world.orm(own)
    return call, await world.token(call)


async def test_a_socket_that_the_calls_own_account_signed_is_accepted(
    world: World, settings: SettingsWrapper
) -> None:
    call, token = await _of_an_account(world, settings)
    headers = signed(f"wss://voice.example.com/twilio/media/{token}", "the account's own")
    async with world.phone(token=token, **headers) as phone:
        await phone.start(token, call.provider_sid or "")
        await world.model.session()


@pytest.mark.parametrize("by", ["primary", "another", ""])
async def test_no_other_signature_opens_it(world: World, settings: SettingsWrapper, by: str) -> None:
    _, token = await _of_an_account(world, settings)
    headers = signed(f"wss://voice.example.com/twilio/media/{token}", by) if by else {}
    with pytest.raises(InvalidStatus) as caught:
        async with world.phone(token=token, **headers):
            pass
    assert caught.value.response.status_code == 403
    with pytest.raises(InvalidStatus):
        async with world.phone(token=token[:-3] + "AAA", **headers):
            pass
    assert world.model.requests == []


async def test_neither_door_opens_a_call_of_the_other(world: World, settings: SettingsWrapper) -> None:
    call, token = await _of_an_account(world, settings)
    async with world.phone(**signed("wss://voice.example.com/twilio/media", "primary")) as phone:
        await phone.start(token, call.provider_sid or "")
        assert await phone.closed() == 1008
    _, token = await _of_an_account(world, settings)
    shared = await world.call()
    headers = signed(f"wss://voice.example.com/twilio/media/{token}", "the account's own")
    async with world.phone(token=token, **headers) as phone:
        await phone.start(await world.token(shared), shared.provider_sid or "")
        assert await phone.closed() == 1008
    assert world.model.requests == []


async def test_too_many_unproven_sockets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "MAX_UNPROVEN", 2)
    async with world.phone(), world.phone():
        await asyncio.sleep(0.1)
        with pytest.raises(InvalidStatus):
            async with world.phone():
                pass


async def test_other_socket_addresses_are_refused(world: World) -> None:
    from websockets.asyncio.client import connect

    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"{world.url}/twilio/other"):
            pass
    assert caught.value.response.status_code == 403


def test_the_parameter_fits_the_carriers_limit(db: None) -> None:
    from tests.bridge.conftest import make_call
    from voice.services import live

    call = make_call()
    assert len(json.dumps({"token": live.issue_token(call), "call": str(call.pk)})) < 500
