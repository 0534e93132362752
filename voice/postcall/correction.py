"""A person corrects a verdict: the call, its lead and everybody who listens follow; the original is kept."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from crm.services import leads
from tenex.errors import Conflict, InvalidInput
from tenex.events import services as events
from tenex.lib import storable
from tenex.workspaces.services import audit
from voice.models import Call, CallStatus, Recipient, RecipientStatus, Verdict, VerdictCorrection
from voice.postcall import facts
from voice.postcall.outcome import outcome_of
from voice.services import calls, runs

QUALIFICATIONS: Final = ("qualified", "unqualified", "undetermined")
REASON_CHARS: Final = 2000


def correct(
    call_id: uuid.UUID,
    *,
    qualification: str,
    met: Mapping[str, bool | None],
    reason: str,
    actor: str,
) -> VerdictCorrection:
    """Set the qualification and, by their names, whether criteria are met; others stay as they are.

    A correction that changes nothing is a confirmation, which takes the call off the list of those to be
    reviewed. `verdict.corrected` goes out, and `lead.updated` if the lead changes.

    Raises:
        Conflict: `call_not_finalized`, or `no_verdict`: there is nothing to correct.
        InvalidInput: no reason, an unknown word or criterion.
    """
    said = storable.text(reason).strip()
    if not said:
        raise InvalidInput("say why", loc=("body", "reason"), type_="missing")
    if len(said) > REASON_CHARS:
        raise InvalidInput(
            f"at most {REASON_CHARS} characters", loc=("body", "reason"), type_="string_too_long"
        )
    if qualification not in QUALIFICATIONS:
        raise InvalidInput("is none of the three", loc=("body", "qualification"), type_="enum")
    with transaction.atomic():
        call = Call.objects.select_for_update(of=("self",)).get(pk=call_id)
        if call.status != CallStatus.FINALIZED:
            raise Conflict("the call is not finalized yet", code="call_not_finalized")
        verdict = Verdict.objects.select_for_update().filter(call=call).first()
        if verdict is None:
            raise Conflict("this call has no verdict", code="no_verdict")
        before = _state(call, verdict)
        _change(verdict, qualification, met, said, actor)
        _follow(call)
        row = _note(call, before, _state(call, verdict), said, actor)
        _tell_lead(call, verdict, before, row)
        _announce(call, row)
    return row


def _state(call: Call, verdict: Verdict) -> dict[str, Any]:
    return {**runs.verdict_wire(verdict), "outcome": call.outcome}


def _change(
    verdict: Verdict, qualification: str, met: Mapping[str, bool | None], reason: str, actor: str
) -> None:
    known = {str(one.get("name", "")) for one in verdict.criteria}
    if unknown := set(met) - known:
        raise InvalidInput(f"no such criterion: {sorted(unknown)[0]}", loc=("body", "criteria"))
    changed = []
    for one in verdict.criteria:
        name = str(one.get("name", ""))
        if name in met and met[name] != one.get("met"):
            # The words that were quoted showed something else.
            one = {**one, "met": met[name], "evidence": None}  # noqa: PLW2901
        changed.append(one)
    if qualification != verdict.qualification:
        verdict.reasons = [reason[:500]]
    verdict.criteria = changed
    verdict.qualification = qualification
    verdict.undetermined_because = reason[:200] if qualification == "undetermined" else ""
    verdict.confidence, verdict.needs_review = 1.0, False
    verdict.corrected_at, verdict.corrected_by = timezone.now(), actor
    verdict.save()


def _follow(call: Call) -> None:
    """The outcome of the call, and of its recipient if this call is what it was settled by."""
    outcome, was = outcome_of(facts.of(call)), call.outcome
    if outcome == was:
        return
    Call.objects.filter(pk=call.pk).update(outcome=outcome)
    call.outcome = outcome
    if call.recipient_id is not None:
        later = Call.objects.filter(recipient_id=call.recipient_id, created_at__gt=call.created_at)
        if not later.exists():
            Recipient.objects.filter(pk=call.recipient_id, status=RecipientStatus.DONE, outcome=was).update(
                outcome=outcome
            )


def _note(
    call: Call, before: dict[str, Any], after: dict[str, Any], reason: str, actor: str
) -> VerdictCorrection:
    row = VerdictCorrection.objects.create(
        workspace_id=call.workspace_id,
        call=call,
        number=VerdictCorrection.objects.filter(call=call).count() + 1,
        actor=actor,
        reason=reason,
        before=before,
        after=after,
    )
    audit.record(
        call.workspace_id,
        actor,
        "verdict.corrected",
        object_type="call",
        object_id=call.pk,
        data={
            "from": before["qualification"],
            "to": after["qualification"],
            "criteria": _differences(before, after),
            "correction": row.number,  # why: there, where it goes with the other words
        },
    )
    return row


def _differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[bool | None]]:
    """Criterion -> [before, after], of those that differ."""
    was = {one["name"]: one["met"] for one in before["criteria"]}
    return {
        one["name"]: [was.get(one["name"]), one["met"]]
        for one in after["criteria"]
        if was.get(one["name"]) != one["met"]
    }


def _tell_lead(call: Call, verdict: Verdict, before: dict[str, Any], row: VerdictCorrection) -> None:
    if call.lead_id is None:
        return
    leads.correct(
        call.lead_id,
        call_id=call.pk,
        called_at=call.answered_at or call.placed_at or call.created_at,
        outcome=call.outcome or "",
        qualification=verdict.qualification,
        was=before["qualification"],
        summary=f"Verdict corrected: {verdict.get_qualification_display()}. {row.reason}",
        data={"call_id": str(call.pk), "outcome": call.outcome, "reason": row.reason, "actor": row.actor},
        actor=row.actor,
    )


def _announce(call: Call, row: VerdictCorrection) -> None:
    after = {name: value for name, value in row.after.items() if name != "outcome"}
    events.record(
        workspace_id=call.workspace_id,
        type="verdict.corrected",
        data={
            **calls.facts(call),
            "outcome": call.outcome,
            "verdict": after,
            "previous": row.before,
            "reason": row.reason,
            "actor": row.actor,
            "correction": row.number,
        },
        call_id=call.pk,
        once=f"{call.pk}:{row.number}",
    )
