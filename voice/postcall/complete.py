"""The last step: the call is finalized and the world is told, in one transaction."""

import time
import uuid
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tenex.events import services as events
from tenex.lib.wake import wake
from voice.models import Call, CallStatus, Finalization, FinalizationStep, Outcome, Recording, RecordingStatus
from voice.postcall import facts
from voice.postcall.outcome import outcome_of
from voice.services import calls, consent, journal, runs

RECORDING_WAIT_S = 5.0
"""After the end of a call; a recording that comes later has its own event."""
_POLL_S = 0.2


def await_recording(call_id: uuid.UUID) -> dict[str, Any]:
    """Give a recording that is expected a moment to come in. Bounded, counted from the end of the call."""
    call = facts.load(call_id)
    assert call.ended_at is not None  # noqa: S101 - the database says so of a call that is over
    expected = consent.expected(call)
    while expected and not _settled(call_id):
        age_s = (timezone.now() - call.ended_at).total_seconds() * settings.TIME_SCALE
        if age_s >= RECORDING_WAIT_S:
            break
        time.sleep(_POLL_S)
    return {
        "recordings": dict(Recording.objects.filter(call_id=call_id).values_list("provider_sid", "status"))
    }


def complete(call_id: uuid.UUID) -> dict[str, Any]:
    """Move the call to `finalized` with its outcome and announce the end of the run. Once."""
    with transaction.atomic():
        call = Call.objects.select_for_update(of=("self",)).get(pk=call_id)
        if call.status != CallStatus.FINALIZING:
            return {"known": True}
        now = timezone.now()
        outcome = _written_outcome(call_id) or outcome_of(facts.of(call))
        calls.move(call_id, CallStatus.FINALIZED, outcome=outcome, finalized_at=now)
        Finalization.objects.filter(call_id=call_id).update(finished_at=now, lease_until=None, next_at=None)
        call = facts.load(call_id)
        verdict = facts.verdict_of(call_id)
        wire = runs.verdict_wire(verdict) if verdict else None
        journal.append(call_id, [journal.Line("call.finalized", {"outcome": outcome, "verdict": wire})])
        if call.turns.exists() and not call.is_test:
            events.record(
                workspace_id=call.workspace_id,
                type="transcript.available",
                data={**calls.facts(call), "transcript_url": runs.transcript_url(call)},
                call_id=call_id,
                once=str(call_id),
            )
        runs.completed(call, outcome, verdict)
        wake("voice.outbound.tick")
    return {"outcome": outcome}


def _written_outcome(call_id: uuid.UUID) -> Outcome | None:
    """What the lead was told: facts that came in since must not make the call say something else."""
    step = FinalizationStep.objects.filter(finalization_id=call_id, name="write_back").first()
    written = step.detail.get("outcome") if step else None
    return Outcome(written) if written else None


def _settled(call_id: uuid.UUID) -> bool:
    rows = Recording.objects.filter(call_id=call_id)
    return rows.exists() and not rows.filter(status=RecordingStatus.PENDING).exists()
