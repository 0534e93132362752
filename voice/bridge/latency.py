"""How long the caller waited: measured where the sound passes, kept with the call. Pure."""

from collections.abc import Mapping
from typing import Any, Final

_MAX_TURNS: Final = 1000


class LatencyLog:
    """Instants are seconds of the wall's monotonic clock, results are milliseconds.

    `earlier` is the summary of the call's stream before this one, if the call was resumed; `began_at` the
    start of this one.
    """

    __slots__ = ("_asked_at", "_began_at", "_first_ms", "_line_until", "_ready_at", "_turns_ms")

    def __init__(self, earlier: Mapping[str, Any] | None = None, *, began_at: float = 0.0) -> None:
        known = earlier or {}
        self._began_at = began_at
        self._line_until = began_at
        self._ready_at: float | None = None
        self._first_ms: int | None = known.get("first_audio_ms")
        self._asked_at: float | None = None
        self._turns_ms: list[int] = list(known.get("turn_ms", {}).get("each", ()))[:_MAX_TURNS]

    def on_ready(self, now: float) -> None:
        """The session is configured; only the first one of a call counts."""
        if self._ready_at is None:
            self._ready_at = now

    def on_caller_done(self, now: float) -> None:
        """The model heard the end of the caller's speech."""
        self._asked_at = now

    def on_line(self, now: float, seconds: float) -> None:
        """A line of ours is played, so long: the opening. Nobody waits for the model meanwhile, and who
        spoke before it has been answered by it.
        """
        self._asked_at = None
        self._line_until = max(now, self._line_until) + seconds
        if self._first_ms is None:
            self._first_ms = round((now - self._began_at) * 1000)

    def on_cleared(self, now: float) -> None:
        """What was still to be played is not."""
        self._line_until = min(now, self._line_until)

    def on_agent_audio(self, now: float) -> float | None:
        """A piece of the agent's speech is on its way; how long (ms) the answer took, if it is its first."""
        took_ms = None
        if self._asked_at is not None:
            took_ms = max(0.0, now - max(self._asked_at, self._line_until)) * 1000
            if len(self._turns_ms) < _MAX_TURNS:
                self._turns_ms.append(round(took_ms))
            self._asked_at = None
        if self._first_ms is None and self._ready_at is not None:
            self._first_ms = round((now - self._ready_at) * 1000)
        return took_ms

    def summary(self) -> dict[str, Any]:
        """`first_audio_ms`: from `session.updated`, or from the start of the stream to a line of ours;
        `turn_ms`: from the end of the caller's speech, or of the line it fell into, to the answer's sound.

        `each` has every answer, in order: percentiles of several calls cannot be had from those of each.
        """
        found: dict[str, Any] = {}
        if self._first_ms is not None:
            found["first_audio_ms"] = self._first_ms
        if self._turns_ms:
            ordered = sorted(self._turns_ms)
            found["turn_ms"] = {
                "count": len(ordered),
                "p50": ordered[len(ordered) // 2],
                "p95": ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
                "max": ordered[-1],
                "each": list(self._turns_ms),
            }
        return found
