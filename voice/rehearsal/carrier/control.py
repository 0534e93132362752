"""The rehearsal's own door: place calls, choose what happens on numbers, see the truth, make trouble.

Not part of Twilio's API and without credentials: the carrier listens on loopback.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voice.rehearsal import scenario as scenarios
from voice.rehearsal.carrier.faults import Faults
from voice.rehearsal.carrier.options import NumberSetup
from voice.rehearsal.carrier.records import CallRecord, CallStatus
from voice.rehearsal.carrier.rest import ACCOUNTS, Handler, exchange_of, open_account
from voice.rehearsal.carrier.shapes import Refused, refusal
from voice.rehearsal.scenario import Scenario, ScenarioError

_PREFIX = "/control"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


type ScenarioText = str | dict[str, Any]
"""The name of a packaged scenario, the YAML of one, or its content as JSON."""


class PlaceCall(_Body):
    """An inbound call; the numbers are the scenario's if they are not given."""

    scenario: ScenarioText
    from_: str = Field(default="", alias="from")
    to: str = ""


class Plan(_Body):
    """What happens on a remote number (else the scenario's `to`): one scenario a call, the last one stays."""

    number: str = ""
    scenario: ScenarioText | None = None
    scenarios: list[ScenarioText] = []


class Ownership(_Body):
    voice_url: str = ""
    voice_fallback_url: str = ""
    status_callback: str = ""


class NewAccount(_Body):
    auth_token: str = Field(min_length=1)
    api_keys: dict[str, str] = {}


class Press(_Body):
    digits: str = Field(pattern=r"^[0-9*#]+$")


@web.middleware
async def control_door(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Mistakes in a control request come back as text that names the field."""
    if not request.path.startswith(_PREFIX):
        return await handler(request)
    try:
        return await handler(request)
    except ValidationError as exc:
        return web.json_response({"error": [f"{e['loc']}: {e['msg']}" for e in exc.errors()]}, status=422)
    except ScenarioError as exc:
        return web.json_response({"error": exc.detail.splitlines()}, status=422)
    except Refused as exc:
        return refusal(exc.status, exc.code, str(exc))


def add_routes(app: web.Application) -> None:
    router = app.router
    router.add_get(f"{_PREFIX}/health", health)
    router.add_get(f"{_PREFIX}/scenarios", list_scenarios)
    router.add_post(f"{_PREFIX}/calls", place_call)
    router.add_get(f"{_PREFIX}/calls", list_calls)
    router.add_get(f"{_PREFIX}/calls/{{sid}}", show_call)
    router.add_post(f"{_PREFIX}/calls/{{sid}}/hangup", hang_up)
    router.add_post(f"{_PREFIX}/calls/{{sid}}/press", press)
    router.add_post(f"{_PREFIX}/scenarios", plan_number)
    router.add_put(f"{_PREFIX}/scenarios/default", plan_default)
    router.add_put(f"{_PREFIX}/numbers/{{number}}", own_number)
    router.add_get(f"{_PREFIX}/numbers", list_numbers)
    router.add_put(f"{_PREFIX}/accounts/{{sid}}", new_account)
    router.add_get(f"{_PREFIX}/faults", show_faults)
    router.add_put(f"{_PREFIX}/faults", set_faults)
    router.add_post(f"{_PREFIX}/faults", set_faults)
    router.add_patch(f"{_PREFIX}/faults", change_faults)
    router.add_get(f"{_PREFIX}/debugger", debugger)
    router.add_get(f"{_PREFIX}/dials", dials)


async def new_account(request: web.Request) -> web.Response:
    """Another account at this carrier. `?account=` on the other addresses of this door looks at it."""
    body = NewAccount.model_validate(await request.json())
    sid = request.match_info["sid"]
    if sid in request.app[ACCOUNTS]:
        raise Refused(409, 20409, "There is such an account")
    open_account(request.app, sid, body.auth_token, body.api_keys)
    return web.json_response({"sid": sid}, status=201)


async def health(request: web.Request) -> web.Response:
    exchange = exchange_of(request)
    return web.json_response(
        {
            "ok": True,
            "what": "an offline rehearsal of a telephone carrier; no real phone is rung",
            "speed": exchange.clock.scale,
            "live_calls": len(exchange.live),
            "calls": len(exchange.books.calls),
            "callbacks_under_way": exchange.webhooks.busy,
        }
    )


async def list_scenarios(_: web.Request) -> web.Response:
    loaded = [scenarios.load(name) for name in scenarios.names()]
    return web.json_response(
        {"scenarios": [{"name": s.name, "title": s.title, "direction": s.call.direction} for s in loaded]}
    )


def _chosen(text: ScenarioText) -> Scenario:
    if isinstance(text, dict):
        return scenarios.parse(yaml.safe_dump(text, sort_keys=False), source="scenario")
    return scenarios.parse(text, source="scenario") if "\n" in text else scenarios.load(Path(text).name)


async def place_call(request: web.Request) -> web.Response:
    body = PlaceCall.model_validate(await request.json())
    record = exchange_of(request).place_inbound(_chosen(body.scenario), from_=body.from_, to=body.to)
    return web.json_response({"sid": record.sid, "from": record.from_, "to": record.to}, status=201)


def truth(request: web.Request, call: CallRecord) -> dict[str, Any]:
    """Everything that really happened on a call, told by the carrier."""
    exchange = exchange_of(request)
    live = exchange.live.get(call.sid)
    stage_call = live.stage_call if live is not None else None
    caller = [line.text for line in stage_call.spoken] if stage_call is not None else call.caller_lines
    agent = stage_call.agent.said if stage_call is not None else call.agent_lines
    tools = [name for name, _ in stage_call.agent.tools_used] if stage_call is not None else call.tools
    start_s = call.history[0].clock_s if call.history else 0.0
    return {
        "sid": call.sid,
        "direction": call.direction,
        "from": call.from_,
        "to": call.to,
        "remote": call.remote,
        "scenario": call.scenario,
        "status": call.status.value,
        "history": [
            {"status": entry.status.value, "at_s": round(entry.clock_s - start_s, 3)}
            for entry in call.history
        ],
        "sip_code": call.sip_code,
        "answered_by": call.answered_by,
        "duration_s": call.duration_s,
        "dials": call.dials,
        "hung_up_by": call.hung_up_by,
        "heard_ms": call.heard_ms,
        "spoke_ms": call.spoke_ms,
        "streams": [asdict(facts) for facts in call.streams],
        "caller_lines": caller,
        "agent_lines": agent,
        "tools": tools,
        "tool_at_ms": stage_call.agent.tool_at_ms if stage_call is not None else call.tool_at_ms,
        "script_done": stage_call is None and call.script_done,
        "recordings": [
            {"sid": item.sid, "status": item.status, "duration_s": item.duration_s}
            for item in exchange.books.recordings_of(call.sid)
        ],
        "callbacks": call.callbacks,
        "alerts": [
            {"code": alert.code, "message": alert.message, "level": alert.level}
            for alert in exchange.books.alerts
            if alert.call_sid == call.sid
        ],
    }


def _call(request: web.Request) -> CallRecord:
    call = exchange_of(request).books.calls.get(request.match_info["sid"])
    if call is None:
        raise Refused(404, 20404, "no such call")
    return call


async def list_calls(request: web.Request) -> web.Response:
    calls = exchange_of(request).books.calls.values()
    number = request.query.get("number")
    return web.json_response(
        {"calls": [truth(request, call) for call in calls if number in (None, call.from_, call.to)]}
    )


async def show_call(request: web.Request) -> web.Response:
    return web.json_response(truth(request, _call(request)))


async def hang_up(request: web.Request) -> web.Response:
    """The person hangs up now."""
    call = _call(request)
    live = exchange_of(request).live.get(call.sid)
    if live is not None:
        live.end(CallStatus.COMPLETED, by="caller")
    return web.json_response({"status": call.status.value})


async def press(request: web.Request) -> web.Response:
    """The person presses keys now."""
    body = Press.model_validate(await request.json())
    live = exchange_of(request).live.get(_call(request).sid)
    if live is not None:
        for digit in body.digits:
            live.line.press(digit)
    return web.json_response({"pressed": body.digits if live is not None else ""})


def _planned(body: Plan) -> list[Scenario]:
    texts = body.scenarios if body.scenario is None else [body.scenario, *body.scenarios]
    if not texts:
        raise ScenarioError("give scenario or scenarios")
    return [_chosen(text) for text in texts]


async def plan_number(request: web.Request) -> web.Response:
    body = Plan.model_validate(await request.json())
    plan = _planned(body)
    number = body.number or plan[0].call.to
    exchange_of(request).set_scenarios(number, plan)
    return web.json_response({"number": number, "scenarios": [s.name for s in plan]})


async def plan_default(request: web.Request) -> web.Response:
    """What happens on numbers without a plan of their own."""
    exchange = exchange_of(request)
    exchange.default_scenario = _planned(Plan.model_validate(await request.json()))[0]
    return web.json_response({"default": exchange.default_scenario.name})


async def own_number(request: web.Request) -> web.Response:
    body = Ownership.model_validate(await request.json())
    setup = NumberSetup(request.match_info["number"], **body.model_dump())
    record = exchange_of(request).books.add_number(setup)
    return web.json_response({"sid": record.sid, **body.model_dump()})


async def list_numbers(request: web.Request) -> web.Response:
    rows = exchange_of(request).books.numbers.values()
    return web.json_response({"numbers": {row.phone_number: row.voice_url for row in rows}})


async def show_faults(request: web.Request) -> web.Response:
    return web.json_response(exchange_of(request).dice.faults.model_dump())


async def set_faults(request: web.Request) -> web.Response:
    """These faults and no others; `{}` ends all trouble."""
    dice = exchange_of(request).dice
    dice.faults = Faults.model_validate(await request.json())
    return web.json_response(dice.faults.model_dump())


async def change_faults(request: web.Request) -> web.Response:
    dice = exchange_of(request).dice
    dice.faults = Faults.model_validate(dice.faults.model_dump() | await request.json())
    return web.json_response(dice.faults.model_dump())


async def debugger(request: web.Request) -> web.Response:
    alerts = exchange_of(request).books.alerts
    return web.json_response(
        {
            "alerts": [
                {"code": a.code, "message": a.message, "call_sid": a.call_sid, "level": a.level,
                 "at": a.at.isoformat()}
                for a in alerts
            ]
        }
    )  # fmt: skip


async def dials(request: web.Request) -> web.Response:
    """`{number: how often it was really dialled}`."""
    return web.json_response(dict(exchange_of(request).dials))
