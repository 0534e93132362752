"""The offline carrier's numbers, over HTTP, in a thread: what the number routes ask."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web
from pytest_django import Settings

from tenex.lib.clock import Clock
from voice.rehearsal.carrier.faults import Faults
from voice.rehearsal.carrier.options import ACCOUNT_SID, AUTH_TOKEN, CarrierOptions, NumberSetup
from voice.rehearsal.carrier.server import EXCHANGE, build_app
from voice.rehearsal.speech import Speech
from voice.rehearsal.stage import Stage

OWNED = "+14155550180"
"""A number that the account has and that nobody uses."""


class Shop:
    """Books and faults are read and set between requests only."""

    def __init__(self, app: web.Application, url: str) -> None:
        self.app = app
        self.exchange = app[EXCHANGE]
        self.url = url

    def reset(self) -> None:
        """One number, no faults."""
        self.exchange.books.numbers.clear()
        self.exchange.books.add_number(NumberSetup(OWNED))
        self.exchange.dice.faults = Faults()

    def owned(self) -> dict[str, str]:
        """Number -> voice URL."""
        return {one.phone_number: one.voice_url for one in self.exchange.books.numbers.values()}

    def sid(self, number: str) -> str:
        record = self.exchange.books.number(number)
        assert record is not None
        return record.sid

    def next_purchases(self, *faults: str) -> None:
        self.exchange.dice.faults.next_purchases = list(faults)  # type: ignore[arg-type]


@contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    ready = threading.Event()
    over = asyncio.Event()
    found: list[Shop] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        options = CarrierOptions(numbers=(NumberSetup(OWNED),))
        app = build_app(Stage(), Speech(folder), options=options, clock=Clock())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.append(Shop(app, f"http://127.0.0.1:{runner.addresses[0][1]}"))
        ready.set()
        await over.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(20)
    try:
        yield found[0]
    finally:
        loops[0].call_soon_threadsafe(over.set)
        thread.join(20)


def use(settings: Settings, shop: Shop) -> None:
    settings.TWILIO_API_BASE_URL = shop.url
    settings.TWILIO_ACCOUNT_SID = ACCOUNT_SID
    settings.TWILIO_AUTH_TOKEN = AUTH_TOKEN
    settings.TWILIO_API_KEY_SID = settings.TWILIO_API_KEY_SECRET = ""
