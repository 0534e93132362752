"""What the judge is given: one JSON object with everything that was said and done in a call."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from crm.selectors import calendars as calendar_reads
from crm.services import calendars
from voice.models import Call, ToolCall, ToolStatus, Turn
from voice.postcall.transcript import heard

_LONGEST_TEXT = 600
_CLAIM = re.compile(
    r"(?:\b(?:is|are|am|been|got|have|has|i|we|all|that's|it's|you're|i've|we've)\b[^.?!]{0,40}"
    r"|(?:^|[.?!]\s+))\b(?:booked|scheduled)\b(?![^.?!]*\?)",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"\b(?:not|isn't|wasn't|cannot|can't|couldn't|never|nothing|already|yet)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Said:
    item_id: str
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """`meeting` is the booked one as in contract.md 5, from our own rows."""

    criteria: list[dict[str, str]]
    objective: str
    transcript: list[Said]
    tool_calls: list[dict[str, Any]]
    meeting: dict[str, Any] | None
    call: dict[str, Any]
    moved: bool = False
    """A meeting that an earlier call had booked was moved in this one."""
    texts: dict[str, str] = field(default_factory=dict)
    """item id -> what was heard; where quotes are looked for."""

    @property
    def caller_spoke(self) -> bool:
        return any(said.speaker == "caller" and said.text for said in self.transcript)

    @property
    def claims_booking(self) -> bool:
        """The agent said that something is booked."""
        return any(
            _CLAIM.search(sentence) and not _DENIAL.search(sentence)
            for said in self.transcript
            if said.speaker == "agent"
            for sentence in re.split(r"(?<=[.?!])\s+", said.text)
        )

    def as_json(self) -> str:
        return json.dumps(
            {
                "criteria": self.criteria,
                "objective": self.objective,
                "transcript": [
                    {"item_id": said.item_id, "speaker": said.speaker, "text": said.text}
                    for said in self.transcript
                ],
                "tool_calls": self.tool_calls,
                "meeting": self.meeting,
                "call": self.call,
            },
            ensure_ascii=False,
        )


def of(call: Call) -> Case:
    """Everything about a call, in order."""
    version = call.spoken
    transcript = [
        Said(turn.item_id, turn.speaker, text)
        for turn in Turn.objects.filter(call=call).order_by("position")
        if (text := heard(turn).strip())
    ]
    meeting = calendar_reads.meeting_of_call(call.pk)
    return Case(
        criteria=[
            {"name": str(item["name"]), "description": str(item.get("description", ""))}
            for item in (version.criteria if version else [])
            if isinstance(item, dict) and item.get("name")
        ],
        objective=call.objective or (version.objective if version else ""),
        transcript=transcript,
        tool_calls=[
            {"name": row.name, "arguments": _clip(row.arguments), "output": _clip(row.output)}
            for row in ToolCall.objects.filter(call=call).order_by("at_ms", "id")
        ],
        meeting=calendars.wire(meeting) if meeting else None,
        call={
            "direction": call.direction,
            "answered_by": call.answered_by or None,
            "duration_ms": call.duration_ms,
            "end_reason": call.end_reason,
        },
        moved=ToolCall.objects.filter(
            call=call, name="reschedule_meeting", status=ToolStatus.SUCCEEDED, output__moved=True
        ).exists(),
        texts={said.item_id: said.text for said in transcript},
    )


def _clip(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "…"
    if isinstance(value, list):
        return [_clip(item) for item in value[:20]]
    if isinstance(value, dict):
        return {key: _clip(item) for key, item in value.items()}
    return value
