"""The faults that the offline OpenAI server plays, and the control door that orders them."""

import asyncio
import logging
from typing import Any

import httpx2
import orjson
import pytest
import websockets

from tests.rehearsal.offline_model import Client, Script, Server, connected, serving


async def order(server: Server, kind: str, **fields: Any) -> dict[str, Any]:
    async with httpx2.AsyncClient() as http:
        answer = await http.post(
            f"{server.http}/control/faults", content=orjson.dumps({"kind": kind, **fields})
        )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def ended(client: Client) -> websockets.ConnectionClosed:
    async def read_on() -> None:
        while True:
            await client.next()

    with pytest.raises(websockets.ConnectionClosed) as closed:
        await read_on()
    return closed.value


@pytest.mark.parametrize("kind", ["drop_fin", "drop_rst"])
async def test_socket_is_cut_without_a_closing_frame(kind: str) -> None:
    async with serving() as server, connected(server) as client:
        await client.configure()
        struck = await order(server, kind)
        assert struck["struck"] == [server.truth["session_id"]]
        assert (await ended(client)).rcvd is None
        for _ in range(100):
            if not server.state.open_sessions:
                break
            await asyncio.sleep(0.01)
        assert not server.truth["open"]


async def test_who_leaves_during_a_slow_handshake_is_no_failure_of_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as server:
        await order(server, "delay_handshake", seconds=5.0)  # half of one here
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), connected(server):
                pass
        await asyncio.sleep(0.7)
        assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
        async with connected(server) as client:
            await client.configure()


async def test_close_code_and_expiry() -> None:
    async with serving() as server:
        async with connected(server) as client:
            await client.next()
            await order(server, "close", code="1013")
            rcvd = (await ended(client)).rcvd
            assert rcvd is not None
            assert rcvd.code == 1013
        async with connected(server) as client:
            await client.next()
            await order(server, "session_expired")
            assert (await client.until("error"))["error"]["code"] == "session_expired"
            rcvd = (await ended(client)).rcvd
            assert rcvd is not None
            assert rcvd.code == 1001


async def test_blackhole_keeps_the_socket_and_says_nothing() -> None:
    async with serving() as server, connected(server) as client:
        await client.configure()
        await order(server, "blackhole")
        await client.send("response.create")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.ws.recv(), 0.4)
        assert len(server.state.open_sessions) == 1
        client.ws.transport.abort()


async def test_rejected_and_withheld_configuration() -> None:
    async with serving() as server:
        await order(server, "reject_session_update", next=True)
        async with connected(server) as client:
            error = await client.error_of("session.update", session={"type": "realtime"})
            assert error["param"] == "session"
            await client.configure()  # once is once
        await order(server, "withhold_session_updated", next=True)
        async with connected(server) as client:
            await client.send("session.update", session={"type": "realtime"})
            await client.send("input_audio_buffer.clear")
            await client.until("input_audio_buffer.cleared")
            assert "session.updated" not in client.kinds()


async def test_quota_fails_the_response_and_not_the_session() -> None:
    async with serving(Script([("agent", "Hello.")])) as server, connected(server) as client:
        await client.configure()
        await order(server, "quota")
        await client.send("response.create")
        response = (await client.until("response.done"))["response"]
        assert response["status"] == "failed"
        assert response["status_details"]["error"]["code"] == "insufficient_quota"
        await client.send("response.create")
        assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_malformed_and_unknown_frames() -> None:
    async with serving() as server, connected(server) as client:
        await client.configure()
        await order(server, "unknown_event")
        assert (await client.next())["type"] == "rehearsal.not_in_any_documentation"
        await order(server, "malformed_json")
        with pytest.raises(orjson.JSONDecodeError):
            await client.next()
        await order(server, "server_error")
        assert (await client.until("error"))["error"]["type"] == "server_error"


async def test_failed_transcription() -> None:
    stage = Script([("caller", "Yes."), ("agent", "Fine.")])
    async with serving(stage) as server, connected(server) as client:
        await client.configure()
        await order(server, "fail_transcription")
        await client.speak()
        failed = await client.until("conversation.item.input_audio_transcription.failed")
        assert failed["error"]["code"]


async def test_trickle_slows_the_socket() -> None:
    async with serving(scale=1.0) as server, connected(server) as client:
        await client.configure()
        await order(server, "trickle", bytes_per_s=400)
        began = asyncio.get_running_loop().time()
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        assert asyncio.get_running_loop().time() - began > 0.15


async def test_handshake_faults() -> None:
    async with serving(scale=1.0) as server:
        for kind, status in (("unauthorized", 401), ("handshake_quota", 429), ("handshake_unavailable", 503)):
            await order(server, kind)
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with connected(server):
                    pass
            assert refused.value.response.status_code == status
        await order(server, "delay_handshake", seconds=5.0)  # half of one here
        began = asyncio.get_running_loop().time()
        async with connected(server) as client:
            await client.next()
        assert asyncio.get_running_loop().time() - began >= 0.3


async def test_control_tells_the_truth() -> None:
    async with serving() as server:
        async with connected(server) as client:
            await client.configure()
            await client.append(b"\xff" * 1600)
            await client.error_of("response.cancel")
            async with httpx2.AsyncClient() as http:
                body = (await http.get(f"{server.http}/control/sessions")).json()
                missing = await http.get(f"{server.http}/control/sessions/nobody")
                wrong = await http.post(f"{server.http}/control/faults", content=b'{"kind":"earthquake"}')
        assert body["open"] == 1
        truth = body["sessions"][0]
        assert truth["appended_ms"] == 200
        assert truth["events_received"] == {
            "session.update": 1,
            "input_audio_buffer.append": 2,
            "response.cancel": 1,
        }
        assert [error["code"] for error in truth["errors_sent"]] == ["response_cancel_not_active"]
        assert missing.status_code == 404
        assert wrong.status_code == 400
