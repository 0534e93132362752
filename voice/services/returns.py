"""Somebody calls back the number that dialed them: the same agent answers, and knows about what."""

from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from voice.models import Call, Direction, EndReason

WITHIN: Final = timedelta(days=30)
_ANSWERABLE: Final = (EndReason.NO_AGENT, "")


def route(call: Call) -> None:
    """Give an incoming call that is about to be written to the agent that dialed its caller last.

    Whatever agent the number leads to, and whether or not the caller may be called: who calls us is answered.
    """
    last = _last_call(call)
    if last is None or last.agent_version is None or call.end_hint not in _ANSWERABLE:
        return
    call.agent_version = last.agent_version
    call.objective = last.objective or call.objective
    call.calendar_id = last.calendar_id or call.calendar_id
    call.end_hint = ""


def facts_of(call: Call) -> dict[str, Any]:
    """For the prompt of an incoming call: what the caller was called about, when, and how that ended."""
    if call.direction != Direction.INBOUND:
        return {}
    last = _last_call(call)
    if last is None or last.batch is None:
        return {}
    return {
        "called_at": (last.placed_at or last.created_at).isoformat(timespec="minutes"),
        "objective": last.objective,
        "outcome": last.outcome or last.end_reason or "unknown",
        "batch": last.batch.name,
    }


def _last_call(call: Call) -> Call | None:
    """The last call of a batch from this number of ours to this lead (one scan of `call_page_lead`)."""
    if call.lead_id is None:
        return None
    return (
        Call.objects.select_related("agent_version__agent", "batch")
        .filter(
            lead_id=call.lead_id,
            workspace_id=call.workspace_id,
            direction=Direction.OUTBOUND,
            batch__isnull=False,
            number_id=call.number_id,
            agent__archived_at__isnull=True,
            created_at__gte=timezone.now() - WITHIN,
        )
        .order_by("-created_at", "-id")
        .first()
    )
