"""What we say ourselves in a call, prepared before it: plain data that the machine is given.

The sounds are the runner's; the machine knows a line by its name, its words and its length.
"""

from dataclasses import dataclass
from typing import Literal

Recording = Literal["off", "announce", "explicit"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of ours, spoken as a whole."""

    name: str
    text: str
    ms: float


@dataclass(frozen=True, slots=True)
class Script:
    """The lines of one outbound call, in the order in which they may come."""

    opening: tuple[Line, ...]
    """Who calls, that it is an AI and how to make it stop; then what for; then the recording, if any."""
    language: str = "en"
    """ISO 639-1: of the agent, and so of the wordings that are listened for first."""
    recording: Recording = "off"
    """What the last line of the opening is about: a notice, or a question that wants a yes."""
    screening: Line | None = None
    """The answer to a service that asks who calls and why, before it puts anybody through."""
    voicemail: Line | None = None
    """Left after the beep; None hangs up on a machine."""
    opened: bool = False
    """The opening was heard on an earlier stream of this call: it is not said again."""
