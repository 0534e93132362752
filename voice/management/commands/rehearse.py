"""`manage.py rehearse serve`: the offline carrier and the offline model in one process."""

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from tenex.lib.clock import Clock
from voice.rehearsal import openai_server, scenario
from voice.rehearsal.carrier import server as carrier
from voice.rehearsal.carrier.options import CarrierOptions, NumberSetup
from voice.rehearsal.speech import Speech
from voice.rehearsal.stage import Stage


class Command(BaseCommand):
    help = "Rehearse calls without a phone network and without a speech model."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        serve = actions.add_parser("serve")
        serve.add_argument("--carrier-port", type=int, default=4021)
        serve.add_argument("--openai-port", type=int, default=4022)
        serve.add_argument("--app-url", default=settings.PUBLIC_BASE_URL)
        serve.add_argument("--speed", type=float, default=settings.TIME_SCALE)

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(_serve(options))


async def _serve(options: dict[str, Any]) -> None:
    clock, stage = Clock(options["speed"]), Stage()
    speech = Speech(Path(settings.DATA_DIR) / "speech")
    app_url = options["app_url"]
    number = NumberSetup(
        "+14155550100", f"{app_url}/twilio/voice", f"{app_url}/twilio/fallback", f"{app_url}/twilio/status"
    )
    setup = CarrierOptions(
        account_sid=settings.TWILIO_ACCOUNT_SID,
        auth_token=settings.TWILIO_AUTH_TOKEN,
        numbers=(number,),
        base_url=f"http://127.0.0.1:{options['carrier_port']}",
    )
    phone = carrier.build_app(stage, speech, options=setup, clock=clock)
    for name in scenario.names():
        loaded = scenario.load(name)
        if loaded.call.direction == "outbound":
            phone[carrier.EXCHANGE].set_scenarios(loaded.call.to, [loaded])
    model = openai_server.build_app(stage, speech, api_key=settings.OPENAI_API_KEY, clock=clock)
    for app, port in ((phone, options["carrier_port"]), (model, options["openai_port"])):
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()
