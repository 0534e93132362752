"""The facts of a call that outcome and verdict depend on, read once."""

import uuid

from crm.models import FollowUp, Suppression
from voice.models import Call, Direction, EndReason, Speaker, ToolCall, ToolStatus, Turn, Verdict
from voice.postcall.outcome import Facts


def load(call_id: uuid.UUID) -> Call:
    """The call with what post-call reads of it."""
    return Call.objects.select_related("workspace", "lead", "agent_version__agent").get(pk=call_id)


def verdict_of(call_id: uuid.UUID) -> Verdict | None:
    return Verdict.objects.filter(call_id=call_id).first()


def of(call: Call) -> Facts:
    """
    Raises:
        ValueError: the call is not over.
    """
    if call.end_reason is None:
        raise ValueError("the call is not over")
    verdict = verdict_of(call.pk)
    return Facts(
        direction=Direction(call.direction),
        end_reason=EndReason(call.end_reason),
        answered=call.answered_at is not None,
        answered_by=call.answered_by,
        opted_out=_opted_out(call),
        transferred=call.transfer_state == "bridged",
        callback=FollowUp.objects.filter(call_id=call.pk, kind="callback").exists(),
        talked=Turn.objects.filter(call=call, speaker=Speaker.CALLER).exclude(text="").exists(),
        qualification=verdict.qualification if verdict else "",
    )


def _opted_out(call: Call) -> bool:
    return (
        call.end_reason == EndReason.OPTED_OUT
        or Suppression.objects.filter(workspace_id=call.workspace_id, call_id=call.pk).exists()
        or ToolCall.objects.filter(call=call, name="note_opt_out", status=ToolStatus.SUCCEEDED).exists()
    )
