"""What differs between two versions of an agent. Pure."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

_AROUND = 3
"""Equal lines that are shown beside a change."""

FIELDS = ("system_prompt", "objective", "criteria", "tools")


@dataclass(frozen=True, slots=True)
class Change:
    field: str
    before: object
    after: object


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[Change]:
    """Fields that differ, in the order of `FIELDS`."""
    return [Change(name, before[name], after[name]) for name in FIELDS if before[name] != after[name]]


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a line; `changed` if the other side does not have it."""

    text: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Beside:
    """A line of both sides beside each other. `kind`: same, changed, added, removed, or gap (`count` lines
    that are the same are left out)."""

    kind: str
    before_no: int | None = None
    before: tuple[Piece, ...] = ()
    after_no: int | None = None
    after: tuple[Piece, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Sided:
    """A field of two versions side by side."""

    field: str
    lines: list[Beside]
    added: int
    removed: int


def side_by_side(before: Mapping[str, object], after: Mapping[str, object]) -> list[Sided]:
    """Fields that differ, line by line, with three equal lines around each change."""
    return [
        Sided(change.field, lines, *_counted(lines))
        for change in changes(before, after)
        for lines in [_lines(as_lines(change.before), as_lines(change.after))]
    ]


def as_lines(value: object) -> list[str]:
    """A field of a version as lines: texts as they are, criteria as `name: description`, tools by name."""
    if isinstance(value, str):
        return value.splitlines()
    rows = value if isinstance(value, list) else []
    return [
        f"{row.get('name', '')}: {row.get('description', '')}" if isinstance(row, dict) else str(row)
        for row in rows
    ]


def _counted(lines: list[Beside]) -> tuple[int, int]:
    added = sum(1 for line in lines if line.kind in ("added", "changed"))
    return added, sum(1 for line in lines if line.kind in ("removed", "changed"))


def _lines(before: list[str], after: list[str]) -> list[Beside]:
    found: list[Beside] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    blocks = matcher.get_opcodes()
    for place, (kind, a0, a1, b0, b1) in enumerate(blocks):
        if kind == "equal":
            found += _same(before, a0, a1, b0, first=place == 0, last=place == len(blocks) - 1)
            continue
        for offset in range(max(a1 - a0, b1 - b0)):
            left = a0 + offset if a0 + offset < a1 else None
            right = b0 + offset if b0 + offset < b1 else None
            found.append(_changed(before, after, left, right))
    return found


def _same(before: list[str], a0: int, a1: int, b0: int, *, first: bool, last: bool) -> list[Beside]:
    """Equal lines; of a long stretch only those beside a change."""
    head, tail = (0 if first else _AROUND), (0 if last else _AROUND)
    count = a1 - a0
    left_out = range(head, count - tail) if count > head + tail + 1 else range(0)
    lines = []
    for offset in range(count):
        if offset in left_out:
            if offset == head:
                lines.append(Beside("gap", count=len(left_out)))
            continue
        pieces = (Piece(before[a0 + offset]),)
        lines.append(Beside("same", a0 + offset + 1, pieces, b0 + offset + 1, pieces))
    return lines


def _changed(before: list[str], after: list[str], left: int | None, right: int | None) -> Beside:
    if left is None and right is not None:
        return Beside("added", after_no=right + 1, after=(Piece(after[right], changed=True),))
    if right is None and left is not None:
        return Beside("removed", before_no=left + 1, before=(Piece(before[left], changed=True),))
    assert left is not None and right is not None  # one of the two ends the longer side  # noqa: PT018, S101
    old, new = _words(before[left]), _words(after[right])
    ours: list[Piece] = []
    theirs: list[Piece] = []
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if a1 > a0:
            ours.append(Piece("".join(old[a0:a1]), changed=kind != "equal"))
        if b1 > b0:
            theirs.append(Piece("".join(new[b0:b1]), changed=kind != "equal"))
    return Beside("changed", left + 1, tuple(ours), right + 1, tuple(theirs))


def _words(line: str) -> list[str]:
    return re.findall(r"\w+|\s+|[^\w\s]", line)


def prompt_diff(before: str, after: str, *, names: tuple[str, str]) -> str:
    """Unified diff with three lines around each change; empty for equal texts."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="")
    return "\n".join(lines)
