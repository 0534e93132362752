"""The same call on every server that we say it runs on."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import uvicorn
from django.conf import settings
from django.db import connection

from tenex.asgi import application
from tests.bridge.conftest import SILENCE, World

pytestmark = pytest.mark.django_db(transaction=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def plain_uvicorn(world: World) -> AsyncIterator[str]:
    """Without our own protocol class: frames come through ASGI's `receive`."""
    port = free_port()
    config = uvicorn.Config(application, port=port, ws="websockets-sansio", lifespan="on", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"ws://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def daphne(world: World) -> AsyncIterator[str]:
    """A process of its own; Twisted brings its own loop."""
    port = free_port()
    url = urlsplit(settings.DATABASE_URL)
    environment = os.environ | {
        "DATABASE_URL": urlunsplit(url._replace(path=f"/{connection.settings_dict['NAME']}")),
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "OPENAI_BASE_URL": world.model.url,
        "TWILIO_AUTH_TOKEN": "",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "tenex.asgi:application",
        env=environment, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    break
                except OSError:
                    await asyncio.sleep(0.1)
        writer.close()
        await writer.wait_closed()
        yield f"ws://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize("server", [plain_uvicorn, daphne])
async def test_a_call_on(world: World, server: Any) -> None:
    async with server(world) as url:
        world.url = url
        async with world.talking() as talk:
            await talk.session.wait_for("response.create")
            payload = await talk.agent_says(ms=3000)
            assert (await talk.phone.wait_for("media"))["media"]["payload"] == payload
            await talk.phone.speak(5)
            assert (await talk.session.wait_for("input_audio_buffer.append", 5))["audio"] == SILENCE
            await talk.session.say(type="input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
            await talk.phone.wait_for("clear")
            await talk.phone.stop()
            await talk.over()
            assert await talk.phone.closed() == 1000
