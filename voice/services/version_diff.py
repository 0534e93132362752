"""What differs between two versions of an agent. Pure."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

FIELDS = ("system_prompt", "objective", "criteria", "tools")


@dataclass(frozen=True, slots=True)
class Change:
    field: str
    before: object
    after: object


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[Change]:
    """Fields that differ, in the order of `FIELDS`."""
    return [Change(name, before[name], after[name]) for name in FIELDS if before[name] != after[name]]


def prompt_diff(before: str, after: str, *, names: tuple[str, str]) -> str:
    """Unified diff with three lines around each change; empty for equal texts."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="")
    return "\n".join(lines)
