"""What can happen to a live call. Inputs of :class:`voice.session.machine.CallSession`.

Every event is plain data. Audio positions are milliseconds of audio; instants are the `now` that the
machine is given beside the event, in seconds of a monotonic clock.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

# --- the phone side (Twilio Media Streams) -------------------------------------------------------


@dataclass(slots=True)
class StreamStarted:
    """The carrier's `start` message was accepted (token and call match)."""

    stream_sid: str


@dataclass(slots=True)
class CallerAudio:
    """One media frame of the caller: base64 µ-law as it came, and its length."""

    payload: str
    ms: int


@dataclass(slots=True)
class MarkReturned:
    name: str


@dataclass(slots=True)
class DtmfPressed:
    digit: str


@dataclass(slots=True)
class StreamStopped:
    """The media socket is over: `stop` was received, or the socket closed without it."""

    clean: bool


@dataclass(slots=True)
class AnsweredBy:
    """Answering-machine verdict of the carrier (Twilio `AnsweredBy` values)."""

    value: str


# --- the model side (OpenAI Realtime, GA names) --------------------------------------------------


@dataclass(slots=True)
class ModelReady:
    """`session.updated` confirmed our configuration."""

    session_id: str
    expires_at: float | None = None
    """Unix seconds at which the provider ends the session, if it said so."""
    attempt: int = 0
    """Which connection: `OpenModel.attempt`. 0 stands for the one that was asked for last."""
    expires_in_s: float | None = None
    """`expires_at` minus the wall clock, filled in by the runner: the machine knows no wall clock."""
    input_format: str = ""
    output_format: str = ""
    """Audio formats of the effective configuration (`audio/pcmu`, …), empty if the server did not say."""


@dataclass(slots=True)
class ModelLost:
    """The model socket is gone or never came up. `retryable` is false for quota, key and config errors."""

    code: str
    retryable: bool
    detail: str = ""
    attempt: int = 0
    """Which connection: `OpenModel.attempt`. 0 stands for the one in use. One that we closed is not lost."""


@dataclass(slots=True)
class SpeechStarted:
    item_id: str
    audio_start_ms: int


@dataclass(slots=True)
class SpeechStopped:
    item_id: str
    audio_end_ms: int


@dataclass(slots=True)
class InputCommitted:
    item_id: str
    previous_item_id: str | None


@dataclass(slots=True)
class IdleTimeout:
    item_id: str


@dataclass(slots=True)
class ItemAdded:
    item_id: str
    previous_item_id: str | None
    kind: str
    """`message`, `function_call`, `function_call_output`, …"""
    role: str | None = None


@dataclass(slots=True)
class ResponseCreated:
    response_id: str
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class AudioDelta:
    response_id: str
    item_id: str
    content_index: int
    payload: str
    ms: float


@dataclass(slots=True)
class AudioDone:
    """No more audio of this content part will come (`response.output_audio.done`)."""

    response_id: str
    item_id: str
    content_index: int


@dataclass(slots=True)
class AgentTextDelta:
    response_id: str
    item_id: str
    content_index: int
    text: str


@dataclass(slots=True)
class AgentTextDone:
    response_id: str
    item_id: str
    content_index: int
    text: str


@dataclass(slots=True)
class ToolCalled:
    """A completed `function_call` item; `arguments` is the model's JSON text, unparsed."""

    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(slots=True)
class ResponseDone:
    response_id: str
    status: Literal["completed", "cancelled", "failed", "incomplete"] | str
    reason: str | None = None
    error_code: str | None = None
    usage: dict[str, Any] | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    tool_calls: list[ToolCalled] = field(default_factory=list)
    """Completed function calls in `output`: the safety net for a missed `output_item.done`."""


@dataclass(slots=True)
class CallerTextDelta:
    item_id: str
    text: str


@dataclass(slots=True)
class CallerTextDone:
    item_id: str
    text: str


@dataclass(slots=True)
class CallerTextFailed:
    item_id: str
    code: str


@dataclass(slots=True)
class ModelError:
    """An `error` event. `client_event_id` is the `event_id` of ours that caused it, if any."""

    code: str
    message: str
    param: str | None = None
    client_event_id: str | None = None
    type: str = ""


@dataclass(slots=True)
class UnknownEvent:
    """A message of a type that we do not know. Counted, never fatal."""

    source: Literal["carrier", "model"]
    type: str


@dataclass(slots=True)
class BadMessage:
    """A message that cannot be read or may not come now. Counted; `fatal` asks to close that socket."""

    source: Literal["carrier", "model"]
    reason: str
    """A short fixed word, never content of the message."""
    fatal: bool = False


# --- ours ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class ToolFinished:
    """A tool run ended (well, badly or by deadline).

    `output` is the JSON text for the model. `effect` asks the machine for something that happens to the
    call itself once the agent has finished speaking.
    """

    call_id: str
    output: str
    ok: bool = True
    effect: Literal["none", "end_call", "transfer", "opt_out", "off_record"] = "none"
    effect_data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class OperatorSay:
    """Speak this sentence exactly."""

    text: str
    by: str = ""
    """Who asks, as the audit log names them; so in every command of an operator. Empty: one of ours."""


@dataclass(slots=True)
class OperatorWhisper:
    """An instruction to the agent that the caller does not hear."""

    text: str
    by: str = ""


@dataclass(slots=True)
class OperatorMute:
    """The agent says nothing more and answers nothing, until :class:`OperatorUnmute`."""

    by: str = ""


@dataclass(slots=True)
class OperatorUnmute:
    by: str = ""


@dataclass(slots=True)
class OperatorTakeOver:
    """A person talks to the caller in the agent's place; `desk` names the connection of their microphone."""

    desk: str
    by: str = ""


@dataclass(slots=True)
class OperatorVoice:
    """A piece of that person's voice: base64 µ-law, and its length."""

    desk: str
    payload: str
    ms: float


@dataclass(slots=True)
class OperatorWords:
    """What that person said in one go: told late, by a model beside the call."""

    item_id: str
    text: str
    began_at: float
    """On the machine's clock."""
    ended_at: float


@dataclass(slots=True)
class OperatorGiveBack:
    """The agent goes on. With `desk` only if that is the one that talks."""

    desk: str = ""
    by: str = ""
    note: str = ""
    """What the agent should know of what was said meanwhile."""
    lost: bool = False
    """The microphone's connection ended; nobody asked for it."""


@dataclass(slots=True)
class OperatorHangUp:
    reason: str = "operator-hangup"
    by: str = ""


@dataclass(slots=True)
class OperatorTransfer:
    target: dict[str, Any] = field(default_factory=dict)
    by: str = ""


@dataclass(slots=True)
class CallerTyped:
    """The other side wrote instead of speaking (a person who tries the agent out)."""

    text: str


@dataclass(slots=True)
class WrapUp:
    """Bring the call to its end within `seconds`: an operator's wish, or that of a spent budget."""

    seconds: float = 30.0
    reason: str = ""


@dataclass(slots=True)
class TransferFailed:
    """The carrier refused the transfer: the call is still with us."""

    code: str = ""


@dataclass(slots=True)
class Drain:
    """This process goes away: give the call back to the carrier, whose TwiML resumes it elsewhere."""


CarrierEvent = StreamStarted | CallerAudio | MarkReturned | DtmfPressed | StreamStopped | AnsweredBy
ModelEvent = (
    ModelReady
    | ModelLost
    | SpeechStarted
    | SpeechStopped
    | InputCommitted
    | IdleTimeout
    | ItemAdded
    | ResponseCreated
    | AudioDelta
    | AudioDone
    | AgentTextDelta
    | AgentTextDone
    | ToolCalled
    | ResponseDone
    | CallerTextDelta
    | CallerTextDone
    | CallerTextFailed
    | ModelError
)
OwnEvent = (
    ToolFinished
    | OperatorSay
    | OperatorWhisper
    | OperatorMute
    | OperatorUnmute
    | OperatorTakeOver
    | OperatorVoice
    | OperatorWords
    | OperatorGiveBack
    | OperatorHangUp
    | OperatorTransfer
    | CallerTyped
    | WrapUp
    | TransferFailed
    | Drain
)
SessionEvent = CarrierEvent | ModelEvent | OwnEvent | UnknownEvent | BadMessage
