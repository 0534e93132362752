"""The demo from start to end."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import orjson

from tenex.demo import screen, story
from tenex.demo.client import Api
from tenex.demo.live import LiveCall, V
from tenex.demo.receiver import Receiver
from tenex.demo.story import INBOUND, OUTBOUND, Expected, Report
from tenex.demo.system import DemoSystem

CALL_TIMEOUT_S = 240.0


def run(folder: Path, *, port: int, speed: float) -> int:
    """Start a system, place the calls, report; the exit status is 0 only if every step happened."""
    stays = sys.stdout.isatty() and os.environ.get("DEMO_EXIT") != "1"
    system = DemoSystem(folder, port=port, speed=speed)
    receiver = Receiver()
    report = Report()
    started = time.monotonic()
    try:
        screen.title("Tenex voice: five calls through a system of its own")
        screen.step(
            "The phone network and the speech model are offline doubles that speak Twilio's and OpenAI's"
        )
        screen.step(
            "protocols. They hear when somebody speaks; what is said comes from a script. All else is real."
        )
        screen.step("starting PostgreSQL, Valkey, web and media, worker, scheduler, rehearsal …")
        system.start()
        report.timings["started_s"] = round(time.monotonic() - started, 1)
        seeded = _seed(system, receiver)
        api = Api(system.base_url, seeded["api_key"])
        _tell(system, api, receiver, report, seeded)
        report.timings["total_s"] = round(time.monotonic() - started, 1)
        _write(folder, report, receiver)
        _sum_up(folder, report)
        if stays:
            _stay(system, seeded)
    except RuntimeError as exc:
        report.miss(str(exc))
        _write(folder, report, receiver)
    except KeyboardInterrupt:
        screen.step("ending …")
    finally:
        system.stop()
        receiver.close()
    return 1 if report.problems or len(report.calls) != len(INBOUND) + len(OUTBOUND) else 0


def _seed(system: DemoSystem, receiver: Receiver) -> dict[str, Any]:
    printed = system.manage("seed_demo", "--json", "--webhook-url", receiver.url)
    seeded: dict[str, Any] = orjson.loads(printed.strip().splitlines()[-1])
    receiver.trust(
        subscription_secret=seeded["webhook"]["secret"],
        workspace_secret=seeded["webhook"]["workspace_secret"],
    )
    return seeded


def _tell(system: DemoSystem, api: Api, receiver: Receiver, report: Report, seeded: dict[str, Any]) -> None:
    for number, expected in enumerate(INBOUND, 1):
        screen.title(f"{number}. Inbound from {expected.phone}")
        _inbound(system, api, receiver, report, expected)
    if report.calls:
        recording = story.check_recording(api, report.calls[0]["call"]["id"], report)
        report.calls[0]["recording"] = recording
        if recording:
            screen.good(f"recording of call 1: {recording['bytes']} bytes, two channels")
    screen.title("3. An outbound batch of three leads")
    _batch(api, receiver, report, seeded)


def _inbound(system: DemoSystem, api: Api, receiver: Receiver, report: Report, expected: Expected) -> None:
    before = story.lead_of(api, expected.phone)
    known = {call["id"] for call in api.get(f"{V}/calls")["items"]}
    placed = httpx2.post(
        f"{system.carrier_url}/control/calls",
        json={"scenario": expected.scenario},
        timeout=30,
        trust_env=False,
    )
    if placed.status_code >= 300:
        raise RuntimeError(f"the carrier did not place the call: {placed.text}")
    call_id = story.new_call(api, known=known, timeout_s=20, direction="inbound")
    if call_id is None:
        raise RuntimeError(f"{expected.scenario}: no call appeared")
    live = LiveCall(api, call_id, expected.phone[-4:])
    if not live.wait(CALL_TIMEOUT_S):
        report.miss(f"{expected.scenario}: the call's stream did not end {live.failure}")
    story.settle(api, receiver, live, expected, before, report)


def _batch(api: Api, receiver: Receiver, report: Report, seeded: dict[str, Any]) -> None:
    # The people of the story live where it is day: only the last four digits are always the same.
    called = [replace(one, phone=seeded["phones"][one.phone[-4:]]) for one in OUTBOUND]
    before = {expected.phone: story.lead_of(api, expected.phone) for expected in called}
    leads = [lead["id"] for lead in before.values() if lead]
    batch = api.post(
        f"{V}/batches",
        {
            "lead_ids": leads,
            "objective": "Find out whether they have a project this year and book a meeting.",
        },
        **{"idempotency-key": "demo-batch"},
    )
    screen.step(f"POST {V}/batches → {batch['id']} ({batch['status']})")
    lives = _follow_batch(api, batch["id"], leads, before)
    for expected in called:
        live = lives.get(expected.phone)
        if live is None or not live.wait(CALL_TIMEOUT_S):
            report.miss(
                f"{expected.scenario}: the call did not end {live.failure if live else '(never began)'}"
            )
        if live is not None:
            screen.title(f"   {expected.phone}")
            story.settle(api, receiver, live, expected, before[expected.phone], report)
    report.batch = _completed(api, batch["id"])
    report.batch["results"] = api.get(f"{V}/batches/{batch['id']}/results")
    if report.batch.get("status") != "completed":
        report.miss(f"the batch is {report.batch.get('status')}, not completed")
    else:
        screen.good(f"batch {batch['id']} completed")


def _follow_batch(
    api: Api, batch_id: str, leads: list[str], before: dict[str, dict[str, Any] | None]
) -> dict[str, LiveCall]:
    """Attach to each call of the batch as it is dialed."""
    phones = {lead["id"]: phone for phone, lead in before.items() if lead}
    lives: dict[str, LiveCall] = {}
    deadline = time.monotonic() + CALL_TIMEOUT_S
    while len(lives) < len(leads) and time.monotonic() < deadline:
        for call in api.get(f"{V}/calls", batch_id=batch_id)["items"]:
            phone = phones[call["lead_id"]]
            if phone not in lives:
                lives[phone] = LiveCall(api, call["id"], phone[-4:])
        time.sleep(0.2)
    return lives


def _completed(api: Api, batch_id: str) -> dict[str, Any]:
    for _ in range(150):
        batch: dict[str, Any] = api.get(f"{V}/batches/{batch_id}")
        if batch["status"] == "completed":
            break
        time.sleep(0.2)
    return batch


def _write(folder: Path, report: Report, receiver: Receiver) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "ok": not report.problems,
        "problems": report.problems,
        "calls": report.calls,
        "batch": report.batch,
        "deliveries": [
            {"id": entry.id, "type": entry.type, "verified": entry.verified, "data": entry.data}
            for entry in receiver.all()
        ],
        "timings": report.timings,
    }
    (folder / "report.json").write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))


def _sum_up(folder: Path, report: Report) -> None:
    screen.title("Result")
    if report.problems:
        screen.error(f"{len(report.problems)} steps did not happen; see {folder / 'report.json'}")
        return
    screen.good(f"{len(report.calls)} calls, every step happened, in {report.timings['total_s']:.0f} s")
    screen.good(f"report: {folder / 'report.json'}")


def _stay(system: DemoSystem, seeded: dict[str, Any]) -> None:
    screen.title("It stays up; Ctrl-C ends it")
    screen.line(f"   admin     {system.base_url}/admin/   {seeded['email']} / {seeded['password']}")
    screen.line(f"   API docs  {system.base_url}/docs")
    url = f"{system.base_url}{V}/calls?limit=5"
    screen.line(f"   try       curl -H 'Authorization: Bearer {seeded['api_key']}' '{url}'")
    system.wait()
