"""Following one call while it happens: its stream of events, printed as it is spoken."""

import threading
from typing import Any

from tenex.demo import screen
from tenex.demo.client import Api

V = "/api/v1/voice"


class LiveCall:
    """Reads a call's event stream in a thread until the call is finalized."""

    def __init__(self, api: Api, call_id: str, label: str) -> None:
        self.call_id = call_id
        self.events: list[dict[str, Any]] = []
        self.failure = ""
        self._api = api
        self._label = label
        self._printed: dict[str, str] = {}
        self._thread = threading.Thread(target=self._follow, name=f"live-{label}", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """True once the stream has ended by itself."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and not self.failure

    def _follow(self) -> None:
        try:
            for kind, data in self._api.events(f"{V}/calls/{self.call_id}/stream"):
                self.events.append(data)
                self._show(kind, data.get("data") or {}, int(data.get("at_ms") or 0))
        except Exception as exc:  # a thread's top: the demo reports it and fails
            self.failure = f"{type(exc).__name__}: {exc}"

    def _show(self, kind: str, data: dict[str, Any], at_ms: int) -> None:
        match kind:
            case "turn.updated":
                heard = data.get("heard_text") or ""
                text = data.get("text") or ""
                if self._printed.get(data["item_id"]) == heard + text:
                    return  # a revision that changes nothing to read
                self._printed[data["item_id"]] = heard + text
                if data.get("interrupted"):
                    screen.spoken(
                        self._label, at_ms, data["speaker"], heard, cut=text.removeprefix(heard).strip()
                    )
                elif text:
                    screen.spoken(self._label, at_ms, data["speaker"], text)
            case "tool.started":
                screen.tool(self._label, at_ms, f"{data['name']}({_short(data.get('arguments'))})")
            case "tool.finished":
                screen.tool(self._label, at_ms, f"{data['name']} → {_short(data.get('output'))}")
            case "call.ringing" | "call.answered" | "call.ended" | "call.dtmf" | "call.model_lost":
                extra = data.get("end_reason") or data.get("digits") or ""
                screen.tool(self._label, at_ms, f"{kind} {extra}".rstrip())
            case _:
                pass


def _short(value: object, limit: int = 110) -> str:
    import orjson

    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"
