"""What the machine asks for. Outputs of :class:`voice.session.machine.CallSession`, carried out in order."""

from dataclasses import dataclass, field
from typing import Any, Literal

# --- to the model -------------------------------------------------------------------------------


@dataclass(slots=True)
class OpenModel:
    """Connect to the speech model and configure the session.

    `history` is what was said so far (`(speaker, heard text)`), replayed as items after a reconnect or
    rotation; empty at first. `attempt` counts connections of this call from 1.
    """

    attempt: int
    history: list[tuple[Literal["caller", "agent"], str]] = field(default_factory=list)
    after_s: float = 0.0
    """Back-off before connecting, in seconds of the machine's clock."""
    standby: bool = False
    """True for a planned rotation: open beside the session in use, which stays in use until `UseModel`."""


@dataclass(slots=True)
class UseModel:
    """The standby connection `attempt` is the one in use from here on; `CloseModel` of the old follows."""

    attempt: int


@dataclass(slots=True)
class CloseModel:
    """Close one connection (or give up connecting); nothing more of it may reach the machine."""

    reason: str
    attempt: int = 0
    """0 stands for every connection of the call."""


@dataclass(slots=True)
class AppendAudio:
    payload: str


@dataclass(slots=True)
class CommitAudio:
    """End the caller's turn by hand (`input_audio_buffer.commit`): they hung up in the middle of it."""

    event_id: str


@dataclass(slots=True)
class CreateResponse:
    """`event_id` also travels in the response's metadata: that is how `ResponseCreated` is matched."""

    purpose: Literal["greeting", "tool", "reprompt", "whisper", "say", "goodbye", "resume", "dtmf", "answer"]
    event_id: str
    instructions: str | None = None
    """Replaces the session's instructions for this one response."""
    tool_choice: Literal["auto", "none"] | None = None


@dataclass(slots=True)
class CancelResponse:
    response_id: str
    event_id: str


@dataclass(slots=True)
class TruncateItem:
    item_id: str
    content_index: int
    audio_end_ms: int
    event_id: str


@dataclass(slots=True)
class SendToolOutput:
    call_id: str
    output: str
    event_id: str


@dataclass(slots=True)
class InsertText:
    """Put a text item into the conversation (a system fact, a pressed digit)."""

    role: Literal["system", "user", "assistant"]
    text: str
    event_id: str


# --- to the phone -------------------------------------------------------------------------------


@dataclass(slots=True)
class PlayAudio:
    payload: str


@dataclass(slots=True)
class SendMark:
    name: str


@dataclass(slots=True)
class ClearPlayback:
    pass


@dataclass(slots=True)
class PlayClip:
    """Play one of our own pre-rendered lines (bytes in memory, no model needed)."""

    clip: Literal["one_moment", "apology", "goodbye", "opted_out"]
    mark: str


@dataclass(slots=True)
class PlayLine:
    """Play one of the call's own lines (`voice.session.script`), from `from_ms` of it on."""

    line: str
    mark: str
    from_ms: int = 0


@dataclass(slots=True)
class StartRecording:
    """Record both sides from now on, through the carrier's REST API."""


@dataclass(slots=True)
class StopRecording:
    """End the recording for good."""


@dataclass(slots=True)
class CloseStream:
    """Close the media socket; the carrier goes on with the TwiML behind it (resume, apology)."""

    reason: str


@dataclass(slots=True)
class HangUp:
    """End the phone call through the carrier's REST API."""

    reason: str


@dataclass(slots=True)
class TransferCall:
    target: dict[str, Any]


# --- to ourselves -------------------------------------------------------------------------------


@dataclass(slots=True)
class RunTool:
    call_id: str
    name: str
    arguments: str
    deadline_s: float


@dataclass(slots=True)
class StoreTurn:
    """Insert or update one turn of the transcript, keyed by `item_id`; a higher `revision` wins."""

    item_id: str
    previous_item_id: str | None
    speaker: Literal["caller", "agent", "person"]
    """`person`: an operator who talks in the agent's place."""
    text: str
    heard_text: str
    start_ms: int
    end_ms: int | None
    interrupted: bool
    status: Literal["in_progress", "completed", "failed"]
    revision: int


@dataclass(slots=True)
class Journal:
    """One line of the call's journal (and so of its live stream)."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Finish:
    """The live part is over: flush, close both sockets, start post-call. Always the last command."""

    reason: str
    """One of voice.models.EndReason."""


Command = (
    OpenModel
    | UseModel
    | CloseModel
    | AppendAudio
    | CommitAudio
    | CreateResponse
    | CancelResponse
    | TruncateItem
    | SendToolOutput
    | InsertText
    | PlayAudio
    | SendMark
    | ClearPlayback
    | PlayClip
    | PlayLine
    | StartRecording
    | StopRecording
    | CloseStream
    | HangUp
    | TransferCall
    | RunTool
    | StoreTurn
    | Journal
    | Finish
)
