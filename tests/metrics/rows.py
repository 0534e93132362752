"""Calls of every kind at chosen times, and the figures counted one by one, in plain Python."""

import random
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crm.models import Lead
from tenex.lib.periods import Period
from tenex.workspaces.models import Workspace
from tests import rows
from voice.models import (
    Agent,
    AgentVersion,
    Batch,
    Call,
    CallStatus,
    Direction,
    EndReason,
    Outcome,
    PhoneNumber,
    Verdict,
    VoiceProfile,
)
from voice.selectors.measures import BOUNDS_MS, BUCKETS, OUTCOMES
from voice.selectors.metrics import Tally, Which

START = datetime(2026, 3, 8, 3, tzinfo=UTC)
"""Six hours around a change of the clock in New York (07:00 UTC)."""
HOURS = 6


@dataclass(slots=True)
class Place:
    """A workspace with two of everything that figures are filtered by."""

    workspace: Workspace
    versions: list[AgentVersion]
    numbers: list[PhoneNumber]
    batches: list[Batch]
    lead: Lead


def place(slug: str, seat: int) -> Place:
    space = rows.workspace(slug, time_zone="America/New_York")
    profile = VoiceProfile.objects.create(workspace=space, name="Voice")
    versions = []
    for name in ("ava", "ben"):
        agent = Agent.objects.create(workspace=space, name=name, slug=name, profile=profile)
        versions.append(AgentVersion.objects.create(agent=agent, number=1, system_prompt="x"))
    numbers = [
        PhoneNumber.objects.create(workspace=space, e164=f"+1415555{seat}10{n}", agent=versions[n].agent)
        for n in range(2)
    ]
    batches = [
        Batch.objects.create(workspace=space, objective="o", agent=versions[n].agent, number=numbers[n])
        for n in range(2)
    ]
    return Place(space, versions, numbers, batches, rows.lead(space, phone=f"+1415555{seat}199"))


def random_fields(rng: random.Random, where: Place) -> dict[str, Any]:
    """A finalized call, of any shape that the database accepts."""
    created_at = START + timedelta(seconds=rng.uniform(0, HOURS * 3600))
    placed = rng.random() < 0.9
    answered = placed and rng.random() < 0.7
    length_ms = rng.randrange(120_000)
    at = created_at + timedelta(seconds=2)
    fields: dict[str, Any] = {
        "workspace": where.workspace,
        "created_at": created_at,
        "direction": rng.choice(Direction.values),
        "agent_version": rng.choice([*where.versions, None]),
        "number": rng.choice([*where.numbers, None]),
        "batch": rng.choice([*where.batches, None]),
        "lead": where.lead,
        "from_number": "+14155550100",
        "to_number": "+14155550199",
        "placed_at": at if placed else None,
        "answered_at": at if answered else None,
        "answered_by": rng.choice(["", "human", "unknown", "machine_start", "machine_end_beep", "fax"]),
        "transfer_state": rng.choice(["", "", "bridged", "failed"]),
        "latency": random_latency(rng),
        "usage": random_usage(rng),
        "duration_ms": length_ms if answered else None,
        "status": CallStatus.FINALIZED,
        "outcome": rng.choice(Outcome.values),
        "end_reason": rng.choice(EndReason.values),
        "ended_at": at + timedelta(milliseconds=length_ms),
        "finalized_at": at + timedelta(seconds=200),
    }
    return fields


def random_latency(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.3:
        return rng.choice([{}, {"first_audio_ms": 400}, {"turn_ms": {"count": 1, "p50": 5}}])
    each = [round(rng.lognormvariate(6.5, 0.8)) for _ in range(rng.randrange(6))]
    return {"turn_ms": {"each": [*each, *rng.choice([[], [0], [99, 100], [9703, 60_000]])]}}


def random_usage(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.3:
        return rng.choice([{}, {"input_tokens": "many"}, {"input_token_details": None}])
    return {
        "input_tokens": rng.randrange(5000),
        "output_tokens": rng.randrange(500),
        "input_token_details": {
            "cached_tokens": rng.randrange(1000),
            "text_tokens": 1000 + rng.randrange(900),
            "audio_tokens": 1000 + rng.randrange(900),
            "cached_tokens_details": {"text_tokens": rng.randrange(900), "audio_tokens": rng.randrange(900)},
        },
        "output_token_details": {"audio_tokens": rng.randrange(400), "text_tokens": rng.randrange(90)},
    }


def live(fields: dict[str, Any]) -> dict[str, Any]:
    """The same call while it is under way."""
    ended = ("outcome", "end_reason", "ended_at", "finalized_at")
    return {**fields, **dict.fromkeys(ended), "status": CallStatus.IN_PROGRESS}


def finalize(call_id: uuid.UUID, fields: dict[str, Any]) -> None:
    names = ("outcome", "end_reason", "ended_at", "finalized_at", "status")
    Call.objects.filter(pk=call_id).update(**{name: fields[name] for name in names})


def give_meeting(call: Call) -> None:
    Verdict.objects.update_or_create(
        call=call,
        defaults={
            "workspace_id": call.workspace_id,
            "qualification": "qualified",
            "confidence": 0.5,
            "meeting": {"start": "2026-03-09T15:00:00Z"},
        },
    )


def counted(where: Place, period: Period, which: Which) -> Tally:
    """The tally of a period, by looking at every call."""
    return counted_by(where, period, which, lambda _: None).get(None, Tally())


def counted_by[Key](
    where: Place, period: Period, which: Which, key: Callable[[Call], Key]
) -> dict[Key, Tally]:
    """The tallies of a period by `key` of a call, by looking at every call."""
    found: dict[Key, Tally] = {}
    for call in Call.objects.filter(workspace=where.workspace).select_related("verdict", "agent_version"):
        if period.start <= call.created_at < period.end and _is_wanted(call, which):
            tally = found.setdefault(key(call), Tally())
            if call.status == CallStatus.FINALIZED:
                _add(tally, call)
            else:
                tally.open += 1
    return found


def _is_wanted(call: Call, which: Which) -> bool:
    agent_id = call.agent_version.agent_id if call.agent_version else None
    return all(
        wanted in (None, found)
        for wanted, found in (
            (which.agent_id, agent_id),
            (which.number_id, call.number_id),
            (which.batch_id, call.batch_id),
            (which.direction, call.direction),
        )
    )


def _add(tally: Tally, call: Call) -> None:
    verdict = getattr(call, "verdict", None)
    machine = call.answered_by.startswith("machine") or call.end_reason == EndReason.MACHINE
    fax = call.answered_by == "fax" or call.end_reason == EndReason.FAX
    person = call.answered_at is not None and not machine and not fax
    dialed = call.direction == Direction.OUTBOUND and call.placed_at is not None
    into, out = (call.usage.get(f"{way}_token_details") or {} for way in ("input", "output"))
    tokens = call.usage.get("input_tokens")
    cached = into.get("cached_tokens_details") or {}
    each = call.latency.get("turn_ms", {}).get("each", [])
    add = {
        "calls": 1,
        "dialed": dialed,
        "answered": call.answered_at is not None,
        "connected": person,
        "connected_dialed": dialed and person,
        "handed_over": call.transfer_state == "bridged" or call.end_reason == EndReason.TRANSFERRED,
        "meetings_booked": verdict is not None and verdict.meeting is not None,
        "duration_ms": call.duration_ms or 0 if person else 0,
        OUTCOMES[Outcome(str(call.outcome))]: 1,
        "with_usage": bool(call.usage),
        "input_tokens": tokens if isinstance(tokens, int) else 0,
        "cached_tokens": into.get("cached_tokens", 0),
        "input_audio_tokens": into.get("audio_tokens", 0),
        "output_tokens": call.usage.get("output_tokens", 0),
        "output_audio_tokens": out.get("audio_tokens", 0),
        "input_text_tokens": into.get("text_tokens", 0),
        "cached_text_tokens": cached.get("text_tokens", 0),
        "cached_audio_tokens": cached.get("audio_tokens", 0),
        "output_text_tokens": out.get("text_tokens", 0),
        "carrier_minutes": -(-(call.duration_ms or 0) // 60_000),
        "turns": len(each),
        "turns_ms": sum(each),
    }
    for name, value in add.items():
        tally.sums[name] += int(value)
    for ms in each:
        tally.histogram[sum(ms >= bound for bound in BOUNDS_MS)] += 1
    assert len(tally.histogram) == BUCKETS


def whiches(where: Place) -> Iterable[Which]:
    """Every filter alone, some together, and one that names nothing of here."""
    agent, number, batch = where.versions[0].agent_id, where.numbers[1].pk, where.batches[0].pk
    yield Which()
    yield Which(direction="outbound")
    yield Which(agent_id=agent)
    yield Which(number_id=number)
    yield Which(batch_id=batch)
    yield Which(agent_id=agent, number_id=number, batch_id=batch, direction="inbound")
    yield Which(batch_id=uuid.UUID(int=7))
