"""Media streams of the offline carrier: the messages, the queue with its marks, what it complains about."""

import asyncio
import base64
import io
import wave
from itertools import pairwise

import numpy as np
import pytest
import requests

from tests.rehearsal.phone_app import TALK, Peer, standing
from voice.rehearsal.carrier.faults import Faults
from voice.rehearsal.carrier.options import ACCOUNT_SID, AUTH_TOKEN

QUIET = {"caller": {"silence_s": 120}}


async def test_the_first_messages_are_exactly_twilios() -> None:
    async with standing() as stand:

        async def agent(peer: Peer) -> None:
            for _ in range(10):
                await peer.next("media")

        stand.app.on_stream = agent
        stand.app.twiml["/voice"] = stand.app.connect(callId="42", token="secret")
        call = stand.call_in(QUIET)
        await stand.ended(call.sid)
        (peer,) = stand.app.peers
        assert peer.signed
        connected, start, *media = peer.got
        assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        sid = start["streamSid"]
        assert start == {
            "event": "start",
            "sequenceNumber": "1",
            "streamSid": sid,
            "start": {
                "accountSid": ACCOUNT_SID,
                "streamSid": sid,
                "callSid": call.sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"callId": "42", "token": "secret"},
            },
        }
        assert [m["sequenceNumber"] for m in media] == [str(n) for n in range(2, 12)]
        assert [m["media"]["chunk"] for m in media] == [str(n) for n in range(1, 11)]
        assert [m["media"]["timestamp"] for m in media] == [str(n * 20) for n in range(10)]
        assert {m["media"]["track"] for m in media} == {"inbound"}
        assert peer.heard == b"\xff" * 1600
        events = [form["StreamEvent"] for form in stand.app.forms("/stream-status")]
        assert sorted(events) == ["stream-started", "stream-stopped"]
        assert stand.codes(call.sid) == [31921]


async def test_frames_come_at_the_pace_of_the_clock() -> None:
    async with standing(speed=2) as stand:
        at: list[float] = []

        async def agent(peer: Peer) -> None:
            for _ in range(100):
                await peer.next("media")
                at.append(asyncio.get_running_loop().time())

        stand.app.on_stream = agent
        stand.app.twiml["/voice"] = stand.app.connect()
        await stand.ended(stand.call_in(QUIET).sid)
        assert 0.9 <= at[-1] - at[0] < 2.0  # 99 frames of 20 ms at double speed are 0.99 s


async def test_marks_come_back_when_their_sound_was_played() -> None:
    async with standing(speed=4) as stand:
        chunks: list[int] = []

        async def agent(peer: Peer) -> None:
            await peer.next("media")
            await peer.mark("at once")
            await peer.next("mark")
            chunks.append(len(peer.of("media")))
            await peer.say(TALK * 50, "one second")
            await peer.say(TALK * 25, "half a second")
            for _ in range(2):
                await peer.next("mark")
                chunks.append(len(peer.of("media")))

        stand.app.on_stream = agent
        stand.app.twiml["/voice"] = stand.app.connect()
        call = await stand.ended(stand.call_in(QUIET).sid)
        (peer,) = stand.app.peers
        assert [m["mark"]["name"] for m in peer.of("mark")] == ["at once", "one second", "half a second"]
        first, second = (later - earlier for earlier, later in pairwise(chunks))
        assert 49 <= first <= 65  # the call's own frames measure the time
        assert second == 25
        assert call.heard_ms == 1500


async def test_clear_gives_all_marks_back_and_stops_the_sound() -> None:
    async with standing(speed=4) as stand:

        async def agent(peer: Peer) -> None:
            await peer.next("media")
            for name in ("a", "b", "c"):
                await peer.say(TALK * 100, name)
            for _ in range(20):
                await peer.next("media")
            await peer.clear()
            for _ in range(3):
                await peer.next("mark", timeout_s=2)
            await peer.say(TALK * 5, "after")
            await peer.next("mark")

        stand.app.on_stream = agent
        stand.app.twiml["/voice"] = stand.app.connect()
        call = await stand.ended(stand.call_in(QUIET).sid)
        assert [m["mark"]["name"] for m in stand.app.peers[0].of("mark")] == ["a", "b", "c", "after"]
        assert 400 <= call.heard_ms <= 1200
        assert call.streams[0].media_in_ms == 6100
        assert call.streams[0].clears == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"event":"media","streamSid":"SID","media":{"payload":"//8=","track":"outbound"}}', 31951),
        ('{"event":"media","streamSid":"SID","media":{"payload":"?!"}}', 31951),
        ('{"event":"media","streamSid":"MZother","media":{"payload":"//8="}}', 31951),
        ('{"event":"media","media":{"payload":"//8="}}', 31951),
        ('{"event":"clear","streamSid":"SID","reason":"x"}', 31951),
        ('{"event":"mark","streamSid":"SID","mark":{}}', 31951),
        ('{"event":"hangup","streamSid":"SID"}', 31951),
        ("[]", 31951),
        ("not json", 31951),
        (b"\x00", 31950),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
async def test_wrong_messages_are_reported_once(message: str | bytes, code: int, strict: bool) -> None:
    async with standing(strict=strict) as stand:

        async def agent(peer: Peer) -> None:
            await peer.next("media")
            for _ in range(2):
                if isinstance(message, bytes):
                    await peer.ws.send_bytes(message)
                else:
                    await peer.ws.send_str(message.replace("SID", peer.sid))
            if strict:
                await peer.next("stop")
                return
            await peer.mark("still there")
            await peer.next("mark")

        stand.app.on_stream = agent
        stand.app.twiml["/voice"] = stand.app.connect()
        call = await stand.ended(stand.call_in(QUIET).sid)
        assert stand.codes(call.sid).count(code) == (2 if strict and code == 31951 else 1)
        assert call.streams[0].media_in == 0
        assert call.hung_up_by == ("carrier" if strict else "twiml")


async def test_keys_and_the_end_by_the_caller() -> None:
    async with standing() as stand:
        stand.app.twiml["/voice"] = stand.app.connect()
        call = stand.call_in({"caller": {"dtmf": "9#"}}, {"caller": {"hangup": True}})
        await stand.ended(call.sid)
        (peer,) = stand.app.peers
        assert [m["dtmf"] for m in peer.of("dtmf")] == [
            {"track": "inbound_track", "digit": "9"},
            {"track": "inbound_track", "digit": "#"},
        ]
        assert peer.got[-1]["event"] == "stop"
        assert peer.got[-1]["stop"] == {"accountSid": ACCOUNT_SID, "callSid": call.sid}
        assert call.hung_up_by == "caller"
        (form,) = stand.app.forms("/status")
        assert form["CallStatus"] == "completed"


@pytest.mark.parametrize(("fault", "stops"), [("stream_abrupt", 1), ("stream_zombie", 0)])
async def test_a_stream_can_end_without_stop(fault: str, stops: int) -> None:
    async with standing() as stand:
        stand.exchange.dice.faults = Faults.model_validate({fault: 1.0})
        ended = asyncio.Event()

        async def agent(peer: Peer) -> None:
            await peer.until_closed()
            ended.set()

        stand.app.on_stream = agent
        stand.app.twiml["/voice"] = stand.app.connect()
        await stand.ended(stand.call_in({"caller": {"hangup": True}}).sid)
        if stops:
            await asyncio.wait_for(ended.wait(), 3)
        else:
            await asyncio.sleep(0.3)
            assert not ended.is_set()
        assert not stand.app.peers[0].of("stop")


async def test_a_person_speaks_after_the_agent_and_over_it() -> None:
    async with standing(speed=6) as stand:
        sent: dict[str, int] = {}

        async def agent(peer: Peer) -> None:
            await peer.next("media")
            await peer.say(TALK * 100, "greeting")
            await peer.next("mark")
            sent["greeting"] = len(peer.of("media"))
            while not _speech(peer):
                await peer.next("media")
            sent["answer"] = len(peer.of("media"))
            while _speech(peer, tail=100):
                await peer.next("media")
            await peer.say(TALK * 500, "long")
            sent["long"] = len(peer.of("media"))
            while not _speech(peer, tail=20):
                await peer.next("media")
            sent["barge-in"] = len(peer.of("media"))
            await peer.clear()
            await peer.until_closed()

        stand.app.on_stream = agent
        stand.app.twiml["/voice"] = stand.app.connect()
        call = stand.call_in(
            {"agent": "Hello."},
            {"caller": "Good morning."},
            {"agent": "Long text."},
            {"caller": {"say": "Stop, please.", "barge_in_after_ms": 1000}},
            {"caller": {"hangup": True}},
        )
        await stand.ended(call.sid)
        assert call.caller_lines == ["Good morning.", "Stop, please."]
        assert sent["answer"] - sent["greeting"] >= 45  # at least 900 ms of quiet
        assert 50 <= sent["barge-in"] - sent["long"] <= 120
        assert call.script_done


def _speech(peer: Peer, tail: int = 1) -> bool:
    """Some of the last frames are not silence."""
    return any(
        set(base64.b64decode(message["media"]["payload"])) - {0xFF, 0x7F}
        for message in peer.of("media")[-tail:]
    )


async def test_the_recording_has_each_side_on_its_own_channel() -> None:
    async with standing(speed=6) as stand:

        async def agent(peer: Peer) -> None:
            await peer.next("media")
            await peer.say(TALK * 50, "end")
            await peer.next("mark")
            await peer.until_closed()

        app = stand.app
        app.on_stream = agent
        app.twiml["/voice"] = (
            '<Response><Start><Recording channels="dual" recordingStatusCallback="/recorded" '
            'recordingStatusCallbackEvent="in-progress completed"/></Start>'
            + app.connect().removeprefix("<Response>")
        )
        stand.exchange.dice.faults = Faults(recording_404=1)
        call = stand.call_in(
            {"agent": "Hm."}, {"caller": "This is the caller."}, {"caller": {"hangup": True}}
        )
        await stand.ended(call.sid)
        forms = sorted(app.forms("/recorded"), key=lambda form: form["RecordingStatus"], reverse=True)
        assert [form["RecordingStatus"] for form in forms] == ["in-progress", "completed"]
        done = forms[1]
        assert (done["RecordingChannels"], done["RecordingSource"]) == ("2", "StartCallRecordingTwiML")
        url = done["RecordingUrl"]

        def get(address: str) -> requests.Response:
            return requests.get(address, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5)

        assert (await asyncio.to_thread(requests.get, url + ".wav", timeout=5)).status_code == 401
        assert (await asyncio.to_thread(get, url + ".wav?RequestedChannels=2")).status_code == 404
        answer = await asyncio.to_thread(get, url + ".wav?RequestedChannels=2")
        with wave.open(io.BytesIO(answer.content)) as sound:
            assert (sound.getnchannels(), sound.getframerate(), sound.getsampwidth()) == (2, 8000, 2)
            samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, 2)
        seconds = len(samples) / 8000
        assert abs(seconds - float(done["RecordingDuration"])) <= 0.5
        caller, ours = np.abs(samples[:, 0].astype(int)), np.abs(samples[:, 1].astype(int))
        assert int((ours > 1000).sum()) == pytest.approx(8000, abs=200)  # one second, as it was played
        assert (caller > 1000).sum() > 2000
        assert not ((caller > 1000) & (ours > 1000)).any()
        mono = await asyncio.to_thread(get, url + ".wav")
        with wave.open(io.BytesIO(mono.content)) as sound:
            assert sound.getnchannels() == 1
        assert (await asyncio.to_thread(get, url + ".mp3")).status_code == 404
        assert await stand.sdk(lambda c: c.recordings(done["RecordingSid"]).delete())
        assert (await asyncio.to_thread(get, url + ".wav")).status_code == 404


async def test_a_call_update_takes_the_call_away_from_the_stream() -> None:
    async with standing() as stand:
        stand.app.twiml["/voice"] = stand.app.connect()
        stand.app.twiml["/next"] = "<Response><Say>Goodbye.</Say><Hangup/></Response>"
        call = stand.call_in(QUIET)
        peer = await stand.talking()
        await stand.sdk(lambda c: c.calls(call.sid).update(url=f"{stand.app.base_url}/next"))
        await stand.ended(call.sid)
        assert peer.of("stop")
        assert stand.app.forms("/next")[0]["CallStatus"] == "in-progress"
        assert call.heard_ms > 300


async def test_the_socket_is_closed_properly_when_the_caller_hangs_up() -> None:
    async with standing() as stand:
        stand.app.twiml["/voice"] = stand.app.connect()
        call = stand.call_in({"caller": {"hangup": True}})
        await stand.ended(call.sid)
        (peer,) = stand.app.peers
        async with asyncio.timeout(5):
            while call.streams[0].close_code is None or peer.ws.close_code is None:
                await asyncio.sleep(0.01)
        assert peer.ws.close_code == 1000
        assert call.streams[0].close_code == 1000
