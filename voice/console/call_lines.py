"""A conversation as lines of a page: what was heard, what was not, where it is in the recording. Pure."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voice.models import ToolCall, Turn, TurnStatus, Verdict, VerdictCorrection
from voice.postcall import evidence

_MS_A_CHARACTER = 65
"""Of speech, about; for a turn whose end is not known."""


@dataclass(frozen=True, slots=True)
class Cited:
    """A passage that the agent was given."""

    chunk_id: uuid.UUID
    document: str
    heading: str
    page: int | None


@dataclass(slots=True)
class Entry:
    """A turn or a tool call. Instants are milliseconds of the recording, or of the call if there is none."""

    kind: str
    key: str
    number: int
    """Its place on the page, from 1."""
    start_ms: int
    end_ms: int
    speaker: str = ""
    heard: str = ""
    unheard: str = ""
    interrupted: bool = False
    failed: bool = False
    latency_ms: int | None = None
    name: str = ""
    status: str = ""
    duration_ms: int | None = None
    arguments: str = ""
    output: str = ""
    cited: list["Cited"] = field(default_factory=list)


def lines(
    told: Sequence[Turn | ToolCall],
    *,
    zero_ms: int,
    tools_ms: int,
    shifts: Mapping[str, int],
    latency: Mapping[str, int],
) -> list[Entry]:
    """`zero_ms`: where the turns' clock begins in the recording; `tools_ms`: by how much the tools' is later;
    `shifts`: milliseconds to add for turns of a resumed stream; `latency`: how long an answer took."""
    found: list[Entry] = []
    for one in told:
        if isinstance(one, ToolCall):
            found.append(_tool(one, len(found) + 1, zero_ms + tools_ms))
            continue
        line = _turn(one, len(found) + 1, zero_ms + shifts.get(one.item_id, 0))
        line.latency_ms = latency.get(one.item_id)
        found.append(line)
    return found


def _tool(one: ToolCall, number: int, zero_ms: int) -> Entry:
    at_ms = max(0, one.at_ms + zero_ms)
    return Entry(
        "tool",
        f"tool-{one.pk.hex}",
        number,
        at_ms,
        at_ms + (one.duration_ms or 0),
        name=one.name,
        status=one.status,
        duration_ms=one.duration_ms,
        arguments=_pretty(one.arguments),
        output="" if one.output is None else _pretty(one.output),
        cited=list(_cited(one.output)) if one.name == "search_knowledge" else [],
    )


def _cited(output: Any) -> Iterator[Cited]:
    results = output.get("results") if isinstance(output, dict) else None
    for one in results if isinstance(results, list) else []:
        try:
            chunk_id = uuid.UUID(str(one["chunk_id"]))
        except (KeyError, TypeError, ValueError):
            continue
        page = one.get("page")
        yield Cited(
            chunk_id,
            str(one.get("document") or ""),
            str(one.get("heading") or ""),
            page if isinstance(page, int) else None,
        )


def _turn(turn: Turn, number: int, zero_ms: int) -> Entry:
    heard, unheard = parts(turn)
    start_ms = max(0, turn.start_ms + zero_ms)
    end_ms = start_ms + len(heard) * _MS_A_CHARACTER if turn.end_ms is None else turn.end_ms + zero_ms
    return Entry(
        "turn",
        turn.item_id,
        number,
        start_ms,
        max(start_ms, end_ms),
        speaker=turn.speaker,
        heard=heard,
        unheard=unheard,
        interrupted=turn.interrupted,
        failed=turn.status == TurnStatus.FAILED,
    )


def parts(turn: Turn) -> tuple[str, str]:
    """(what was heard, what came after the interruption and was not)."""
    if not turn.interrupted:
        return turn.text.strip(), ""
    text, heard = turn.text.strip(), turn.heard_text.strip()
    same = 0
    for one, other in zip(text, heard, strict=False):
        if one != other:
            break
        same += 1
    if same < len(heard) * 0.8:  # the text was written anew since: no way to tell where it was cut
        return heard, ""
    return heard, text[same:].strip()


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) if value not in ({}, []) else ""


@dataclass(slots=True)
class Criterion:
    """What the verdict says of a criterion, and what the model said where a person saw it otherwise."""

    name: str
    met: bool | None
    description: str = ""
    quote: str = ""
    line: int | None = None
    first: int = 0
    last: int = 0
    at_ms: int | None = None
    was: bool | None = None
    corrected: bool = False


@dataclass(slots=True)
class Shown:
    """A verdict as the page shows it."""

    criteria: list[Criterion] = field(default_factory=list)
    original: Mapping[str, Any] | None = None


def verdict(
    row: Verdict,
    corrections: Sequence[VerdictCorrection],
    told: Sequence[Entry],
    described: Sequence[Any],
) -> Shown:
    """`described`: the criteria of the agent's version."""
    original = (corrections[0].before or None) if corrections else None
    was = {str(one.get("name")): one for one in (original or {}).get("criteria", [])}
    texts = {
        str(one.get("name")): str(one.get("description", "")) for one in described if isinstance(one, dict)
    }
    by_item = {line.key: line for line in told}
    found = []
    for one in row.criteria:
        name = str(one.get("name", ""))
        made = Criterion(name, one.get("met"), texts.get(name, ""))
        if name in was and was[name].get("met") != made.met:
            made.corrected, made.was = True, was[name].get("met")
        _quote(made, one.get("evidence") or {}, by_item)
        found.append(made)
    return Shown(found, original)


def _quote(made: Criterion, given: Mapping[str, Any], by_item: Mapping[str, Entry]) -> None:
    made.quote = str(given.get("quote") or "")
    line = by_item.get(str(given.get("item_id") or ""))
    if line is None or not made.quote:
        return
    made.line = line.number
    place = evidence.find(made.quote, line.heard)
    made.first, made.last = (place.start, place.end) if place else (0, len(line.heard))
    length = max(1, len(line.heard))
    made.at_ms = line.start_ms + (line.end_ms - line.start_ms) * made.first // length
