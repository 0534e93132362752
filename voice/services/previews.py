"""What the model would be told: rendered by what renders it for a call, of a call that is never made."""

from dataclasses import dataclass
from typing import Any

from crm.models import Lead
from voice.models import Agent, AgentVersion, Call, Direction, PhoneNumber
from voice.services import live, prompt, templates


@dataclass(frozen=True, slots=True)
class Preview:
    instructions: str
    greeting: str
    empty: tuple[str, ...]
    """Variables of the prompt and the objective that have no value in this call: they become nothing."""

    @property
    def tokens(self) -> int:
        return templates.estimated_tokens(self.instructions)


def of(agent: Agent, content: dict[str, Any], lead: Lead | None, direction: str) -> Preview:
    """`content`: the fields of a version (voice.services.drafts). `lead`: who is on the other side."""
    number = PhoneNumber.objects.filter(workspace=agent.workspace, agent=agent).order_by("created_at").first()
    ours = number.e164 if number else "+14155550100"
    theirs = (lead.phone if lead else None) or "anonymous"
    outbound = direction == Direction.OUTBOUND
    call = Call(
        workspace=agent.workspace,
        direction=direction,
        lead=lead,
        number=number,
        agent_version=AgentVersion(agent=agent, number=0, **content),
        from_number=ours if outbound else theirs,
        to_number=theirs if outbound else ours,
    )
    values = live.values_of(call)
    named = templates.used(f"{content['system_prompt']} {content['objective']} {agent.profile.greeting}")
    return Preview(
        instructions=live.instructions_of(call, tuple(content["tools"]), resumed=False),
        greeting=prompt.fill(agent.profile.greeting, values),
        empty=tuple(
            name for name in named if templates.known(name) and not prompt.fill(f"{{{{{name}}}}}", values)
        ),
    )
