"""What really happened in a session, for tests and for `/control`; and the faults that it is told to play."""

from collections import Counter
from dataclasses import dataclass, field

from voice.rehearsal.model.config import SessionConfig
from voice.rehearsal.model.shapes import Json

_KEPT = 500


@dataclass(slots=True)
class Truth:
    """Facts of one session. Lists are bounded; counts are not."""

    session_id: str
    model: str
    open: bool = True
    closed_by: str | None = None
    close_code: int | None = None
    appended_ms: float = 0.0
    events_received: Counter[str] = field(default_factory=Counter)
    lists: dict[str, list[Json]] = field(default_factory=dict)
    """`errors_sent`, `responses`, `truncations`, `tool_outputs`, `heard`, `speech`, `problems`."""
    instructions: str = ""
    tools: list[str] = field(default_factory=list)
    scenario: str | None = None

    def count(self, kind: str) -> None:
        self.events_received[kind] += 1

    def note(self, name: str, fact: Json) -> None:
        known = self.lists.setdefault(name, [])
        if len(known) < _KEPT:
            known.append(fact)

    def configured(self, config: SessionConfig) -> None:
        self.instructions = config.instructions
        self.tools = sorted(config.tool_names)

    def as_json(self) -> dict[str, Json]:
        lists: dict[str, Json] = {name: list(facts) for name, facts in self.lists.items()}
        tools: list[Json] = [*self.tools]
        return {
            "session_id": self.session_id,
            "model": self.model,
            "open": self.open,
            "closed_by": self.closed_by,
            "close_code": self.close_code,
            "appended_ms": round(self.appended_ms),
            "events_received": dict(self.events_received),
            "scenario": self.scenario,
            "instructions": self.instructions,
            "tools": tools,
            **lists,
        }


@dataclass(slots=True)
class SessionFaults:
    """Faults that wait for their moment: name → how often they still happen, or their argument."""

    armed: dict[str, int] = field(default_factory=dict)
    response_error: dict[str, Json] | None = None
    """The next response fails with this error."""

    def arm(self, name: str, times: int = 1) -> None:
        self.armed[name] = self.armed.get(name, 0) + times

    def take(self, name: str) -> bool:
        """Is this fault due? Uses it up once."""
        left = self.armed.get(name, 0)
        if left <= 0:
            return False
        self.armed[name] = left - 1
        return True
