"""How what happened to a call reads."""

import json
from typing import Any, Final

from django import template

register = template.Library()

_ACTIONS: Final = {
    "call.hangup": "Ended the call",
    "call.say": "Had the agent say a line",
    "call.whisper": "Whispered to the agent",
    "call.transfer": "Transferred the call",
    "call.wrap_up": "Asked the agent to wrap up",
    "call.shared": "Shared the call by a link",
    "call.share_revoked": "Revoked a link",
    "verdict.corrected": "Corrected the verdict",
    "recording.deleted": "Deleted the recording",
}
_MET: Final = {True: "Met", False: "Not met", None: "Not told"}
_STAGES: Final = {"preview": "Preview", "enqueue": "Taken into the queue", "dial": "Right before the dial"}


@register.filter
def usd(microusd: int | None) -> str:
    """Microdollars: `$0.0123`, from a dollar on `$1.23`."""
    if microusd is None:
        return "–"
    dollars = microusd / 1_000_000
    return f"${dollars:,.2f}" if dollars >= 1 or not microusd else f"${dollars:.4f}"


@register.filter
def who(actor: str | None) -> str:
    """An actor of the audit log as people say it."""
    kind, _, name = (actor or "").partition(":")
    match kind:
        case "user":
            return name
        case "key":
            return f"API key {name}"
        case "system":
            return f"the system ({name})"
    return actor or "–"


@register.filter
def action(name: str) -> str:
    """An action of the audit log as people say it; one that we do not know, as it stands."""
    known = _ACTIONS.get(name)
    return known or name.replace(".", ": ").replace("_", " ").capitalize()


@register.filter
def met(value: bool | None) -> str:
    """What a verdict says of a criterion."""
    return _MET.get(value, "Not told")


@register.filter
def stage(name: str) -> str:
    """When a decision was made."""
    return _STAGES.get(name, name)


@register.filter
def as_json(value: Any) -> str:
    """Data as engineers write it."""
    return json.dumps(value, ensure_ascii=False)


@register.filter
def get(known: Any, name: str) -> Any:
    """A member by a name that is known at run time only."""
    return known.get(name) if isinstance(known, dict) else None
