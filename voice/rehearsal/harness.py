"""Both doubles in one process, on real sockets: for `manage.py rehearse serve`, tests and benches."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from tenex.lib import daytime
from tenex.lib.clock import Clock
from voice.rehearsal import openai_server, scenario, speech
from voice.rehearsal.carrier.exchange import Exchange
from voice.rehearsal.carrier.options import CarrierOptions, NumberSetup
from voice.rehearsal.carrier.records import CallRecord
from voice.rehearsal.carrier.server import EXCHANGE
from voice.rehearsal.carrier.server import build_app as build_carrier
from voice.rehearsal.ears.port import Ears
from voice.rehearsal.scenario import OUR_NUMBER, Scenario
from voice.rehearsal.speech import Speech
from voice.rehearsal.stage import Stage

_SHUTDOWN_S = 3.0


def our_number(app_url: str, phone_number: str = OUR_NUMBER) -> NumberSetup:
    """A number that points at the application, as an operator would set it up."""
    return NumberSetup(
        phone_number,
        voice_url=f"{app_url}/twilio/voice",
        voice_fallback_url=f"{app_url}/twilio/fallback",
        status_callback=f"{app_url}/twilio/status",
    )


def packaged_plan() -> dict[str, list[Scenario]]:
    """What happens on the demo's numbers: the packaged outbound scenarios by the number that they play.

    On the same last four digits of other places too: people are called where it is day.
    """
    loaded = [item for name in scenario.names() if (item := scenario.load(name)).call.direction == "outbound"]
    return {place.number(item.call.to[-4:]): [item] for item in loaded for place in daytime.PLACES}


class Rehearsal:
    """`async with Rehearsal(app_url=…, cache_dir=…) as r:`, then `r.carrier_url`, `r.call_in(…)` and so on.

    Ports default to free ones. Numbers beyond the default one come with `options`.
    """

    def __init__(
        self,
        *,
        app_url: str = "",
        speed: float = 1.0,
        options: CarrierOptions | None = None,
        cache_dir: Path | str,
        host: str = "127.0.0.1",
        carrier_port: int = 0,
        openai_port: int = 0,
        openai_key: str | None = None,
        ears: Ears | None = None,
    ) -> None:
        self.clock = Clock(speed)
        self.stage = Stage()
        self.speech = Speech(cache_dir)
        options = options or CarrierOptions()
        if app_url and not any(setup.phone_number == OUR_NUMBER for setup in options.numbers):
            options = replace(options, numbers=(our_number(app_url), *options.numbers))
        self.options = options
        self._host = host
        self._ports = (carrier_port, openai_port)
        self._openai_key = openai_key
        self._ears = ears
        self._runners: list[web.AppRunner] = []
        self._rendering: asyncio.Task[None] | None = None
        self.exchange: Exchange
        self.carrier_url = ""
        self.openai_url = ""
        """Base address for OPENAI_BASE_URL, ends in /v1."""

    async def __aenter__(self) -> Self:
        carrier = build_carrier(self.stage, self.speech, options=self.options, clock=self.clock)
        model = openai_server.build_app(
            self.stage, self.speech, api_key=self._openai_key, clock=self.clock, ears=self._ears
        )
        self.exchange = carrier[EXCHANGE]
        for number, plan in packaged_plan().items():
            self.exchange.set_scenarios(number, plan)
        self.carrier_url = await self._serve(carrier, self._ports[0])
        self.openai_url = await self._serve(model, self._ports[1]) + "/v1"
        self.exchange.base_url = self.exchange.base_url or self.carrier_url
        await self.speech.warm()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rendering is not None:
            self._rendering.cancel()
            await asyncio.gather(self._rendering, return_exceptions=True)
        for runner in self._runners:
            await runner.cleanup()
        self.speech.close()

    async def _serve(self, app: web.Application, port: int) -> str:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S, handle_signals=False)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, self._host, port, reuse_address=True)
        await site.start()
        host, bound = runner.addresses[0][:2]
        return f"http://{host}:{bound}"

    def render_ahead(self, names: Iterable[str]) -> None:
        """Render the lines of these scenarios in the background, so that nobody waits for a first word."""
        lines: list[tuple[str, speech.Voice]] = []
        for name in names:
            item = scenario.load(name)
            remote = item.call.from_ if item.call.direction == "inbound" else item.call.to
            lines += [(line, speech.AGENT) for line in item.lines("agent")]
            lines += [(line, speech.caller_voice(remote)) for line in item.lines("caller")]
        self._rendering = asyncio.get_running_loop().create_task(self.speech.prepare(lines))

    # --- for tests ---------------------------------------------------------------------------------

    def call_in(self, chosen: Scenario | str, *, from_: str = "", to: str = "") -> CallRecord:
        """Somebody calls our number now."""
        item = scenario.load(chosen) if isinstance(chosen, str) else chosen
        return self.exchange.place_inbound(item, from_=from_, to=to)

    def plan(self, number: str, *chosen: Scenario | str) -> None:
        """What happens when `number` is dialled: one scenario a call, the last one stays."""
        plan = [scenario.load(item) if isinstance(item, str) else item for item in chosen]
        self.exchange.set_scenarios(number, plan)

    async def ended(self, sid: str, timeout_s: float = 60.0) -> CallRecord:
        """The call when it is over and everything that it sends has been sent. `timeout_s` is real time.

        Raises:
            TimeoutError: it is not over by then.
        """
        async with asyncio.timeout(timeout_s):
            live = self.exchange.live.get(sid)
            if live is not None:
                await live.ended.wait()
            while unfinished := self.exchange.unfinished(sid):
                await asyncio.wait(unfinished)
        return self.exchange.books.calls[sid]
