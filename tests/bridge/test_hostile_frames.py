"""What a peer may send after a good start (promises.md B4, B5): nothing raises, nobody else is hurt."""

import base64
import json
import logging
import os
import random
from typing import Any

import pytest

from tests.bridge.conftest import SILENCE, World

pytestmark = pytest.mark.django_db(transaction=True)


def hostile(sid: str, rng: random.Random) -> str:
    """One frame that no carrier sends."""
    media: dict[str, Any] = {"event": "media", "streamSid": sid, "media": {"payload": SILENCE}}
    kinds: list[Any] = [
        "",
        "null",
        "[]",
        "{",
        "[" * 50_000,
        '{"event":' * 5_000,
        '{"event":"media","streamSid":"' + sid + '","media":{"payload":' + "9" * 5_000 + "}}",
        '{"event":"media","media":NaN}',
        '{"event":"media","x":"\\ud800"}',
        {"event": None},
        {"event": "media"},
        {"event": 7},
        {"event": "mark", "streamSid": sid, "mark": {"name": "x" * 10_000}},
        {"event": "mark", "streamSid": sid, "mark": {"name": "never-sent"}},
        {"event": "dtmf", "streamSid": sid, "dtmf": {"digit": "99999"}},
        {"event": "dtmf", "streamSid": sid, "dtmf": None},
        {"event": "connected"},
        {"event": "novelty" * 100, "streamSid": sid},
        media | {"streamSid": "MZother"},
        media | {"media": {"payload": "not base64!!"}},
        media | {"media": {"payload": SILENCE[:-3]}},
        media | {"media": {"payload": 5}},
        media | {"media": {"payload": '","audio":"injected'}},
        media | {"media": {"track": "outbound", "payload": SILENCE}},
        media | {"media": {"payload": base64.b64encode(os.urandom(rng.randrange(1, 40_000))).decode()}},
    ]
    kind = rng.choice(kinds)
    return kind if isinstance(kind, str) else json.dumps(kind)


async def test_hostile_frames_hurt_nobody(world: World, caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(7)
    with caplog.at_level(logging.ERROR):
        async with world.talking() as neighbour:
            for _ in range(4):
                async with world.talking() as talk:
                    for _ in range(80):
                        await talk.phone.ws.send(hostile(talk.phone.sid, rng))
                    await neighbour.phone.speak()
                    count = len(neighbour.session.of("input_audio_buffer.append"))
                    await neighbour.session.wait_for("input_audio_buffer.append", max(1, count))
                    for message in talk.session.received:  # whatever came through is well formed
                        if message["type"] == "input_audio_buffer.append":
                            base64.b64decode(message["audio"], validate=True)
                            assert set(message) == {"type", "audio"}
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_peer_of_rubbish_only_is_closed(world: World) -> None:
    async with world.talking() as talk:
        for _ in range(150):
            await talk.phone.ws.send('{"event":"media"}')
        assert await talk.phone.closed() == 1008
        row = await talk.over()
    assert row.end_hint == ""


@pytest.mark.parametrize("case", ["binary", "second start", "oversize"])
async def test_fatal_frames_close_the_socket(world: World, case: str) -> None:
    async with world.talking() as talk:
        match case:
            case "binary":
                await talk.phone.ws.send(b"\x00\x01")
            case "second start":
                await talk.phone.start("token", "CA1")
            case _:
                await talk.phone.ws.send("x" * 70_000)
        assert await talk.phone.closed() in {1008, 1009}
        await talk.over()


async def test_a_flood_is_thinned_to_something_like_real_time(world: World) -> None:
    async with world.talking() as talk:
        await talk.phone.speak(3000)  # a minute of audio at once
        await talk.phone.return_mark("last")
        await talk.phone.stop()
        await talk.over()
        assert len(talk.session.of("input_audio_buffer.append")) < 1500
