"""Why the live part of a call ended: the values of `Finish.reason` and `HangUp.reason`."""

from enum import StrEnum


class EndReason(StrEnum):
    CALLER_HANGUP = "caller-hangup"
    AGENT_HANGUP = "agent-hangup"
    OPERATOR_HANGUP = "operator-hangup"
    TRANSFERRED = "transferred"
    OPTED_OUT = "opted-out"
    VOICEMAIL = "voicemail"
    FAX = "fax"
    SILENCE = "silence"
    MAX_DURATION = "max-duration"
    SPEND_LIMIT = "spend-limit"
    MODEL_LOST = "model-lost"
    STREAM_LOST = "stream-lost"
    """The media socket closed without `stop`: the call may have ended, or the network failed."""
    MEDIA_LOST = "media-lost"
    """The socket stayed open but no frame came any more."""
    HANDED_OVER = "handed-over"
    """This process drained; the call goes on elsewhere. Not the end of the call."""
