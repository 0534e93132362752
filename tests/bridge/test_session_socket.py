"""The socket of provisioned sessions: who gets one, and a call that has no carrier from begin to end."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.utils import timezone
from pytest_django import Settings as SettingsWrapper
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tenex.errors import Conflict
from tenex.server import drain
from tests.bridge.conftest import PhoneClient, Talk, World, make_call
from tests.realtime.fake_model import FakeSession
from voice.bridge import consumer
from voice.bridge.effects import SocketControl
from voice.models import Call, CallEvent, CallStatus, EndReason, VoiceSession
from voice.outbound import sweep
from voice.services import live, operator, sessions
from voice.services.sessions import Provisioned

pytestmark = pytest.mark.django_db(transaction=True)


def provision() -> Provisioned:
    """A browser session with an agent of its own."""
    other = make_call()
    assert other.agent_version
    agent = other.agent_version.agent
    agent.current_version = other.agent_version
    agent.save()
    Call.objects.filter(pk=other.pk).delete()
    return sessions.provision(other.workspace, agent=agent, channel="browser", lead=other.lead)


@dataclass
class Door:
    """Opens session sockets."""

    world: World

    @asynccontextmanager
    async def socket(self, token: str, **headers: str) -> AsyncIterator[PhoneClient]:
        url = f"{self.world.url}/sessions/media/{token}"
        async with connect(url, compression=None, additional_headers=headers) as ws:
            client = PhoneClient(ws, "browser")
            try:
                yield client
            finally:
                client._reader.cancel()

    @asynccontextmanager
    async def talking(self, made: Provisioned, token: str = "") -> AsyncIterator[Talk]:
        async with self.socket(token or made.token) as phone:
            number = len(self.world.model.sessions) + 1
            await phone.start("", "any")
            session: FakeSession = await self.world.model.session(number)
            await session.wait_for("session.update")
            yield Talk(self.world, made.session.call, phone, session)

    async def row(self, made: Provisioned) -> Call:
        row: Call = await self.world.orm(lambda: Call.objects.get(pk=made.session.call_id))
        return row

    async def ended(self, made: Provisioned) -> Call:
        async with asyncio.timeout(8):
            while (row := await self.row(made)).status != CallStatus.ENDED:
                await asyncio.sleep(0.05)
        return row

    async def types(self, made: Provisioned) -> list[str]:
        lines = CallEvent.objects.filter(call_id=made.session.call_id).order_by("seq")
        found: list[str] = await self.world.orm(lambda: list(lines.values_list("type", flat=True)))
        return found


@pytest.fixture
def door(world: World, settings: SettingsWrapper) -> Door:
    settings.TWILIO_AUTH_TOKEN = "a token"  # the carrier's socket is shut for whoever is not the carrier
    return Door(world)


async def made_in(world: World) -> Provisioned:
    made: Provisioned = await world.orm(provision)
    return made


async def test_a_browser_talks_and_leaves(world: World, door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="uvicorn.error")
    made = await made_in(world)
    async with door.talking(made) as talk:
        payload = await talk.agent_says()
        media = await talk.phone.wait_for("media")
        assert (media["streamSid"], media["media"]["payload"]) == ("browser", payload)
        await talk.heard()
        await talk.caller_says("I want to buy.", previous="item_a")
        assert drain.live_calls.count == 1, "a drain waits for it"
        row = await door.row(made)
        assert (row.status, row.provider_sid) == (CallStatus.IN_PROGRESS, None)
        await talk.phone.stop()
        assert await talk.phone.closed() == 1000
    row = await door.ended(made)
    assert (row.end_reason, row.lease_until, row.lease_owner) == (EndReason.CALLER_HANGUP, None, "")
    assert [turn.text for turn in await world.orm(lambda: list(row.turns.order_by("position")))] == [
        "Hello there.",
        "I want to buy.",
    ]
    types = await door.types(made)
    assert types[0] == "call.ringing"
    assert {"call.answered", "transcript.delta", "call.live_ended", "call.ended"} <= set(types)
    session = await world.orm(lambda: VoiceSession.objects.get(pk=made.session.pk))
    assert (session.channel, session.status) == ("browser", "closed")
    assert "/sessions/media/***" in caplog.text
    assert made.token not in caplog.text


async def test_a_page_that_is_closed_has_hung_up(world: World, door: Door) -> None:
    made = await made_in(world)
    async with door.talking(made) as talk:
        await talk.phone.ws.close(1001)
    assert (await door.ended(made)).end_reason == EndReason.CALLER_HANGUP


async def test_the_agent_hangs_up_and_the_page_is_told_why(world: World, door: Door) -> None:
    made = await made_in(world)
    async with door.talking(made) as talk:
        await world.orm(lambda: Call.objects.filter(pk=made.session.call_id).update(end_hint=""))
        await world.orm(lambda: operator.hang_up(Call.objects.get(pk=made.session.call_id)))
        assert await talk.phone.closed() == 1000
        assert talk.phone.ws.close_reason == "operator-hangup"
    assert (await door.ended(made)).end_reason == EndReason.OPERATOR_HANGUP
    assert world.control.asked == [], "there is no carrier to ask"


async def test_a_lost_socket_is_come_back_to(world: World, door: Door) -> None:
    made = await made_in(world)
    async with door.talking(made) as talk:
        await talk.agent_says()
        await talk.heard()
        talk.phone.ws.transport.abort()
    row = await talk.over()
    assert row.status == CallStatus.IN_PROGRESS, "it waits"
    token = await world.orm(lambda: sessions.readmit(made.session))
    async with door.talking(made, token) as talk:
        await talk.session.wait_for("conversation.item.create")
        said = [one["item"]["content"][0]["text"] for one in talk.session.of("conversation.item.create")]
        assert "Hello there." in said, "the agent knows what was said"
        await talk.phone.stop()
        await talk.phone.closed()
    row = await door.ended(made)
    assert (row.end_reason, row.resumes) == (EndReason.CALLER_HANGUP, 1)
    assert "stream.resuming" in await door.types(made)
    channels = await world.orm(lambda: set(row.sessions.values_list("channel", flat=True)))
    assert channels == {"browser"}


async def test_a_second_socket_takes_the_call_over(world: World, door: Door) -> None:
    made = await made_in(world)
    async with door.talking(made) as first:
        await first.agent_says()
        await first.heard()
        token = await world.orm(lambda: sessions.readmit(made.session))
        async with door.talking(made, token) as second:
            with contextlib.suppress(ConnectionClosed):  # it may have found that already
                await first.agent_says(
                    response="resp_2", item="item_b"
                )  # its next write finds the lease gone
            await first.phone.closed()
            await second.phone.speak()
            await second.session.wait_for("input_audio_buffer.append")
            assert (await door.row(made)).status == CallStatus.IN_PROGRESS
            await second.phone.stop()
            await second.phone.closed()
    assert (await door.ended(made)).end_reason == EndReason.CALLER_HANGUP


async def test_nobody_comes_back(world: World, door: Door) -> None:
    made = await made_in(world)
    async with door.talking(made) as talk:
        talk.phone.ws.transport.abort()
    await talk.over()
    past = timezone.now() - timedelta(seconds=1)
    await world.orm(lambda: Call.objects.filter(pk=made.session.call_id).update(sweep_at=past))
    await world.orm(sweep.sweep)
    assert (await door.row(made)).end_reason == EndReason.MEDIA_LOST


async def test_the_sweeper_leaves_a_call_that_has_its_socket(world: World, door: Door) -> None:
    made = await made_in(world)
    async with door.talking(made):
        past = timezone.now() - timedelta(seconds=1)
        await world.orm(lambda: Call.objects.filter(pk=made.session.call_id).update(sweep_at=past))
        await world.orm(sweep.sweep)
        assert (await door.row(made)).status == CallStatus.IN_PROGRESS


async def test_a_process_that_drains_gives_the_call_back(
    world: World, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await made_in(world)
    async with door.talking(made) as talk:
        monkeypatch.setattr(drain, "is_draining", lambda: True)
        talk.phone.ws.transport.abort()
        row = await talk.over()
    assert row.status == CallStatus.IN_PROGRESS
    monkeypatch.setattr(drain, "is_draining", lambda: False)
    token = await world.orm(lambda: sessions.readmit(made.session))
    async with door.talking(made, token) as talk:
        await talk.phone.stop()
        await talk.phone.closed()
    assert (await door.ended(made)).end_reason == EndReason.CALLER_HANGUP


# --- who gets one ---------------------------------------------------------------------------------


async def refused(door: Door, token: str, **headers: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with door.socket(token, **headers):
            pass
    assert caught.value.response.status_code == 403


async def test_a_forged_or_late_token_is_not_even_accepted(
    world: World, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await made_in(world)
    swapped = made.token[:-2] + ("AA" if made.token[-2:] != "AA" else "BB")
    for token in ("x", "t1.1.AAAA.BBBB", swapped, made.token[:-10]):
        await refused(door, token)
    later = timezone.now().timestamp() + 61
    monkeypatch.setattr(live, "_unix", lambda: later)
    await refused(door, made.token)
    assert world.model.requests == []


async def test_a_token_opens_one_socket(world: World, door: Door) -> None:
    made = await made_in(world)
    async with door.talking(made) as talk:
        async with door.socket(made.token) as phone:
            await phone.start("", "any")
            assert await phone.closed() == 1008
        await talk.phone.speak()
        await talk.session.wait_for("input_audio_buffer.append")


async def test_each_door_opens_its_own_calls_only(
    world: World, door: Door, settings: SettingsWrapper
) -> None:
    call = await world.call()
    async with door.socket(await world.token(call)) as phone:
        await phone.start("", "any")
        assert await phone.closed() == 1008
    made = await made_in(world)
    settings.TWILIO_AUTH_TOKEN = ""
    async with world.phone() as phone:
        await phone.start(made.token, "CA" + "0" * 32)
        assert await phone.closed() == 1008
    assert world.model.requests == []


async def test_pages_of_other_sites_are_refused(world: World, door: Door, settings: SettingsWrapper) -> None:
    made = await made_in(world)
    for origin in ("https://evil.example.com", "null", configured.OWN_ORIGIN + ".evil.example.com"):
        await refused(door, made.token, Origin=origin)
    settings.BROWSER_ORIGINS = ["https://app.example.com"]
    await refused(door, made.token, Origin="https://app.example.com:444")
    for origin in ("https://app.example.com", configured.OWN_ORIGIN):
        async with door.socket(made.token, Origin=origin):
            pass  # the token is burnt by `start` alone


async def test_who_says_nothing_is_closed(world: World, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "START_WAIT_S", 0.2)
    made = await made_in(world)
    async with door.socket(made.token) as phone:
        assert await phone.closed() == 1008


async def test_the_same_caps_as_the_carriers_socket(
    world: World, door: Door, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await made_in(world)
    settings.MAX_CALLS_PER_PROCESS = 0
    await refused(door, made.token)
    settings.MAX_CALLS_PER_PROCESS = 10
    monkeypatch.setattr(drain, "is_draining", lambda: True)
    await refused(door, made.token)


async def test_a_call_without_a_phone_line_cannot_be_transferred(world: World, door: Door) -> None:
    made = await made_in(world)
    async with door.talking(made) as talk:
        call = await door.row(made)
        with pytest.raises(Conflict) as by_api:
            await world.orm(lambda: operator.transfer(call, "+14155550199"))
        alone = SocketControl(asyncio.get_running_loop(), lambda reason: None)
        context: Any = None  # it makes no difference whose call it is
        with pytest.raises(Conflict) as by_agent:
            alone.transfer(context, "+14155550199")
        assert by_api.value.code == by_agent.value.code == "no_phone_line"
        await talk.phone.stop()
        await talk.phone.closed()
