"""A whole call over real sockets: phone, bridge, model, rows."""

import asyncio
from dataclasses import replace

import pytest
from pytest_django import Settings as SettingsWrapper

from tenex.monitoring import counts
from tests.bridge.conftest import SILENCE, Result, World
from tests.realtime.fake_model import FakeSession, Message, confirming
from voice.bridge import assembly
from voice.models import Call, CallEvent, CallStatus, Turn, VoiceSession
from voice.services import control
from voice.telephony.errors import CarrierAmbiguous

pytestmark = pytest.mark.django_db(transaction=True)


async def test_the_agent_greets_and_audio_passes_both_ways(world: World) -> None:
    async with world.talking() as talk:
        update = talk.session.of("session.update")[0]["session"]
        assert update["audio"]["output"]["format"] == {"type": "audio/pcmu"}
        assert "You call for Acme." in update["instructions"]
        assert "Caller number: +14155550101" in update["instructions"]
        assert [tool["name"] for tool in update["tools"]] == ["lookup_lead"]
        asked = await talk.session.wait_for("response.create")
        assert asked["response"]["metadata"]["purpose"] == "greeting"
        facts = [str(message) for message in talk.session.of("conversation.item.create")]
        assert any("Hi Maria!" in fact for fact in facts) or "Hi Maria!" in str(asked)
        payload = await talk.agent_says()
        media = await talk.phone.wait_for("media")
        assert media == {"event": "media", "streamSid": talk.phone.sid, "media": {"payload": payload}}
        await talk.phone.wait_for("mark")
        await talk.phone.speak(3)
        appended = await talk.session.wait_for("input_audio_buffer.append", 3)
        assert appended["audio"] == SILENCE


async def test_what_was_said_is_stored_when_the_caller_hangs_up(world: World) -> None:
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.agent_says()
        await talk.heard()
        await talk.caller_says("I want to buy.", previous="item_a")
        await talk.phone.stop()
        row = await talk.over()
        assert await talk.phone.closed() == 1000
    assert row.status == CallStatus.IN_PROGRESS  # the carrier's callback ends it, or the sweeper
    assert row.sweep_at is not None
    assert row.lease_owner == ""
    assert row.end_hint == ""
    assert row.usage["total_tokens"] == 10
    assert "first_audio_ms" in row.latency
    turns = await world.orm(lambda: list(Turn.objects.filter(call=row).order_by("position")))
    assert [(turn.speaker, turn.text) for turn in turns] == [
        ("agent", "Hello there."),
        ("caller", "I want to buy."),
    ]
    lines = await world.orm(lambda: list(CallEvent.objects.filter(call=row).order_by("seq")))
    assert [line.seq for line in lines] == list(range(1, row.journal_seq + 1))
    assert [line.type for line in lines][-1] == "call.live_ended"
    assert "turn.updated" in [line.type for line in lines]
    (session,) = await world.orm(lambda: list(VoiceSession.objects.filter(call=row)))
    assert (session.status, session.provider_session_id, session.usage["total_tokens"]) == (
        "closed",
        "sess_1",
        10,
    )
    assert session.opened_at is not None
    assert session.closed_at is not None


async def test_monitoring_is_told_of_a_call(world: World) -> None:
    def told(name: str, **labels: str) -> float:
        return counts.REGISTRY.get_sample_value(name, labels) or 0.0

    names: list[tuple[str, dict[str, str]]] = [
        ("tenex_media_audio_seconds_total", {"direction": "in"}),
        ("tenex_media_audio_seconds_total", {"direction": "out"}),
        ("tenex_model_sessions_opened_total", {"kind": "first"}),
        ("tenex_tool_run_seconds_count", {"tool": "lookup_lead"}),
        ("tenex_tool_failures_total", {"tool": "lookup_lead", "kind": "failed"}),
        ("tenex_turn_delay_seconds_count", {}),
    ]
    before = [told(name, **labels) for name, labels in names]
    world.tools.act = lambda name: Result('{"error": {}}', ok=False)
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.agent_says(ms=400)
        await talk.heard()
        await talk.phone.speak(9)  # of 20 ms, and the one behind the marks
        await talk.session.wait_for("input_audio_buffer.append", 10)
        await talk.model_calls("lookup_lead")
        await _outputs(talk.session)
        await talk.caller_says("And now?", previous="item_a")
        await talk.agent_says(ms=200, response="resp_2", item="item_b")
        await talk.phone.wait_for("media", 2)
        heard_s = told("tenex_media_audio_seconds_total", direction="in") - before[0]
        assert heard_s == pytest.approx(0.2)  # told while it is live
        await talk.phone.stop()
        await talk.over()
    after = [told(name, **labels) for name, labels in names]
    found = [round(now - was, 3) for now, was in zip(after, before, strict=True)]
    assert found == [pytest.approx(0.2), pytest.approx(0.6), 1, 1, 1, 1]


async def test_the_caller_talks_over_the_agent(world: World) -> None:
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.agent_says(ms=3000)
        await talk.phone.wait_for("mark")
        for _ in range(10):
            await talk.phone.speak()
            await asyncio.sleep(0.02)
        await talk.session.say(type="input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
        await talk.phone.wait_for("clear")
        truncate = await talk.session.wait_for("conversation.item.truncate")
        assert truncate["item_id"] == "item_a"
        assert 0 <= truncate["audio_end_ms"] < 1500
        assert not talk.session.of("response.cancel")


async def test_a_tool_runs_and_the_model_gets_its_output(world: World) -> None:
    world.tools.act = lambda name: Result('{"lead": {"name": "Maria"}}')
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.model_calls("lookup_lead")
        await talk.session.wait_for("conversation.item.create", 1 + _facts(talk.session))
        outputs = await _outputs(talk.session)
        assert outputs == ['{"lead": {"name": "Maria"}}']
        assert world.tools.runs == [("lookup_lead", "{}")]
        await talk.session.wait_for("response.create", 2)


def _facts(session: FakeSession) -> int:
    return sum(message["item"]["type"] == "message" for message in session.of("conversation.item.create"))


async def _outputs(session: FakeSession, count: int = 1) -> list[str]:
    async with asyncio.timeout(5):
        while True:
            found = [
                message["item"]["output"]
                for message in session.of("conversation.item.create")
                if message["item"]["type"] == "function_call_output"
            ]
            if len(found) >= count:
                return found
            session.arrived.clear()
            await session.arrived.wait()


async def test_a_tool_that_raises_is_answered_and_the_call_goes_on(world: World) -> None:
    def fail(name: str) -> Result:
        raise RuntimeError("the CRM is away")

    world.tools.act = fail
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.model_calls("lookup_lead")
        assert "internal_error" in (await _outputs(talk.session))[0]
        await talk.phone.speak()
        await talk.session.wait_for("input_audio_buffer.append")


async def test_a_tool_that_hangs_is_given_up_and_audio_flows_meanwhile(
    world: World, settings: SettingsWrapper
) -> None:
    import threading

    settings.TIME_SCALE = 8.0  # the deadline of 8 s takes one
    let_go = threading.Event()

    def hang(name: str) -> Result:
        let_go.wait(10)
        return Result('{"late": true}')

    world.tools.act = hang
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.model_calls("lookup_lead")
        await talk.phone.speak(5)
        await talk.session.wait_for("input_audio_buffer.append", 5)
        assert "timeout" in (await _outputs(talk.session))[0]
        let_go.set()
        await asyncio.sleep(0.2)
        assert len(await _outputs(talk.session)) == 1


async def test_end_call_hangs_up_after_the_farewell(world: World) -> None:
    world.tools.act = lambda name: Result('{"ok": true}', effect="end_call")
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.model_calls("end_call")
        await talk.session.wait_for("response.create", 2)
        await talk.agent_says(200, response="resp_bye", item="item_bye")
        await talk.phone.wait_for("mark")
        assert world.control.asked == []
        await talk.phone.return_marks()
        async with asyncio.timeout(5):
            await world.control.news.wait()
        assert world.control.asked == [("hang_up", "agent-hangup")]
        await talk.phone.stop()
        row = await talk.over()
    assert row.end_hint == "agent-hangup"


async def test_a_transfer_asks_the_carrier_for_the_workspaces_number(world: World) -> None:
    world.tools.act = lambda name: Result('{"ok": true}', effect="transfer")
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.model_calls("transfer_to_human")
        await talk.session.wait_for("response.create", 2)
        await talk.agent_says(200, response="resp_bye", item="item_bye")
        await talk.phone.wait_for("mark")
        assert world.control.asked == []
        await talk.phone.return_marks()
        async with asyncio.timeout(5):
            await world.control.news.wait()
        assert world.control.asked == [("transfer", "+14155550199")]


async def test_an_operator_speaks_through_the_agent_and_hangs_up(world: World) -> None:
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.agent_says()
        await talk.heard()
        async with asyncio.timeout(5):  # the group is joined in a task beside the media
            while len(talk.session.of("response.create")) < 2:
                await asyncio.to_thread(control.send, talk.call.pk, "say", text="Offer the discount.")
                await asyncio.sleep(0.2)
        assert "Offer the discount." in str(talk.session.of("response.create")[1])
        await asyncio.to_thread(control.send, talk.call.pk, "hangup")
        async with asyncio.timeout(5):
            await world.control.news.wait()
        assert world.control.asked == [("hang_up", "operator-hangup")]


async def test_a_hang_up_that_may_not_have_happened_is_asked_for_again(world: World) -> None:
    world.control.error = CarrierAmbiguous("500")
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        async with asyncio.timeout(5):
            while len(world.control.asked) < 2:
                if not world.control.asked:  # the group is joined in a task beside the media
                    await asyncio.to_thread(control.send, talk.call.pk, "hangup")
                await asyncio.sleep(0.2)
    assert set(world.control.asked) == {("hang_up", "operator-hangup")}


async def test_a_lost_model_is_replaced_with_the_history(world: World) -> None:
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.agent_says()
        await talk.heard()
        await talk.caller_says("I want to buy.", previous="item_a")
        await talk.phone.speak(2)
        talk.session.socket.transport.abort()
        again = await world.model.session(2)
        await again.wait_for("conversation.item.create", 2)
        texts = [item["item"]["content"][0]["text"] for item in again.of("conversation.item.create")]
        assert texts[:2] == ["Hello there.", "I want to buy."]
        await talk.phone.speak(2)
        await again.wait_for("input_audio_buffer.append")
        await talk.phone.stop()
        row = await talk.over()
    sessions = await world.orm(lambda: list(VoiceSession.objects.filter(call=row).order_by("number")))
    assert [(session.number, session.status) for session in sessions] == [(1, "failed"), (2, "closed")]
    assert sessions[0].close_reason == "close_1006"


async def test_without_quota_the_caller_hears_the_apology(world: World) -> None:
    world.model.refuse = (429, {"error": {"code": "insufficient_quota", "message": "no"}})
    call = await world.call()
    async with world.phone() as phone:
        await phone.start(await world.token(call), call.provider_sid or "")
        await phone.wait_for("media")
        await phone.wait_for("mark")
        await phone.return_marks()
        async with asyncio.timeout(10):
            await world.control.news.wait()
        assert world.control.asked[0][0] in {"hang_up", "transfer"}
    assert world.model.sessions == []


async def test_a_resumed_stream_continues_where_it_was(world: World) -> None:
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.agent_says()
        await talk.heard()
        await talk.caller_says("I want to buy.", previous="item_a")
        await asyncio.sleep(0.6)  # written
        talk.phone.ws.transport.abort()  # the carrier's socket breaks without a stop
        await talk.over()
    async with world.phone() as phone:
        await phone.start(await world.token(talk.call), talk.call.provider_sid or "")
        again = await world.model.session(2)
        await again.wait_for("conversation.item.create", 2)
        texts = [item["item"]["content"][0]["text"] for item in again.of("conversation.item.create")]
        assert texts[:2] == ["Hello there.", "I want to buy."]
        assert "Do not greet again" in again.of("session.update")[0]["session"]["instructions"]
        await phone.stop()
        await talk.over()
    sessions = await world.orm(lambda: list(VoiceSession.objects.filter(call=talk.call).order_by("number")))
    assert [session.number for session in sessions] == [1, 2]


async def test_a_takeover_ends_the_older_stream(world: World, settings: SettingsWrapper) -> None:
    settings.CALL_LEASE_S = 0.6  # asked for every 0.2 s
    async with world.talking() as talk, world.phone() as phone:
        await phone.start(await world.token(talk.call), talk.call.provider_sid or "")
        await world.model.session(2)
        assert await talk.phone.closed() == 1000
        await phone.speak()
        await (await world.model.session(2)).wait_for("input_audio_buffer.append")


async def test_a_call_that_cannot_be_put_together_is_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(names: tuple[str, ...]) -> list[Message]:
        raise RuntimeError("our own fault")

    monkeypatch.setattr(world.tools, "definitions", broken)
    call = await world.call()
    async with world.phone() as phone:
        await phone.start(await world.token(call), call.provider_sid or "")
        assert await phone.closed() == 1000  # the TwiML behind the stream goes on
    async with asyncio.timeout(10):  # the lease is given back by the writer, behind the closed socket
        while (row := await world.orm(lambda: Call.objects.get(pk=call.pk))).lease_until is not None:
            await asyncio.sleep(0.05)
    assert row.end_hint == ""
    assert world.model.requests == []


async def test_a_session_is_replaced_before_its_age_limit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = assembly.limits_of
    monkeypatch.setattr(assembly, "limits_of", lambda *args: replace(real(*args), rotate_after_s=1.0))
    async with world.talking() as talk:
        await talk.session.wait_for("response.create")
        await talk.agent_says(200)
        await talk.heard()
        fresh = await world.model.session(2)
        await fresh.wait_for("conversation.item.create")
        assert fresh.of("conversation.item.create")[0]["item"]["content"][0]["text"] == "Hello there."
        await asyncio.wait_for(talk.session.socket.wait_closed(), 5)
        assert talk.session.socket.close_code == 1000
        await talk.phone.speak(3)
        await fresh.wait_for("input_audio_buffer.append", 3)
        assert not talk.phone.of("clear")
        await talk.phone.stop()
        row = await talk.over()
    sessions = await world.orm(lambda: list(VoiceSession.objects.filter(call=row).order_by("number")))
    assert [(session.number, session.status) for session in sessions][:2] == [(1, "closed"), (2, "closed")]


async def test_pcm24k(world: World, settings: SettingsWrapper) -> None:
    settings.REALTIME_AUDIO = "pcm24k"
    async with world.talking() as talk:
        update = talk.session.of("session.update")[0]["session"]["audio"]
        assert update["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
        await talk.phone.speak(10)
        appended = await talk.session.wait_for("input_audio_buffer.append")
        assert len(appended["audio"]) > 1000


async def slow_ready(session: FakeSession, message: Message) -> None:
    if message["type"] == "session.update":
        await asyncio.sleep(0.3)
    await confirming(session, message)


async def test_no_audio_before_the_session_is_configured(world: World) -> None:
    world.model.on_message = slow_ready
    async with world.talking() as talk:
        await talk.phone.speak(5)
        await talk.session.wait_for("input_audio_buffer.append", 5)
        kinds = [message["type"] for message in talk.session.received]
        assert kinds[0] == "session.update"
        assert not talk.phone.of("media")
