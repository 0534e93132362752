"""What the demo tells: five calls, and what must have come of each."""

import time
from dataclasses import dataclass, field
from typing import Any

from tenex.demo import screen
from tenex.demo.client import Api
from tenex.demo.live import LiveCall, V
from tenex.demo.receiver import Receiver

CRM = "/api/v1/crm"
LEAD_FIELDS = (
    "stage", "qualification", "last_outcome", "last_call_at", "opted_out_at", "title", "notes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expected:
    """What the story says must happen with one number."""

    phone: str
    scenario: str
    outcome: str
    meeting: bool = False
    stage: str = ""
    events: tuple[str, ...] = ("call.ended", "agent.run.completed")


INBOUND = (
    Expected(
        "+14155550101",
        "inbound-qualified",
        "qualified",
        meeting=True,
        stage="qualified",
        events=(
            "call.answered",
            "call.ended",
            "meeting.booked",
            "agent.run.completed",
            "recording.available",
        ),
    ),
    Expected("+14155550199", "inbound-not-a-fit", "unqualified"),
)
OUTBOUND = (
    Expected(
        "+14155550102",
        "outbound-qualified",
        "qualified",
        meeting=True,
        stage="qualified",
        events=("call.answered", "meeting.booked", "call.ended", "agent.run.completed"),
    ),
    Expected("+14155550103", "outbound-no-answer", "no-answer"),
    Expected(
        "+14155550104",
        "outbound-opt-out",
        "opted-out",
        events=("call.ended", "lead.opted_out", "agent.run.completed"),
    ),
)


@dataclass
class Report:
    """`report.json`: everything that was seen, and what was missing."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    batch: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    timings: dict[str, Any] = field(default_factory=dict)

    def miss(self, text: str) -> None:
        self.problems.append(text)
        screen.error(text)


def lead_of(api: Api, phone: str) -> dict[str, Any] | None:
    found = api.get(f"{CRM}/leads", phone=phone)["items"]
    return dict(found[0]) if found else None


def new_call(api: Api, *, known: set[str], timeout_s: float, **filters: str) -> str | None:
    """Id of a call that was not there before."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for call in api.get(f"{V}/calls", **filters)["items"]:
            if call["id"] not in known:
                return str(call["id"])
        time.sleep(0.15)
    return None


def settle(
    api: Api,
    receiver: Receiver,
    live: LiveCall,
    expected: Expected,
    before: dict[str, Any] | None,
    report: Report,
) -> None:
    """Show what came of one call and hold it against the story."""
    call = api.get(f"{V}/calls/{live.call_id}")
    transcript = api.get(f"{V}/calls/{live.call_id}/transcript")
    after = lead_of(api, expected.phone) or {}
    deliveries = _deliveries(receiver, live.call_id, expected.events)
    entry = {
        "scenario": expected.scenario,
        "call": call,
        "transcript": transcript,
        "verdict": call.get("verdict"),
        "lead_before": before,
        "lead_after": after,
        "deliveries": [{"id": d.id, "type": d.type, "verified": d.verified} for d in deliveries],
        "latency": call.get("latency"),
        "stream_events": len(live.events),
    }
    report.calls.append(entry)
    _show(expected, call, transcript, before, after, deliveries)
    _hold(entry, expected, report)


def check_recording(api: Api, call_id: str, report: Report) -> dict[str, Any] | None:
    """Fetch the recording as a listener would and look at its two channels."""
    found = _stored_recording(api, call_id)
    if found is None:
        report.miss("the recording of the first call was not stored")
        return None
    audio = api.bytes_of(found["url"])
    if audio[:4] != b"RIFF" or int.from_bytes(audio[22:24], "little") != 2:
        report.miss("the recording is not a two-channel WAV file")
    return {"bytes": len(audio), "duration_ms": found.get("duration_ms"), "url": found["url"]}


def _stored_recording(api: Api, call_id: str) -> dict[str, Any] | None:
    for _ in range(60):
        try:
            found = api.get(f"{V}/calls/{call_id}/recording")
        except RuntimeError:
            found = {}
        if found.get("status") == "stored" and found.get("url"):
            return dict(found)
        time.sleep(0.5)
    return None


def _deliveries(receiver: Receiver, call_id: str, wanted: tuple[str, ...]) -> list[Any]:
    """Deliveries of a call; waits a little for those that the story wants."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = receiver.of_call(call_id)
        if set(wanted) <= {entry.type for entry in found}:
            break
        time.sleep(0.2)
    return receiver.of_call(call_id)


def _show(
    expected: Expected,
    call: dict[str, Any],
    transcript: dict[str, Any],
    before: dict[str, Any] | None,
    after: dict[str, Any],
    deliveries: list[Any],
) -> None:
    screen.line()
    screen.line(f"   outcome   {call['outcome']}  ({call['end_reason']}, {expected.scenario})")
    if call.get("verdict"):
        names = {
            item["item_id"]: f"{item['speaker']} at {item['start_ms'] / 1000:.0f} s"
            for item in spoken(transcript)
        }
        screen.verdict(call["verdict"], names)
    changed = {
        name: ((before or {}).get(name), after.get(name))
        for name in LEAD_FIELDS
        if (after.get(name) or None) != ((before or {}).get(name) or None)
    }
    screen.changes(before, after, changed)
    for delivery in deliveries:
        mark = "signature ok" if delivery.verified else "SIGNATURE WRONG"
        screen.line(f"   webhook   {delivery.type:<22} {mark}  {delivery.id}")


def spoken(transcript: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in transcript["items"] if item.get("speaker") in {"caller", "agent"}]


def _hold(entry: dict[str, Any], expected: Expected, report: Report) -> None:
    call, verdict = entry["call"], entry["verdict"]
    who = f"{expected.scenario}:"
    if call["outcome"] != expected.outcome:
        report.miss(f"{who} outcome is {call['outcome']}, not {expected.outcome}")
    if expected.stage and entry["lead_after"].get("stage") != expected.stage:
        report.miss(f"{who} the lead's stage is {entry['lead_after'].get('stage')}, not {expected.stage}")
    if expected.meeting and not (verdict or {}).get("meeting"):
        report.miss(f"{who} no meeting was booked")
    if expected.outcome in {"qualified", "unqualified"}:
        _hold_quotes(entry, who, report)
    if expected.outcome == "opted-out" and not entry["lead_after"].get("opted_out_at"):
        report.miss(f"{who} the lead may still be called")
    kinds = [delivery["type"] for delivery in entry["deliveries"]]
    for kind in expected.events:
        if kinds.count(kind) != 1:
            report.miss(f"{who} {kind} was delivered {kinds.count(kind)} times")
    if not all(delivery["verified"] for delivery in entry["deliveries"]):
        report.miss(f"{who} a delivery's signature is wrong")


def _hold_quotes(entry: dict[str, Any], who: str, report: Report) -> None:
    """Every quote of the verdict stands in the transcript, in the turn that it names."""
    texts = {item["item_id"]: item["text"] for item in spoken(entry["transcript"])}
    criteria = (entry["verdict"] or {}).get("criteria") or []
    quotes = [criterion["evidence"] for criterion in criteria if criterion.get("evidence")]
    if not quotes:
        report.miss(f"{who} the verdict quotes nothing")
    for quote in quotes:
        if quote["quote"].lower() not in texts.get(quote["item_id"], "").lower():
            report.miss(f"{who} a quote is not in the transcript")
