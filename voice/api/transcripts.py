"""A conversation as JSON items, as lines of text, as WebVTT. Pure."""

from collections.abc import Sequence
from typing import Any

from voice.models import Speaker, ToolCall, Turn

type Told = Sequence[Turn | ToolCall]

_NAMES = {Speaker.CALLER: "Caller", Speaker.AGENT: "Agent", Speaker.PERSON: "Operator"}
_MIN_CUE_MS = 500
_ITEM: dict[str, Any] = dict.fromkeys(
    ("item_id", "speaker", "text", "heard_text", "interrupted", "tool_call_id", "name", "arguments", "output")
)


def as_item(one: Turn | ToolCall) -> dict[str, Any]:
    """One item of the JSON form; what does not apply to its type is null."""
    if isinstance(one, Turn):
        return _ITEM | {
            "type": "speech",
            "start_ms": one.start_ms,
            "end_ms": one.end_ms,
            "item_id": one.item_id,
            "speaker": one.speaker,
            "text": one.text,
            "heard_text": one.heard_text,
            "interrupted": one.interrupted,
            "status": one.status,
        }
    return _ITEM | {
        "type": "tool",
        "start_ms": one.at_ms,
        "end_ms": None if one.duration_ms is None else one.at_ms + one.duration_ms,
        "tool_call_id": one.tool_call_id,
        "name": one.name,
        "arguments": one.arguments,
        "output": one.output,
        "status": one.status,
    }


def heard(turn: Turn) -> str:
    """What the other side heard of a turn, on one line."""
    text = turn.heard_text if turn.interrupted else turn.text
    return " ".join(text.split())


def as_text(told: Told) -> str:
    """`[mm:ss] Speaker: words`, a line a turn; an interruption is a dash at the end."""
    lines = []
    for one in told:
        if isinstance(one, Turn):
            words = heard(one) + (" —" if one.interrupted else "")
            lines.append(f"[{_clock(one.start_ms)}] {_NAMES[Speaker(one.speaker)]}: {words}")
        else:
            lines.append(f"[{_clock(one.at_ms)}] ({one.name}: {one.status})")
    return "\n".join(lines) + ("\n" if lines else "")


def as_vtt(told: Told) -> str:
    """WebVTT with the speakers as voices. Cues without words are left out."""
    cues = ["WEBVTT"]
    for one in told:
        if isinstance(one, Turn) and (words := heard(one)):
            end_ms = max(one.end_ms or 0, one.start_ms + _MIN_CUE_MS)
            safe = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            speaker = _NAMES[Speaker(one.speaker)]
            cues.append(f"{_stamp(one.start_ms)} --> {_stamp(end_ms)}\n<v {speaker}>{safe}")
    return "\n\n".join(cues) + "\n"


def _clock(ms: int) -> str:
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes:02d}:{seconds:02d}"


def _stamp(ms: int) -> str:
    hours, rest = divmod(ms, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
