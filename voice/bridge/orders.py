"""What other processes ask of a live call: messages that `voice.services.control` made, as events."""

import base64
from typing import Any, Final

from voice.session.events import (
    AnsweredBy,
    CallerTyped,
    OperatorGiveBack,
    OperatorHangUp,
    OperatorMute,
    OperatorSay,
    OperatorTakeOver,
    OperatorTransfer,
    OperatorUnmute,
    OperatorVoice,
    OperatorWhisper,
    SessionEvent,
    StreamStopped,
    WrapUp,
)
from voice.wire import g711

_MOST_VOICE_BYTES: Final = 8000
"""A second of somebody's voice in one message is more than any browser of ours sends."""


def event_of(message: dict[str, Any]) -> SessionEvent | None:  # noqa: PLR0912 - one branch a command
    """What `control.send` sent; None for what we do not know."""
    data = message.get("data")
    data = data if isinstance(data, dict) else {}
    by = str(data.get("by", ""))
    match message.get("command"):
        case "voice":
            return _voice(data)
        case "say":
            return OperatorSay(str(data.get("text", "")), by)
        case "whisper":
            return OperatorWhisper(str(data.get("text", "")), by)
        case "mute":
            return OperatorMute(by)
        case "unmute":
            return OperatorUnmute(by)
        case "take_over":
            return OperatorTakeOver(str(data.get("desk", "")), by) if data.get("desk") else None
        case "give_back":
            note, lost = str(data.get("note", "")), bool(data.get("lost"))
            return OperatorGiveBack(str(data.get("desk", "")), by, note, lost)
        case "type":
            return CallerTyped(str(data.get("text", "")))
        case "hangup":
            return OperatorHangUp(str(data.get("reason") or "operator-hangup"), by)
        case "transfer":
            return OperatorTransfer({"number": str(data.get("number", ""))}, by)
        case "wrap_up":
            return WrapUp(_seconds(data.get("seconds")), str(data.get("reason", "")))
        case "answered_by":
            return AnsweredBy(str(data.get("value", "")))
        case "ended":
            return StreamStopped(clean=True)
        case _:
            return None


def _voice(data: dict[str, Any]) -> OperatorVoice | None:
    sound = data.get("sound")
    if not isinstance(sound, bytes) or not 0 < len(sound) <= _MOST_VOICE_BYTES:
        return None
    payload = base64.b64encode(sound).decode("ascii")
    return OperatorVoice(str(data.get("desk", "")), payload, len(sound) / g711.BYTES_PER_MS)


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 30.0
