"""The carrier as an aiohttp application."""

from aiohttp import web

from tenex.lib.clock import Clock
from voice.rehearsal.carrier import control, rest_calls, rest_media, rest_numbers
from voice.rehearsal.carrier.exchange import Exchange
from voice.rehearsal.carrier.options import CarrierOptions
from voice.rehearsal.carrier.rest import ACCOUNTS, EXCHANGE, rest_door, show_account
from voice.rehearsal.speech import Speech
from voice.rehearsal.stage import Stage


def build_app(
    stage: Stage, speech: Speech, *, options: CarrierOptions | None = None, clock: Clock | None = None
) -> web.Application:
    """REST under `/2010-04-01/`, the rehearsal's own door under `/control/`. State: `app[EXCHANGE]`."""
    exchange = Exchange(
        options=options or CarrierOptions(), clock=clock or Clock(), stage=stage, speech=speech
    )
    app = web.Application(middlewares=[rest_door, control.control_door], client_max_size=1024 * 1024)
    app[EXCHANGE] = exchange
    app[ACCOUNTS] = {exchange.options.account_sid: exchange}
    prefix = "/2010-04-01/Accounts/{account}"
    app.router.add_get("/2010-04-01/Accounts/{account:[^/.]+}.json", show_account)
    rest_calls.add_routes(app, prefix)
    rest_media.add_routes(app, prefix)
    rest_numbers.add_routes(app, prefix)
    control.add_routes(app)
    app.on_response_prepare.append(_sign_answer)
    app.on_shutdown.append(_close)
    return app


async def _sign_answer(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "tenex-rehearsal"  # it imitates, and does not pretend


async def _close(app: web.Application) -> None:
    for exchange in app[ACCOUNTS].values():
        await exchange.close()


__all__ = ["EXCHANGE", "build_app"]
