"""What a workspace's and a batch's settings say of calling, in the words of the decision."""

from tenex.workspaces.models import CallingRules, Workspace
from voice.models import Batch
from voice.outbound.contactability import Limits
from voice.outbound.hours import Window
from voice.services.timing import scaled


def window_of(workspace: Workspace, batch: Batch | None = None) -> Window:
    """The calling hours and days: the batch's own where it has some, else the workspace's."""
    start, end = workspace.calling_window_start, workspace.calling_window_end
    days = workspace.calling_days
    if batch is not None and batch.window_start is not None and batch.window_end is not None:
        start, end = batch.window_start, batch.window_end
    if batch is not None and batch.window_days:
        days = batch.window_days
    return Window(start, end, tuple(days))


def purpose_of(workspace: Workspace, batch: Batch | None) -> str:
    """What a call is for: decides which consent it needs."""
    return str(batch.purpose if batch is not None else workspace.default_purpose)


def limits_of(workspace: Workspace) -> Limits:
    """How often a number is called. The laws of the place may allow less."""
    return Limits(
        per_day=workspace.max_calls_per_lead_a_day,
        per_week=workspace.max_calls_per_lead_a_week,
        in_all=workspace.max_calls_per_lead_in_all,
        gap_s=scaled(workspace.min_gap_between_calls_s).total_seconds(),
    )


def countries_of(workspace: Workspace) -> frozenset[str]:
    """The countries that are called."""
    return frozenset(workspace.calling_countries or [workspace.default_region])


def strict(workspace: Workspace) -> bool:
    """Whether our own hours and limits hold on top of the law's."""
    return workspace.calling_rules == CallingRules.STRICT
