"""What a call concluded, into the CRM: exactly once a call, whatever is retried."""

import uuid
from typing import Any

from crm.services import leads
from tenex.lib import phone as phones
from voice.models import Call, Direction, Outcome
from voice.postcall import facts
from voice.postcall.outcome import outcome_of
from voice.services import caller_lead, runs


def write_back(call_id: uuid.UUID) -> dict[str, Any]:
    """Lead fields, timeline entry and `lead.updated`. The outcome that was written is the one that stays."""
    call = facts.load(call_id)
    known = facts.of(call)
    outcome = outcome_of(known)
    if call.is_test:
        return {"outcome": outcome, "lead": None}
    if call.lead_id is None and _worth_a_lead(call, outcome, talked=known.talked):
        caller_lead.ensure(call_id)
        call = facts.load(call_id)
    if call.lead_id is None:
        return {"outcome": outcome, "lead": None}
    verdict = facts.verdict_of(call_id)
    written = leads.write_back(
        call.lead_id,
        call_id=call_id,
        called_at=call.answered_at or call.placed_at or call.created_at,
        outcome=outcome,
        qualification=verdict.qualification if verdict else "",
        talked=known.talked,
        summary=(verdict.summary if verdict else "")
        or f"{call.get_direction_display()} call: {outcome.label}",
        data={
            "call_id": str(call_id),
            "direction": call.direction,
            "outcome": outcome,
            "end_reason": call.end_reason,
            "duration_ms": call.duration_ms,
            "verdict": runs.verdict_wire(verdict) if verdict else None,
        },
    )
    return {"outcome": outcome, "lead": str(call.lead_id), "written": written}


def _worth_a_lead(call: Call, outcome: Outcome, *, talked: bool) -> bool:
    """A stranger who talked with us is kept; one who asked to be left alone is not."""
    return (
        talked
        and outcome != Outcome.OPTED_OUT
        and call.direction == Direction.INBOUND
        and phones.normalize_or_none(call.remote_number) is not None
    )
