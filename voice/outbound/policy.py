"""What a workspace's settings say of calling a lead: for the dialer, and for whoever foresees it."""

from datetime import datetime, timedelta

from django.utils import timezone

from crm.models import Lead
from tenex.workspaces.models import Workspace
from voice.models import Call, CallStatus, Direction
from voice.outbound.contactability import Window


def window_of(workspace: Workspace) -> Window:
    """The calling hours and days."""
    days = tuple(workspace.calling_days)
    return Window(workspace.calling_window_start, workspace.calling_window_end, days)


def may_call_again_at(workspace: Workspace, lead: Lead | None) -> datetime | None:
    """When the lead may be called again, if it was called as often as a day allows."""
    if lead is None:
        return None
    most = workspace.max_calls_per_lead_a_day
    placed = Call.objects.filter(
        lead=lead, direction=Direction.OUTBOUND, placed_at__gt=timezone.now() - timedelta(days=1)
    ).exclude(status=CallStatus.QUEUED)  # one that waits for its next attempt does not block itself
    latest = list(placed.order_by("-placed_at").values_list("placed_at", flat=True)[:most])
    return latest[-1] + timedelta(days=1) if len(latest) == most and latest[-1] else None
