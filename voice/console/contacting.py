"""Whether a lead may be called now, in words: the dialer's own answer."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm.models import Lead
from tenex.errors import InvalidInput
from tenex.workspaces.models import Workspace
from voice.outbound import explain
from voice.outbound.contactability import PASSING, Refuse
from voice.selectors import agents as read_agents
from voice.services import eligibility, parts

SHOWN = 3
__all__ = ["PASSING", "Standing", "said", "standing"]


@dataclass(frozen=True, slots=True)
class Clock:
    """What the clock shows where the lead may be: zone, how it is known, hours in which we may call."""

    zone: str
    whence: str
    local: str
    hours: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """`code` is empty if the lead may be called now; `until` is None if it may not at all."""

    code: str = ""
    reason: str = ""
    until: datetime | None = None
    clocks: tuple[Clock, ...] = ()

    @property
    def first_clocks(self) -> tuple[Clock, ...]:
        """As many as one reads."""
        return self.clocks if len(self.clocks) <= SHOWN + 1 else self.clocks[:SHOWN]

    @property
    def further_clocks(self) -> tuple[Clock, ...]:
        """The rest: a mobile number of a large country may be in many zones."""
        return self.clocks[len(self.first_clocks) :]

    @property
    def is_consent(self) -> bool:
        return "consent" in self.code


_WHENCE = {"stated": "as the lead said", "address": "by the address", "area_code": "by the number"}


def standing(workspace: Workspace, lead: Lead) -> Standing:
    """As if the workspace's standard agent called it this moment, or another one if there is no standard."""
    agent = read_agents.talking(workspace).first()
    number = read_agents.calling(workspace).first()
    with suppress(InvalidInput):
        agent = parts.default_agent(workspace)
        number = parts.default_number(workspace, agent)
    if agent is None or number is None:
        missing = "agent with a published version" if agent is None else "number to call from"
        return Standing("not_set_up", f"There is no {missing} yet.")
    version = agent.current_version
    judged = eligibility.judge(workspace, lead, lead.phone or "", number=number, version=version)
    told = explain.inputs(judged.facts, judged.at)
    clocks = tuple(_clock(one) for one in told["zones"])
    if not isinstance(judged.answer, Refuse):
        return Standing(clocks=clocks)
    answer = judged.answer
    until = None if answer.code in PASSING else answer.until
    return Standing(answer.code, said(answer.detail), until, clocks)


def said(detail: str) -> str:
    """A reason without what is meant for programs."""
    text = detail.split("; record one:", maxsplit=1)[0]
    return text if text.endswith(".") else f"{text}."


def _clock(one: dict[str, Any]) -> Clock:
    return Clock(
        one["zone"],
        _WHENCE.get(one["from"], one["from"]),
        f"{datetime.fromisoformat(one['local']):%a %H:%M}",
        tuple(hours.replace("-", "–") for hours in one["hours"]),
    )
