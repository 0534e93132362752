"""The verdict of a call: asked for once, checked, stored once. Never a guess.

Calls that nobody answered, that a machine answered, and opt-outs have no verdict. A call in which the caller
said nothing, or whose judge gave nothing usable, is `undetermined` with the reason.
"""

import uuid
from datetime import datetime
from typing import Any

from crm.models import FollowUp
from crm.services import questions
from tenex.lib import failpoint, storable
from tenex.workspaces.services import vault
from voice.models import Call, Outcome, Verdict
from voice.postcall import case as cases
from voice.postcall import facts, judge, outcome
from voice.postcall.case import Case
from voice.postcall.judge import Judgment
from voice.services import model_access

_REVIEW_NOTE = "The agent said that a meeting was booked, but there is no booking."


def settle(call_id: uuid.UUID, *, last_try: bool) -> dict[str, Any]:
    """Make sure that the call has its verdict, if it gets one.

    Raises:
        ModelUnavailable: not on the last try, which settles for `undetermined`.
    """
    if facts.verdict_of(call_id) is not None:
        return {"known": True}
    call = facts.load(call_id)
    why_none = _no_verdict(call)
    if why_none:
        return {"skipped": why_none}
    case = cases.of(call)
    judgment = _judge(call, case, last_try=last_try)
    failpoint.hit("verdict.judged")
    verdict, _ = Verdict.objects.get_or_create(call=call, defaults=_columns(call, case, judgment))
    return {"qualification": verdict.qualification, "tries": judgment.tries, "failure": judgment.failure}


def _no_verdict(call: Call) -> str:
    """Why nobody is to be judged; empty if somebody is."""
    known = facts.of(call)
    if not known.answered:
        return "never connected"
    if known.opted_out:
        return "opted out"
    if outcome.machine(known) or outcome.fax(known):
        return "machine"
    if outcome.outcome_of(known) == Outcome.FAILED and not known.talked:
        return "failed"
    return ""


def _judge(call: Call, case: Case, *, last_try: bool) -> Judgment:
    if not case.caller_spoke:
        return Judgment(failure="nothing-said")
    try:
        return judge.judge(case, model_access.of(call.workspace_id))
    except vault.Unreadable:
        if not last_try:  # the key may be put back
            raise
        return Judgment(failure="model-rejected: the workspace's key cannot be read")
    except judge.ModelUnavailable as exc:
        if not last_try:
            raise
        return Judgment(failure=f"model-unavailable: {exc.detail}"[:200])


def _columns(call: Call, case: Case, judgment: Judgment) -> dict[str, Any]:
    opinion = judgment.opinion
    columns: dict[str, Any] = {
        "workspace_id": call.workspace_id,
        "qualification": "undetermined",
        "confidence": 0.0,
        "reasons": [],
        "criteria": judgment.checked.criteria
        if judgment.checked
        else [{"name": item["name"], "met": None, "evidence": None} for item in case.criteria],
        "meeting": case.meeting,
        "follow_up": _follow_up(call, judgment),
        "summary": opinion.summary if opinion else _plain_summary(judgment.failure),
        "undetermined_because": judgment.failure,
        # Silence is an answer; everything else that failed is for a person to look at.
        "needs_review": bool(judgment.failure) and judgment.failure != "nothing-said",
        "model": judgment.model,
    }
    if opinion and not judgment.failure:
        columns |= {
            "qualification": opinion.qualification,
            "confidence": opinion.confidence,
            "reasons": [reason[:500] for reason in opinion.reasons[:20]],
        }
        if opinion.qualification == "undetermined":
            columns["undetermined_because"] = (opinion.reasons or ["the conversation does not tell"])[0][:200]
    if case.meeting is None and case.claims_booking and not case.moved:
        columns["needs_review"] = True
        columns["reasons"] = [*columns["reasons"], _REVIEW_NOTE]
        columns["follow_up"]["needed"] = True
        columns["follow_up"]["reasons"].append(_REVIEW_NOTE)
    cleaned: dict[str, Any] = {key: storable.json_value(value) for key, value in columns.items()}
    return cleaned | {"workspace_id": call.workspace_id}


def _follow_up(call: Call, judgment: Judgment) -> dict[str, Any]:
    """What was promised by a tool counts; the model's reading fills in."""
    rows = {row.kind: row for row in FollowUp.objects.filter(call_id=call.pk).order_by("created_at")}
    unanswered = rows.pop(questions.KIND, None)
    promised = next(iter(rows.values()), None)
    opinion = judgment.opinion
    reasons = [reason[:300] for reason in opinion.follow_up.reasons[:10]] if opinion else []
    at = promised.due_at if promised else _instant(opinion.follow_up.callback_at if opinion else None)
    if promised and not reasons:
        reasons = [promised.note or "A callback was promised."]
    if unanswered:
        reasons.append(f"{questions.KIND}: {unanswered.note}"[:300])
    return {
        "needed": bool(rows or unanswered) or bool(opinion and opinion.follow_up.needed),
        "reasons": reasons,
        "callback_at": at.isoformat() if at else None,
    }


def _instant(text: str | None) -> datetime | None:
    """A time without an offset is no instant: left out."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return at if at.tzinfo else None


def _plain_summary(failure: str) -> str:
    return "The caller said nothing." if failure == "nothing-said" else "The call was not judged."
