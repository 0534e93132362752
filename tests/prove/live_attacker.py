"""Sockets with a good token that then send what no carrier sends. A process of its own, told when over stdin.

`go N` sends frames until N more were sent or `stop` comes; each answer is one JSON line `{"sent": n}`.
"""

import asyncio
import base64
import json
import os
import random
import secrets
import sys
from collections.abc import Callable
from typing import Any

import django
import websockets
from websockets.asyncio.client import ClientConnection, connect

SOCKETS = 8
_PACE_S = 0.018
"""Between two frames of one socket: together some hundred a second."""
_FLOOD_FRAMES = 1500
_FLOOD_PER_S = 500
Frame = str | bytes


def corpus(sid: str, rng: random.Random) -> Frame:
    """One hostile frame (promises.md B4)."""
    from tests.prove.live_phone import SILENCE

    media: dict[str, Any] = {"event": "media", "streamSid": sid, "media": {"payload": SILENCE}}
    noise = base64.b64encode(rng.randbytes(rng.randrange(1, 40_000))).decode()
    fast = (
        '{"event":"media","sequenceNumber":"4","streamSid":"'
        + sid
        + '","media":{"track":"inbound","chunk":"2"'
    )
    kinds: list[Callable[[], Any]] = [
        lambda: "",
        lambda: "null",
        lambda: "[]",
        lambda: "{",
        lambda: "[" * 60_000,
        lambda: '{"event":' * 6_000,
        lambda: '{"event":"media","streamSid":"' + sid + '","media":{"payload":' + "9" * 5_000 + "}}",
        lambda: '{"event":"media","media":NaN}',
        lambda: '{"event":"media","media":1e999}',
        lambda: '{"event":"media","x":"\\ud800"}',
        lambda: {"event": None},
        lambda: {"event": "media"},
        lambda: {"event": 7},
        lambda: {"event": ["media"]},
        lambda: {"event": "stop"},
        lambda: {"event": "mark", "streamSid": sid, "mark": {"name": "x" * 10_000}},
        lambda: {"event": "mark", "streamSid": sid, "mark": {"name": secrets.token_hex(8)}},
        lambda: {"event": "mark", "streamSid": sid, "mark": {"name": ["a"]}},
        lambda: {"event": "dtmf", "streamSid": sid, "dtmf": {"digit": "99999"}},
        lambda: {"event": "dtmf", "streamSid": sid, "dtmf": {"digit": 5}},
        lambda: {"event": "dtmf", "streamSid": sid, "dtmf": None},
        lambda: {"event": "dtmf", "streamSid": sid, "dtmf": {"digit": "#"}},
        lambda: {"event": "connected"},
        lambda: {"event": "novelty" * 100, "streamSid": sid},
        lambda: {"event": secrets.token_hex(20), "streamSid": sid},
        lambda: media | {"streamSid": "MZother"},
        lambda: media | {"streamSid": {}},
        lambda: media | {"media": {"payload": "not base64!!"}},
        lambda: media | {"media": {"payload": SILENCE[:-3]}},
        lambda: media | {"media": {"payload": ""}},
        lambda: media | {"media": {"payload": 5}},
        lambda: media | {"media": {"payload": '","audio":"injected'}},
        lambda: media | {"media": {"track": "outbound", "payload": SILENCE}},
        lambda: media | {"media": {"payload": noise}},
        lambda: fast + ',"payload":"' + noise[:-1] + '"}}',
        lambda: fast + ',"payload":"","payload":"x"}}',
        lambda: fast + '"payload":"' + SILENCE + '"}}',
        lambda: media,
        lambda: media,
        lambda: media,
    ]
    rare: list[Callable[[], Any]] = [
        lambda: b"\x00" * 100,
        lambda: "x" * 70_000,
        lambda: {"event": "start", "streamSid": sid, "start": {}},
        lambda: {"event": "stop", "streamSid": sid, "stop": {}},
    ]
    made = rng.choice(rare if rng.random() < 0.005 else kinds)()
    return made if isinstance(made, str | bytes) else json.dumps(made)


class Attack:
    """Sends while `wanted` is positive."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.sent = 0
        self.wanted = 0
        self.sockets = 0
        self._rng = random.Random(4)
        self._go = asyncio.Event()

    def go(self, frames: int) -> None:
        self.wanted = frames
        self._go.set()

    def stop(self) -> None:
        self.wanted = 0
        self._go.clear()

    async def hostile_socket(self) -> None:
        """One after the other: most end because the application closes them."""
        while True:
            await self._go.wait()
            try:
                async with self._open() as ws:
                    sid = await self._start(ws, tidy=self._rng.random() < 0.8)
                    for _ in range(400):
                        await self._go.wait()
                        await self._send(ws, corpus(sid, self._rng))
                        await asyncio.sleep(_PACE_S)
            except (websockets.WebSocketException, OSError, TimeoutError):
                await asyncio.sleep(0.05)

    async def flood(self) -> None:
        """Well-formed audio, ten times as fast as there is time."""
        from tests.prove.live_phone import SILENCE

        while True:
            await self._go.wait()
            try:
                async with self._open() as ws:
                    sid = await self._start(ws, tidy=True)
                    frame = json.dumps({"event": "media", "streamSid": sid, "media": {"payload": SILENCE}})
                    for _ in range(_FLOOD_FRAMES // 10):
                        await self._go.wait()
                        for _ in range(10):
                            await self._send(ws, frame)
                        await asyncio.sleep(10 / _FLOOD_PER_S)
            except (websockets.WebSocketException, OSError, TimeoutError):
                await asyncio.sleep(0.05)

    async def _send(self, ws: ClientConnection, frame: Frame) -> None:
        await ws.send(frame)
        self.sent += 1
        self.wanted -= 1
        if self.wanted <= 0:
            self._go.clear()

    def _open(self) -> Any:
        from tests.prove.live_phone import signature

        self.sockets += 1
        headers = signature(self._url, {})
        return connect(self._url, compression=None, additional_headers=headers, ping_interval=None)

    async def _start(self, ws: ClientConnection, *, tidy: bool) -> str:
        call_sid, token = await asyncio.to_thread(_fresh_call)
        sid = "MZ" + secrets.token_hex(16)
        if not tidy:
            await self._send(ws, corpus(sid, self._rng))
        start = {"streamSid": sid, "callSid": call_sid, "customParameters": {"token": token}}
        await ws.send(json.dumps({"event": "connected", "protocol": "Call"}))
        await ws.send(json.dumps({"event": "start", "streamSid": sid, "start": start}))
        return sid


def _fresh_call() -> tuple[str, str]:
    from tests.prove.live_system import ringing_call
    from voice.bridge import threads
    from voice.services import live

    def make() -> tuple[str, str]:
        call = ringing_call(f"+1415557{secrets.randbelow(10_000):04d}")
        return call.provider_sid or "", live.issue_token(call)

    return threads.with_connection(make)


async def main(url: str) -> None:
    os.nice(10)  # what is measured is the server, not the fight for a core
    attack = Attack(url)
    loop = asyncio.get_running_loop()
    workers = [loop.create_task(attack.hostile_socket()) for _ in range(SOCKETS)]
    workers.append(loop.create_task(attack.flood()))
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        word, _, number = line.strip().partition(" ")
        attack.go(int(number)) if word == "go" else attack.stop()
        print(json.dumps({"sent": attack.sent, "sockets": attack.sockets}), flush=True)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


if __name__ == "__main__":
    django.setup()
    asyncio.run(main(sys.argv[1]))
