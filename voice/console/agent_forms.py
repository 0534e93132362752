"""What the forms of the agent pages send, as the services take it."""

from dataclasses import dataclass, field
from typing import Any, Final

from django.http import QueryDict

from voice.services.agents import TOOL_NAMES

LIMITS: Final = {"system_prompt": 32_000, "objective": 4000}
"""Characters; the API's limits (voice.api.agent_inputs)."""
MAX_CRITERIA: Final = 50


@dataclass(slots=True)
class Written:
    """The text of an agent as it was sent, and what is wrong with it, by field."""

    content: dict[str, Any]
    errors: dict[str, str] = field(default_factory=dict)


def written(sent: QueryDict) -> Written:
    """The versioned fields. Browsers send line breaks as CR LF: they are kept as LF."""
    texts = {name: sent.get(name, "").replace("\r\n", "\n") for name in LIMITS}
    errors = {
        name: f"{len(text)} characters, at most {LIMITS[name]}"
        for name, text in texts.items()
        if len(text) > LIMITS[name]
    }
    names, descriptions = sent.getlist("criterion_name"), sent.getlist("criterion_description")
    criteria = [
        {"name": name.strip(), "description": description.strip()}
        for name, description in zip(names, descriptions, strict=False)
        if name.strip() or description.strip()
    ]
    if len(criteria) > MAX_CRITERIA:
        errors["criteria"] = f"{len(criteria)} criteria, at most {MAX_CRITERIA}"
    elif any(not row["name"] for row in criteria):
        errors["criteria"] = "every criterion needs a name"
    elif any(len(row["name"]) > 80 or len(row["description"]) > 500 for row in criteria):
        errors["criteria"] = "a name has at most 80 characters, a description 500"
    elif len({row["name"].lower() for row in criteria}) < len(criteria):
        errors["criteria"] = "two criteria have the same name"
    chosen = set(sent.getlist("tools"))
    return Written({**texts, "criteria": criteria, "tools": [n for n in TOOL_NAMES if n in chosen]}, errors)
