"""What a call could not answer goes to the lead's people, and is looked up again (crm.services.questions)."""

import uuid
from typing import Any, Final

from crm.services import questions
from crm.services.questions import Question
from voice.models import ToolCall, ToolStatus
from voice.postcall import facts
from voice.services import caller_lead, journal

_TOOL: Final = "search_knowledge"


def settle(call_id: uuid.UUID) -> dict[str, Any]:
    """Keep the questions that no look-up of the call has answered; doing it again changes nothing."""
    call = facts.load(call_id)
    if call.is_test or call.off_record_at is not None:
        return {}
    asked = _unanswered(call_id)
    if not asked:
        return {}
    lead = call.lead or caller_lead.ensure(call_id)
    row = questions.keep(lead, call_id, asked)
    if not journal.has(call_id, "knowledge.unanswered"):
        told = [{"question": one.text, "because": one.because} for one in asked]
        journal.append(
            call_id, [journal.Line("knowledge.unanswered", {"follow_up_id": str(row.pk), "questions": told})]
        )
    return {"questions": len(asked)}


def _unanswered(call_id: uuid.UUID) -> list[Question]:
    """In the order in which they were asked, each once. One that a later look-up answered is none."""
    found: dict[str, Question] = {}
    for run in ToolCall.objects.filter(call_id=call_id, name=_TOOL).order_by("at_ms", "created_at"):
        text = " ".join(str((run.arguments or {}).get("query") or "").split())
        if not text:
            continue
        key = text.lower()
        output = run.output if isinstance(run.output, dict) else {}
        if run.status == ToolStatus.SUCCEEDED and output.get("results"):
            found.pop(key, None)
        elif run.status == ToolStatus.SUCCEEDED and not output.get("unavailable"):
            found[key] = Question(text, "not_found")
        elif output.get("error", {}).get("code") not in ("bad_arguments", "bad_json", "call_over"):
            found[key] = Question(text, "unavailable")
    return list(found.values())
