"""What the bridge needs of a speech model, whoever makes it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from tenex.errors import Unavailable
from voice.session.commands import (
    AppendAudio,
    CancelResponse,
    CommitAudio,
    CreateResponse,
    InsertText,
    SendToolOutput,
    TruncateItem,
)
from voice.session.events import BadMessage, ModelEvent, UnknownEvent

ModelCommand = (
    AppendAudio | CommitAudio | CreateResponse | CancelResponse | TruncateItem | SendToolOutput | InsertText
)
ServerEvent = ModelEvent | UnknownEvent | BadMessage
History = list[tuple[Literal["caller", "agent"], str]]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the provider does by itself, so that the session's limits can say what we must do."""

    can_truncate: bool
    """Takes back the unheard end of its own answer."""
    can_cancel: bool
    server_vad: bool
    """Hears by itself when the caller speaks, and says so."""
    interrupts: bool
    """Cancels its own response when the caller speaks."""
    responds: bool
    """Answers a committed turn without being asked."""
    transcribes_caller: bool
    max_session_s: float
    """The provider ends a session after this age; 0 = never."""


class ModelUnavailable(Unavailable):
    """No session came up. `code` is the provider's where it gave one; `retryable` decides what follows."""

    code = "model_unavailable"

    def __init__(
        self, code: str, *, retryable: bool, detail: str = "", http_status: int | None = None
    ) -> None:
        super().__init__(detail or code, code=code, extra={"http_status": http_status})
        self.retryable = retryable
        self.http_status = http_status


class ModelConnection(Protocol):
    """One socket to the model. All methods belong to the event loop's thread; none blocks."""

    attempt: int

    async def open(self, history: History) -> None:
        """Connect and configure; `ModelReady` has been delivered when this returns.

        Raises:
            ModelUnavailable: it did not come up. Nothing of it is left open.
        """

    def carry_out(self, command: ModelCommand) -> None:
        """Send one command. Without a live socket it does nothing: the loss is reported by itself."""

    def close(self, reason: str) -> None:
        """End it for good; nothing is delivered afterwards. At any time, any number of times."""


OnEvent = Callable[[ModelConnection, ServerEvent], None]


class ModelProvider(Protocol):
    """Makes connections for one call."""

    @property
    def capabilities(self) -> Capabilities: ...

    def connection(self, attempt: int, on_event: OnEvent) -> ModelConnection: ...
