"""Named deadlines. A few at a time, so a dictionary and its minimum are all that is needed."""

from enum import StrEnum


class Timer(StrEnum):
    MODEL_READY = "model-ready"
    ANSWER = "answer"
    RECONNECT = "reconnect"
    SILENCE = "silence"
    WRAP_UP = "wrap-up"
    MAX_DURATION = "max-duration"
    MEDIA = "media"
    STALL = "stall"
    RESPONSE = "response"
    PUMP = "pump"
    PLAYED = "played"
    WORDS = "words"
    CLOSING = "closing"
    APOLOGY = "apology"
    HANGUP = "hangup"
    LAST_TRANSCRIPT = "last-transcript"
    ROTATE = "rotate"
    DTMF = "dtmf"
    TOOLS = "tools"
    DESK = "desk"


class Timers:
    """`next()` is cheap: the runner asks after every frame."""

    __slots__ = ("_at", "_next")

    def __init__(self) -> None:
        self._at: dict[Timer, float] = {}
        self._next: float | None = None

    def set(self, timer: Timer, at: float) -> None:
        self._at[timer] = at
        self._next = min(self._at.values())

    def cancel(self, timer: Timer) -> None:
        if self._at.pop(timer, None) is not None:
            self._next = min(self._at.values(), default=None)

    def clear(self) -> None:
        self._at.clear()
        self._next = None

    def is_set(self, timer: Timer) -> bool:
        return timer in self._at

    def next(self) -> float | None:
        return self._next

    def take_due(self, now: float) -> Timer | None:
        """The earliest timer that is due, which is then no longer set."""
        if self._next is None or self._next > now:
            return None
        timer = min(self._at, key=self._at.__getitem__)
        self.cancel(timer)
        return timer
