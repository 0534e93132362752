"""Phases of a live call and the legal moves between them: h11's rule that the table is the truth."""

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    IDLE = "idle"
    """The media socket is up, `start` has not been accepted."""
    OPENING = "opening"
    """Stream started; waiting for the model and (outbound) for the answering-machine verdict."""
    TALKING = "talking"
    CLOSING = "closing"
    """A hang-up or a transfer happens when the agent has finished speaking."""
    VOICEMAIL = "voicemail"
    """A machine is on the line: waiting for its beep, or leaving the message."""
    FAILING = "failing"
    """The model is gone for good; the apology plays."""
    HANGING_UP = "hanging-up"
    """The carrier was asked to end or to transfer the call; waiting for the stream to stop."""
    STOPPED = "stopped"
    """The stream is over; bounded wait for the last transcription."""
    CLOSED = "closed"


_OVER = frozenset({Phase.STOPPED, Phase.CLOSED})

MOVES: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.IDLE: frozenset({Phase.OPENING, Phase.CLOSED}),
    Phase.OPENING: frozenset({Phase.TALKING, Phase.CLOSING, Phase.VOICEMAIL, Phase.FAILING, Phase.HANGING_UP})
    | _OVER,
    Phase.TALKING: frozenset({Phase.CLOSING, Phase.VOICEMAIL, Phase.FAILING, Phase.HANGING_UP}) | _OVER,
    Phase.VOICEMAIL: frozenset({Phase.HANGING_UP}) | _OVER,
    Phase.CLOSING: frozenset({Phase.TALKING, Phase.HANGING_UP}) | _OVER,
    Phase.FAILING: frozenset({Phase.HANGING_UP}) | _OVER,
    # back to talking: the carrier refused the transfer
    Phase.HANGING_UP: frozenset({Phase.TALKING}) | _OVER,
    Phase.STOPPED: frozenset({Phase.CLOSED}),
    Phase.CLOSED: frozenset(),
}
"""state -> states that may follow. Which events a state understands is the table in `machine`."""
