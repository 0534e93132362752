"""What a tool may know and touch: this call, its lead, its workspace. Never taken from arguments."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from zoneinfo import ZoneInfo

from django.utils import timezone

from crm.models import Calendar, Lead
from crm.selectors import calendars
from tenex.lib import zones
from voice.models import Call
from voice.services import caller_lead

Effect = Literal["none", "end_call", "transfer", "opt_out", "off_record"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool says to the model."""

    output: dict[str, Any]


class GivenUp(Exception):
    """Nobody waits for this run any more: undo what can be undone, and give the stored answer."""


def _always() -> None:
    """Nobody has given it up."""


@dataclass
class Scope:
    """The call that a tool runs in. `now` is an aware instant."""

    call: Call
    now: datetime
    found_ahead: Any = None
    """What the tool's `ahead` has brought."""
    still_wanted: Callable[[], None] = _always
    """Raises `GivenUp` if the run was given up; else it cannot be before the transaction ends."""

    @property
    def actor(self) -> str:
        return f"call:{self.call.pk}"

    @property
    def lead(self) -> Lead | None:
        return self.call.lead

    @property
    def zone(self) -> ZoneInfo:
        """The lead's clock; the calendar's or workspace's if the lead's is not known."""
        calendar = self.calendar
        return zones.first_zone(
            self.lead.time_zone if self.lead else "",
            calendar.time_zone if calendar else "",
            self.call.workspace.time_zone,
        )

    @cached_property
    def calendar(self) -> Calendar | None:
        """The one calendar of this call: its own, its agent's, else the workspace's default.

        Looked up once a run: each time that is told to the caller is told by its clock, too.
        """
        version = self.call.agent_version
        for own in (self.call.calendar, version.agent.calendar if version else None):
            if own is not None and own.archived_at is None:
                return own
        return calendars.default(self.call.workspace_id)

    def ensure_lead(self) -> Lead:
        """The call's lead; a caller whom we did not know becomes one."""
        if self.call.lead is None:
            self.call.lead = caller_lead.ensure(self.call.pk)
        return self.call.lead


def of(call_id: uuid.UUID) -> Scope:
    """
    Raises:
        Call.DoesNotExist
    """
    call = Call.objects.select_related(
        "workspace", "lead__company", "number", "calendar", "agent_version__agent__calendar"
    ).get(pk=call_id)
    return Scope(call=call, now=timezone.now())
