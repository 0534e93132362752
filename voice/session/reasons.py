"""Why the live part of a call ended: the values of `Finish.reason` and `HangUp.reason`."""

from enum import StrEnum


class EndReason(StrEnum):
    """A part of `voice.models.EndReason` (same values), plus the hand-over, which ends no call."""

    CALLER_HANGUP = "caller-hangup"
    AGENT_HANGUP = "agent-hangup"
    OPERATOR_HANGUP = "operator-hangup"
    TRANSFERRED = "transferred"
    OPTED_OUT = "opted-out"
    MACHINE = "machine"
    FAX = "fax"
    SILENCE = "silence"
    MAX_DURATION = "max-duration"
    """Longest duration, or the most that the call may cost."""
    MODEL_UNAVAILABLE = "model-unavailable"
    MEDIA_LOST = "media-lost"
    """The media socket closed without `stop`, or no frame came any more."""
    HANDED_OVER = "handed-over"
    """This process drained; the call goes on elsewhere, so post-call must not start."""
