"""A live call as its card shows it: what the lines of its journal add up to. Pure."""

from datetime import datetime, timedelta
from typing import Any, Final

from tenex.lib import phone
from voice.models import Call
from voice.selectors.live import Line

_TURNS: Final = 5
_CHARS: Final = 400
_STATES_OF_STATUS: Final = {
    "queued": "queued", "dialing": "dialing", "ringing": "ringing", "in_progress": "talking",
}  # fmt: skip


class Card:
    """`shown` is what pages know of the call, and all of it is JSON; `turns` are the last ones, by item."""

    __slots__ = ("_changed", "_closing", "_moved", "_tools", "seq", "shown", "turns")

    def __init__(self, call: Call, lines: list[Line], seq: int) -> None:
        version, lead = call.agent_version, call.lead
        self.seq = seq
        self._tools: dict[str, str] = {}
        self._closing = ""
        self._changed: set[str] = set()
        self._moved: set[str] = set()
        self.turns: dict[str, dict[str, Any]] = {}
        self.shown: dict[str, Any] = {
            "id": str(call.pk),
            "status": call.status,
            "state": _STATES_OF_STATUS.get(call.status, "ended"),
            "direction": call.direction,
            "number": phone.pretty(call.remote_number),
            "agent": version.agent.name if version else "",
            "version": version.number if version else None,
            "lead": _lead(call) if lead else None,
            "batch": call.batch.name if call.batch else "",
            "test": call.is_test,
            "created_at": call.created_at.isoformat(timespec="milliseconds"),
            "answered_at": call.answered_at.isoformat(timespec="milliseconds") if call.answered_at else None,
            "tool": "",
            "latency_ms": None,
            "speaks": False,
            "muted": False,
            "talker": "",
            "off_record": False,
            "model": "",
            "ending": "",
        }
        for line in lines:
            self.apply(line)
        self.take()

    def apply(self, line: Line) -> None:
        """One line more."""
        self.seq = max(self.seq, line.seq)
        if line.type == "call.answered":
            answered_at = datetime.fromisoformat(self.shown["created_at"]) + timedelta(
                milliseconds=line.at_ms
            )
            self.set("answered_at", answered_at.isoformat(timespec="milliseconds"))
        handler = _HANDLERS.get(line.type)
        if handler is not None:
            handler(self, line.data)

    def take(self) -> dict[str, Any] | None:
        """What has changed since the last time, for a page that knows the rest; None if nothing has."""
        if not self._changed and not self._moved:
            return None
        change = {name: self.shown[name] for name in self._changed}
        if self._moved:
            change["turns"] = [self.turns[item] for item in self.turns if item in self._moved]
        self._changed.clear()
        self._moved.clear()
        return {"id": self.shown["id"], **change}

    def whole(self) -> dict[str, Any]:
        return {**self.shown, "turns": list(self.turns.values())}

    # --- what lines do ---------------------------------------------------------------------------

    def set(self, name: str, value: Any) -> None:
        if self.shown[name] != value:
            self.shown[name] = value
            self._changed.add(name)

    def _state(self) -> None:
        state = _STATES_OF_STATUS.get(self.shown["status"], "ended")
        if state == "talking":
            if self._closing:
                state = "wrapping"
            elif self.shown["talker"]:
                state = "operator"
            elif self._tools:
                state = "tool"
        self.set("state", state)

    def _status(self, data: dict[str, Any]) -> None:
        self.set("status", data.get("status", self.shown["status"]))
        if data.get("end_reason"):
            self.set("ending", data["end_reason"])
        self._state()

    def _tool(self, data: dict[str, Any]) -> None:
        self._tools[str(data.get("tool_call_id"))] = str(data.get("name"))
        self._show_tool()

    def _tool_over(self, data: dict[str, Any]) -> None:
        self._tools.pop(str(data.get("tool_call_id") or data.get("call_id")), None)
        self._show_tool()

    def _show_tool(self) -> None:
        self.set("tool", ", ".join(self._tools.values()))
        self._state()

    def _close(self, data: dict[str, Any]) -> None:
        self._closing = str(data.get("reason") or data.get("kind") or "transfer")
        self.set("ending", self._closing)
        self._state()

    def _no_close(self, data: dict[str, Any]) -> None:
        self._closing = ""
        self.set("ending", "")
        self._state()

    def _took(self, data: dict[str, Any]) -> None:
        self.set("talker", str(data.get("by") or "operator"))
        self._state()

    def _gave(self, data: dict[str, Any]) -> None:
        self.set("talker", "")
        self._state()

    def _gone(self, data: dict[str, Any]) -> None:
        self.set("model", "lost")

    def _back(self, data: dict[str, Any]) -> None:
        self.set("model", "")

    # --- words -----------------------------------------------------------------------------------

    def _words(self, data: dict[str, Any]) -> None:
        turn = self._turn(str(data["item_id"]), str(data["speaker"]))
        if not turn["done"]:
            turn["text"] = (turn["text"] + str(data["text"]))[-_CHARS:]

    def _whole_turn(self, data: dict[str, Any]) -> None:
        if not data.get("heard_text") and not data.get("text"):
            return
        turn = self._turn(str(data["item_id"]), str(data["speaker"]))
        heard = data.get("heard_text") if data.get("interrupted") else data.get("text")
        turn["text"] = str(heard or "")[-_CHARS:]
        turn["cut"] = bool(data.get("interrupted"))
        turn["done"], turn["at"] = True, data.get("position")

    def _turn(self, item: str, speaker: str) -> dict[str, Any]:
        turn = self.turns.get(item)
        if turn is None:
            turn = self.turns[item] = {
                "item": item, "speaker": speaker, "text": "", "cut": False, "done": False, "at": None,
            }  # fmt: skip
            while len(self.turns) > _TURNS:
                oldest = next(iter(self.turns))
                del self.turns[oldest]
                self._moved.discard(oldest)
        self._moved.add(item)
        return turn


def _lead(call: Call) -> dict[str, Any]:
    lead = call.lead
    assert lead is not None  # the caller has looked  # noqa: S101
    return {
        "id": str(lead.pk),
        "name": lead.name,
        "title": lead.title,
        "company": lead.company.name if lead.company else "",
        "stage": lead.stage,
        "last_outcome": lead.last_outcome,
        "calls_before": getattr(call, "calls_before", 0),
    }


_HANDLERS: Final = {
    "call.ringing": Card._status,
    "call.answered": Card._status,
    "call.ended": Card._status,
    "call.closing": Card._close,
    "call.hanging_up": Card._close,
    "call.transferring": Card._close,
    "call.end_canceled": Card._no_close,
    "call.transfer_failed": Card._no_close,
    "call.model_lost": Card._gone,
    "call.model_failed": Card._gone,
    "call.model_ready": Card._back,
    "call.model_back": Card._back,
    "call.off_record": lambda card, data: card.set("off_record", True),
    "tool.started": Card._tool,
    "tool.finished": Card._tool_over,
    "tool.late": Card._tool_over,
    "tool.abandoned": Card._tool_over,
    "turn.latency": lambda card, data: card.set("latency_ms", data.get("ms")),
    "turn.speech_started": lambda card, data: card.set("speaks", True),
    "turn.speech_stopped": lambda card, data: card.set("speaks", False),
    "turn.updated": Card._whole_turn,
    "transcript.delta": Card._words,
    "operator.muted": lambda card, data: card.set("muted", True),
    "operator.unmuted": lambda card, data: card.set("muted", False),
    "operator.took_over": Card._took,
    "operator.gave_back": Card._gave,
}
