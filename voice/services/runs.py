"""What integrators hear of an agent's run: one `agent.run.started`, one `agent.run.completed` a call."""

import uuid
from typing import Any

from django.conf import settings

from tenex.events import services as events
from tenex.events.models import Event
from voice.models import Call, Outcome, Recording, RecordingStatus, Verdict

API_CALLS = "/api/v1/voice/calls"


def started(call_id: uuid.UUID) -> Event | None:
    """Announce that an agent talks to somebody. In the transaction of the answer."""
    call = Call.objects.select_related("agent_version__agent").get(pk=call_id)
    if call.is_test:
        return None
    return events.record(
        workspace_id=call.workspace_id,
        type="agent.run.started",
        data={**_facts(call), "status": "running"},
        call_id=call_id,
        once=str(call_id),
    )


def completed(call: Call, outcome: Outcome, verdict: Verdict | None) -> Event | None:
    """Announce the end of a run, good or bad (contract.md 4). In the transaction that finalizes the call."""
    if call.is_test:
        return None
    return events.record(
        workspace_id=call.workspace_id,
        type="agent.run.completed",
        data={
            **_facts(call),
            "status": "failure" if outcome == Outcome.FAILED else "success",
            "outcome": outcome,
            "end_reason": call.end_reason,
            "verdict": verdict_wire(verdict) if verdict else None,
            "summary": verdict.summary if verdict else "",
            "recording_url": _recording_url(call),
            "transcript_url": transcript_url(call) if call.turns.exists() else None,
        },
        call_id=call.pk,
        once=str(call.pk),
    )


def verdict_wire(verdict: Verdict) -> dict[str, Any]:
    """A verdict as integrators see it (contract.md 5); the meeting is the booked one, never the model's."""
    return {
        "qualification": verdict.qualification,
        "confidence": verdict.confidence,
        "reasons": verdict.reasons,
        "criteria": verdict.criteria,
        "meeting": verdict.meeting,
        "follow_up": verdict.follow_up,
        "summary": verdict.summary,
        "undetermined_because": verdict.undetermined_because or None,
        "needs_review": verdict.needs_review,
    }


def _facts(call: Call) -> dict[str, Any]:
    version = call.agent_version
    return {
        "run_id": str(call.pk),
        "agent_slug": version.agent.slug if version else None,
        "call_id": str(call.pk),
        "direction": call.direction,
        "batch_id": str(call.batch_id) if call.batch_id else None,
        "lead_id": str(call.lead_id) if call.lead_id else None,
    }


def _recording_url(call: Call) -> str | None:
    there = Recording.objects.filter(
        call=call, status__in=(RecordingStatus.PENDING, RecordingStatus.STORED)
    ).exists()
    return _url(call, "recording") if there else None


def transcript_url(call: Call) -> str:
    return _url(call, "transcript")


def _url(call: Call, part: str) -> str:
    return f"{settings.PUBLIC_BASE_URL}{API_CALLS}/{call.pk}/{part}"
