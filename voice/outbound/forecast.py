"""When a lead that may be called would be called at the earliest, as far as it can be told now."""

from datetime import datetime

from crm.models import Lead
from tenex.workspaces.models import Workspace
from voice.outbound import policy
from voice.outbound.contactability import Facts, Refuse, decide
from voice.services import readiness


def waits_for(workspace: Workspace, lead: Lead, now: datetime) -> Refuse | None:
    """What the dialer would wait for, had it to call this (acceptable) lead now; None: it would dial.

    Says nothing of the pace, of lines in use, and of what only the instant of the dial can tell.
    """
    facts = Facts(
        phone=lead.phone or "",
        window=policy.window_of(workspace),
        workspace_zone=workspace.time_zone,
        lead_zone=lead.time_zone,
        workspace_paused=workspace.calling_paused_at is not None,
        model_configured=readiness.model_configured(),
        call_unknown_zone=workspace.call_unknown_time_zone,
        may_call_again_at=policy.may_call_again_at(workspace, lead),
    )
    answer = decide(facts, now)
    return answer if isinstance(answer, Refuse) else None
