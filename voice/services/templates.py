"""What a prompt, an objective or a greeting may name in `{{…}}`, checked when it is saved. Pure.

At call time a name without a value becomes nothing (voice.services.prompt), so a wrong one would go unseen.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tenex.errors import InvalidInput

_NAME = re.compile(r"[a-zA-Z][\w.]{0,80}")
_OPEN = ("lead.custom.", "variables.")
_REST = re.compile(r"[A-Za-z_]\w{0,60}")


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    description: str
    example: str


VARIABLES: Final = (
    Variable("objective", "Objective of the batch or call, else the agent's own.", "Book a demo"),
    Variable("agent.name", "Name of the agent.", "Ava"),
    Variable("workspace.name", "Name of the workspace.", "Northwind Robotics"),
    Variable("call.direction", "`inbound` or `outbound`.", "outbound"),
    Variable("call.number", "Number of the other side.", "+14155550101"),
    Variable("lead.first_name", "First name of the lead.", "Maria"),
    Variable("lead.last_name", "Last name of the lead.", "Lopez"),
    Variable("lead.name", "Whole name of the lead.", "Maria Lopez"),
    Variable("lead.title", "Job title of the lead.", "Head of Operations"),
    Variable("lead.company", "Name of the lead's company.", "Acme"),
    Variable("lead.email", "E-mail address of the lead.", "maria@acme.example"),
    Variable("lead.phone", "Number of the lead.", "+14155550101"),
    Variable("lead.time_zone", "Time zone of the lead.", "America/New_York"),
    Variable("lead.custom.<key>", "A custom field of the lead.", "enterprise"),
    Variable(
        "variables.<key>", "One of the `variables` that the session was provisioned with.", "spring-sale"
    ),
)
_KNOWN: Final = frozenset(one.name for one in VARIABLES if "<" not in one.name)


def used(text: str) -> list[str]:
    """Names in `text`, in order, each once; wrong ones too."""
    return list(dict.fromkeys(name.strip() for name in _between_braces(text)))


def _between_braces(text: str) -> Iterator[str]:
    """Walked by hand: a pattern would go over a hostile text again and again."""
    at = 0
    while (start := text.find("{{", at)) >= 0 and (end := text.find("}}", start + 2)) >= 0:
        yield text[start + 2 : end]
        at = end + 2


def check(text: str, field: str) -> None:
    """
    Raises:
        InvalidInput: braces that hold no name, or a name that nothing ever fills.
    """
    if text.count("{{") != text.count("}}"):
        raise InvalidInput("braces {{ and }} must come in pairs", loc=("body", field), type_="template")
    for name in used(text):
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"{{{{{name[:60]}}}}} is not a variable: write {{{{name}}}}",
                loc=("body", field),
                type_="template",
            )
        if not known(name):
            raise InvalidInput(
                f"unknown variable {name}; see GET /api/v1/voice/agents/variables",
                loc=("body", field),
                type_="unknown_variable",
            )


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a text that would not be said as it is meant; line and column count from 1."""

    line: int
    column: int
    text: str
    """What stands there, shortened."""
    message: str
    suggestion: str = ""
    """The name that was probably meant."""


def problems(text: str) -> list[Problem]:
    """All that :func:`check` would refuse, each at its place, for whoever is still writing."""
    found = []
    at = 0
    while (start := text.find("{{", at)) >= 0:
        end, again = text.find("}}", start + 2), text.find("{{", start + 2)
        if end < 0 or 0 <= again < end:
            found.append(_problem(text, start, "{{", "these braces are never closed"))
            at = start + 2
            continue
        at = end + 2
        name = text[start + 2 : end].strip()
        if known(name):
            continue
        meant = difflib.get_close_matches(name, sorted(_KNOWN), n=1, cutoff=0.6)
        wrong = "no such variable" if _NAME.fullmatch(name) else "not a name: write {{name}}"
        found.append(_problem(text, start, text[start:at], wrong, meant[0] if meant else ""))
    if not found and text.count("}}") > text.count("{{"):
        found.append(_problem(text, text.rfind("}}"), "}}", "these braces were never opened"))
    return found


def _problem(text: str, at: int, what: str, message: str, suggestion: str = "") -> Problem:
    line = text.count("\n", 0, at) + 1
    return Problem(line, at - (text.rfind("\n", 0, at) + 1) + 1, what[:60], message, suggestion)


def estimated_tokens(text: str) -> int:
    """About how many tokens of the model a text is: four letters of Latin script a token, one and a half of
    others. Within a fifth for prose; the model's own count comes with each call's usage."""
    plain = sum(1 for letter in text if letter.isascii())
    return round(plain / 4 + (len(text) - plain) / 1.5)


def known(name: str) -> bool:
    """Whether a call may have a value for this name."""
    if name in _KNOWN:
        return True
    return any(name.startswith(part) and bool(_REST.fullmatch(name.removeprefix(part))) for part in _OPEN)
