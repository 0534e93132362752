"""`manage.py rehearse`: calls without a phone line or a speech model.

serve   the offline carrier and the offline model, until Ctrl-C
hear    how well recognition understands the callers of the scenarios
list    the packaged scenarios
call    place one call through a running rehearsal and print what happens
run     place calls, one after the other, and check what the scenarios expect
"""

import asyncio
import contextlib
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from voice.rehearsal import expectations, scenario
from voice.rehearsal.ears.port import EarsUnavailable
from voice.rehearsal.expectations import AppFacts
from voice.rehearsal.scenario import Scenario, ScenarioError

_API = "/api/v1/voice"
_FINAL_S = 30.0


class Command(BaseCommand):
    help = "Rehearse calls: an offline carrier and an offline speech model on real sockets."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        serve = actions.add_parser("serve", help="Run the carrier and the model until Ctrl-C.")
        serve.add_argument("--host", default="127.0.0.1")
        serve.add_argument("--carrier-port", type=int, default=4021)
        serve.add_argument("--openai-port", type=int, default=4022)
        serve.add_argument("--app-url", default=settings.PUBLIC_BASE_URL, help="Where our number points.")
        serve.add_argument("--speed", type=float, default=settings.TIME_SCALE, help="1 is real time.")
        serve.add_argument("--calls-per-second", type=float, default=1.0, help="Outbound calls a second.")
        serve.add_argument("--default-scenario", default="", help="For numbers without one of their own.")
        serve.add_argument("--strict", action="store_true", help="A wrong stream message ends the call.")
        serve.add_argument(
            "--ears",
            choices=("script", "whisper"),
            default=settings.REHEARSAL_EARS,
            help="Where the model has the caller's words from: told by the script, or recognized.",
        )
        hear = actions.add_parser("hear", help="Measure recognition on the callers' lines.")
        hear.add_argument("scenario", nargs="*", help="All packaged ones by default.")
        hear.add_argument("--snr-db", type=float, help="Add white noise, so many dB below the voice.")
        for action in (serve, hear):
            action.add_argument("--speech-cache", default=str(settings.BASE_DIR / "var" / "speech"))
        actions.add_parser("list", help="Show the packaged scenarios.")
        for name, text in (("call", "Place one call."), ("run", "Place calls and check them.")):
            action = actions.add_parser(name, help=text)
            action.add_argument("scenario", nargs="+" if name == "run" else None)
            action.add_argument("--carrier-url", default=settings.TWILIO_API_BASE_URL)
            action.add_argument("--app-url", default=settings.PUBLIC_BASE_URL)
            action.add_argument("--api-key", default="", help="Also look at outcome and verdict.")
            action.add_argument("--timeout", type=float, default=600.0, help="Real seconds for one call.")
            action.add_argument("--expect", action="store_true", help="Check `expect` of the scenario.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            match options["action"]:
                case "serve":
                    with contextlib.suppress(KeyboardInterrupt):
                        asyncio.run(self._serve(options))
                case "hear":
                    asyncio.run(self._hear(options))
                case "list":
                    self._list()
                case "call":
                    self._place([options["scenario"]], options, checking=options["expect"])
                case "run":
                    self._place(options["scenario"], options, checking=True)
        except (ScenarioError, EarsUnavailable) as exc:
            raise CommandError(exc.detail) from exc
        except httpx2.TransportError as exc:
            raise CommandError(f"the rehearsal does not answer ({type(exc).__name__})") from exc

    # --- serve -------------------------------------------------------------------------------------

    async def _serve(self, options: dict[str, Any]) -> None:
        from voice.rehearsal.carrier.options import ACCOUNT_SID, AUTH_TOKEN, CarrierOptions
        from voice.rehearsal.ears.whisper import WhisperEars
        from voice.rehearsal.harness import Rehearsal

        keys = {}
        if settings.TWILIO_API_KEY_SID:
            keys[settings.TWILIO_API_KEY_SID] = settings.TWILIO_API_KEY_SECRET
        carrier = CarrierOptions(
            account_sid=settings.TWILIO_ACCOUNT_SID or ACCOUNT_SID,
            auth_token=settings.TWILIO_AUTH_TOKEN or AUTH_TOKEN,
            api_keys=keys,
            calls_per_second=options["calls_per_second"],
            strict=options["strict"],
            default_scenario=options["default_scenario"],
        )
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        async with contextlib.AsyncExitStack() as stack:
            ears = None
            if options["ears"] == "whisper":
                ears = await stack.enter_async_context(WhisperEars())
            rehearsal = await stack.enter_async_context(
                Rehearsal(
                    app_url=options["app_url"].rstrip("/"),
                    speed=options["speed"],
                    options=carrier,
                    cache_dir=options["speech_cache"],
                    host=options["host"],
                    carrier_port=options["carrier_port"],
                    openai_port=options["openai_port"],
                    openai_key=settings.OPENAI_API_KEY or None,
                    ears=ears,
                )
            )
            rehearsal.render_ahead(scenario.names())
            self.stdout.write("Offline doubles. No phone rings, no model thinks: people and agent follow")
            self.stdout.write("scenario files; the voices are synthesized.")
            if ears is not None:
                self.stdout.write(f"What callers say is recognized ({ears.name}, English only).")
            self.stdout.write(f"carrier  TWILIO_API_BASE_URL={rehearsal.carrier_url}")
            self.stdout.write(f"         TWILIO_ACCOUNT_SID={carrier.account_sid}")
            if not settings.TWILIO_AUTH_TOKEN:
                self.stdout.write(f"         TWILIO_AUTH_TOKEN={carrier.auth_token}")
            self.stdout.write(f"model    OPENAI_BASE_URL={rehearsal.openai_url}")
            self.stdout.write(f"numbers point at {options['app_url']}; speed {options['speed']:g}")
            self.stdout.flush()
            await ended.wait()

    # --- hear --------------------------------------------------------------------------------------

    async def _hear(self, options: dict[str, Any]) -> None:
        """Each caller's line over the phone's codec into the ears; word errors a line and in all."""
        from voice.rehearsal.ears import measure
        from voice.rehearsal.ears.whisper import WhisperEars

        chosen = [scenario.load(name) for name in options["scenario"] or scenario.names()]
        async with WhisperEars() as ears:
            self.stdout.write(f"{ears.name}; voices synthesized, 8 kHz µ-law; errors / words, seconds, heard")
            lines = []
            async for line in measure.lines(ears, chosen, options["speech_cache"], options["snr_db"]):
                lines.append(line)
                errors = f"{line.errors.count}/{line.errors.words}"
                self.stdout.write(f"{errors:>6} {line.took_s:5.2f}  {line.heard}")
                if line.errors.count:
                    self.stdout.write(f"        said   {line.said}")
                self.stdout.flush()
        if not lines:
            raise CommandError("nobody says a line that is known ahead in these scenarios")
        total = measure.total(lines)
        self.stdout.write(
            f"word error rate {total.errors.rate:.1%} ({total.errors.count} of {total.errors.words} words, "
            f"{len(lines)} lines); from the commit to the text {total.median_s:.2f} s in the median, "
            f"{total.slowest_s:.2f} s at most, one line at a time"
        )

    def _list(self) -> None:
        for name in scenario.names():
            item = scenario.load(name)
            self.stdout.write(f"{name:<26} {item.call.direction:<9} {item.title}")

    # --- call, run ---------------------------------------------------------------------------------

    def _place(self, names: list[str], options: dict[str, Any], *, checking: bool) -> None:
        if not options["carrier_url"]:
            raise CommandError("where is the carrier? Set TWILIO_API_BASE_URL or give --carrier-url")
        failed = 0
        for name in names:
            item = scenario.load(name)
            if item.call.direction == "outbound":
                raise CommandError(f"{name} is played when the application dials {item.call.to}; use a batch")
            failed += self._one(item, Path(name), options, checking=checking)
        if failed:
            raise CommandError(f"{failed} expectations were not met")

    def _one(self, item: Scenario, source: Path, options: dict[str, Any], *, checking: bool) -> int:
        """Place one call, print it as it goes; how many expectations failed."""
        self.stdout.write(f"--- {item.name}: {item.title}")
        text = source.read_text(encoding="utf-8") if source.suffix in {".yaml", ".yml"} else item.name
        with httpx2.Client(base_url=options["carrier_url"], timeout=30.0, trust_env=False) as carrier:
            placed = carrier.post("/control/calls", json={"scenario": text})
            if placed.status_code != 201:
                raise CommandError(f"the carrier did not place the call: {placed.text}")
            truth: dict[str, Any] = {}
            for truth in _follow(carrier, placed.json()["sid"], options["timeout"]):
                for line in truth.pop("news"):
                    self.stdout.write(line)
        self.stdout.write(
            f"    {truth['status']}, ended by {truth['hung_up_by']}, {truth['duration_s']} s, "
            f"heard {truth['heard_ms'] / 1000:.1f} s of our side"
        )
        for alert in truth["alerts"]:
            self.stdout.write(f"    debugger {alert['code']} ({alert['level']}): {alert['message']}")
        if not checking:
            return 0
        app = _app_facts(options, truth["remote"]) if options["api_key"] else None
        failed = 0
        for checked in expectations.check(item, truth, app):
            mark = {True: "ok  ", False: "FAIL", None: "?   "}[checked.met]
            self.stdout.write(f"    {mark} {checked.text}")
            failed += checked.met is False
        return failed


def _follow(carrier: httpx2.Client, sid: str, timeout_s: float) -> Iterator[dict[str, Any]]:
    """The carrier's truth again and again until the call is over; `news` are lines to print."""
    shown = {"caller_lines": 0, "agent_lines": 0, "tools": 0, "history": 0}
    names = {"caller_lines": "caller", "agent_lines": "agent ", "tools": "tool  ", "history": "call  "}
    deadline = time.monotonic() + timeout_s
    while True:
        truth: dict[str, Any] = carrier.get(f"/control/calls/{sid}").json()
        news = []
        for key in ("history", "agent_lines", "tools", "caller_lines"):
            for entry in truth[key][shown[key] :]:
                news.append(f"    {names[key]} {entry['status'] if key == 'history' else entry}")
            shown[key] = len(truth[key])
        truth["news"] = news
        yield truth
        if truth["hung_up_by"] or time.monotonic() > deadline:
            return
        time.sleep(0.1)


def _app_facts(options: dict[str, Any], remote: str) -> AppFacts | None:
    """The newest call with this number, once it is finalized."""
    headers = {"authorization": f"Bearer {options['api_key']}"}
    with httpx2.Client(base_url=options["app_url"], headers=headers, timeout=30.0, trust_env=False) as api:
        deadline = time.monotonic() + _FINAL_S
        while time.monotonic() < deadline:
            rows = [
                row for row in api.get(f"{_API}/calls").json()["items"] if remote in (row["from"], row["to"])
            ]
            if rows and rows[0]["status"] == "finalized":
                call = api.get(f"{_API}/calls/{rows[0]['id']}").json()
                stream = api.get(f"{_API}/calls/{rows[0]['id']}/stream").text
                events = [line[6:].strip() for line in stream.splitlines() if line.startswith("event:")]
                verdict = call.get("verdict") or {}
                return AppFacts(call["outcome"] or "", str(verdict.get("qualification", "")), events)
            time.sleep(0.3)
    print("the application did not finalize the call in time", file=sys.stderr)
    return None
