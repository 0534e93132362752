"""The last net under a wish not to be called: the words of a finished call, read once more.

The live call has acted on them already, unless its words came too late, its process died, or the row could
not be written then.
"""

import uuid
from typing import Any

from crm.models import SuppressionSource
from crm.services import suppressions
from voice.models import Call, Direction, EndReason, Speaker, Turn
from voice.session import wordings


def settle(call_id: uuid.UUID) -> dict[str, Any]:
    """List the number of somebody who said so clearly, or whose call ended because they did."""
    call = Call.objects.select_related("agent_version__agent__profile").get(pk=call_id)
    reason = None if call.is_test else _wish(call)
    if reason is None:
        return {}
    new = suppressions.add(
        call.workspace_id,
        call.remote_number,
        source=SuppressionSource.CALL,
        reason=reason,
        call_id=call.pk,
        lead_id=call.lead_id,
        actor=f"call:{call.pk}",
    )
    return {"stop": "added" if new else "known"}


def _wish(call: Call) -> str | None:
    """What they said; empty if only the call's end tells of it; None if they said nothing of the kind."""
    language = call.agent_version.agent.profile.language if call.agent_version else "en"
    outbound = call.direction == Direction.OUTBOUND
    said = Turn.objects.filter(call=call, speaker=Speaker.CALLER)
    for text in said.values_list("text", flat=True):
        if wordings.wants_no_calls(text, language, single_words=outbound):
            return text[:300]
    return "" if call.end_reason == EndReason.OPTED_OUT else None
