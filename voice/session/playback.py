"""What the caller has heard: the arithmetic of queue, marks and clock (rules 1 and 2).

The carrier plays what it was sent in one queue at real time. All audio of one *generation* (from one `clear`
to the next) therefore has a position on one line, in milliseconds. A mark that comes back says "everything up
to here was played"; between marks the clock carries on from the last one, never beyond what was sent. The
position heard of one (item, content part) is the part of the line that its segments cover.

After `clear` the carrier returns all pending marks at once although nothing was played: the generation in
a mark's name tells those apart.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

MAX_MARKS: Final = 8192
MAX_PARTS: Final = 256
LOST_MARK_GRACE_S: Final = 2.0
"""Later than the clock's end by this much, a mark is taken for lost."""
UNKNOWN_CLIP_MS: Final = 3000.0

MarkVerdict = Literal["ok", "stale", "repeated", "unknown"]


@dataclass(slots=True)
class Part:
    """One content part of one item. All lengths in milliseconds of audio."""

    response_id: str
    item_id: str
    content_index: int
    attempt: int
    """The model connection that it came from: an item of another one cannot be truncated."""
    received_ms: float = 0.0
    sent_ms: float = 0.0
    settled_ms: float = 0.0
    """Heard for certain, in segments that have left the queue."""
    waiting: int = 0
    """Segments still in the queue."""
    complete: bool = False
    """No more audio of it will come."""


@dataclass(slots=True)
class _Segment:
    part: Part | None
    start_ms: float
    end_ms: float


@dataclass(slots=True)
class Cut:
    """A part that stopped before its end: `heard_ms <= received_ms`."""

    part: Part
    heard_ms: float


class Playback:
    __slots__ = (
        "_anchor_at",
        "_anchor_ms",
        "_marks",
        "_max_backlog_ms",
        "_segments",
        "_sent_ms",
        "_seq",
        "generation",
        "parts",
    )

    def __init__(self, *, max_backlog_ms: float) -> None:
        self._max_backlog_ms = max_backlog_ms
        self.generation = 1
        self.parts: dict[tuple[str, int], Part] = {}
        """Parts that are not settled yet, oldest first."""
        self._seq = 0
        self._reset()

    def _reset(self) -> None:
        self._sent_ms = 0.0
        self._anchor_ms = 0.0
        self._anchor_at = 0.0
        self._marks: deque[tuple[int, float]] = deque()
        self._segments: deque[_Segment] = deque()

    # --- sending ------------------------------------------------------------------------------

    def play(
        self, response_id: str, item_id: str, content_index: int, ms: float, now: float, attempt: int = 0
    ) -> str | None:
        """Account for one chunk that is about to be sent; the name of the mark to send behind it.

        None: it must not be sent, because too much is waiting already.
        """
        key = (item_id, content_index)
        part = self.parts.get(key)
        if part is None:
            if len(self.parts) >= MAX_PARTS:
                return None
            part = self.parts[key] = Part(response_id, item_id, content_index, attempt)
        elif part.attempt != attempt:
            return None  # somebody else's item of the same name
        part.received_ms += ms
        if self._sent_ms - self.played_ms(now) > self._max_backlog_ms or len(self._marks) >= MAX_MARKS:
            return None
        part.sent_ms += ms
        return self._enqueue(part, ms, now)

    def play_clip(self, ms: float | None, now: float) -> str:
        """The mark of one of our own clips; an unknown length is estimated until its mark returns."""
        return self._enqueue(None, UNKNOWN_CLIP_MS if ms is None else ms, now)

    def _enqueue(self, part: Part | None, ms: float, now: float) -> str:
        start = self._sent_ms
        if self.played_ms(now) >= start:  # nothing is playing: this starts now, not after the last mark
            self._anchor_ms, self._anchor_at = start, now
        segments = self._segments
        if part is not None and segments and segments[-1].part is part:
            segments[-1].end_ms += ms
        else:
            segments.append(_Segment(part, start, start + ms))
            if part is not None:
                part.waiting += 1
        self._sent_ms = start + ms
        self._seq += 1
        self._marks.append((self._seq, self._sent_ms))
        return f"g{self.generation}:{self._seq}"

    # --- the clock ----------------------------------------------------------------------------

    def played_ms(self, now: float) -> float:
        """Position that the carrier plays at `now`: `min(sent, acked + time since)`."""
        since = (now - self._anchor_at) * 1000.0
        position = self._anchor_ms + since if since > 0.0 else self._anchor_ms
        return position if position < self._sent_ms else self._sent_ms

    def ends_at(self) -> float:
        """When everything sent so far has been played, by the last mark and the clock."""
        return self._anchor_at + (self._sent_ms - self._anchor_ms) / 1000.0

    @property
    def full(self) -> bool:
        """So many marks are awaited that no more may be sent."""
        return len(self._marks) >= MAX_MARKS

    @property
    def busy(self) -> bool:
        """Something was sent that no mark has confirmed yet."""
        return bool(self._marks)

    def heard_ms(self, part: Part, now: float) -> float:
        """Milliseconds of `part` that the caller has heard; never more than received."""
        position = self.played_ms(now)
        heard = part.settled_ms
        for segment in self._segments:
            if segment.start_ms >= position:
                break
            if segment.part is part:
                heard += min(position, segment.end_ms) - segment.start_ms
        return min(heard, part.sent_ms, part.received_ms)

    # --- what comes back ----------------------------------------------------------------------

    def mark_returned(self, name: str, now: float) -> tuple[MarkVerdict, list[Part]]:
        """A mark came back: what it was, and the parts that are now heard to their end."""
        generation, _, number = name.partition(":")
        if not (generation[:1] == "g" and generation[1:].isdecimal() and number.isdecimal()):
            return "unknown", []
        if len(name) > 40 or int(generation[1:]) != self.generation:
            return "stale", []
        seq = int(number)
        if not self._marks or seq < self._marks[0][0]:
            return "repeated", []
        if seq > self._marks[-1][0]:
            return "unknown", []
        return "ok", self._settle_up_to(seq, now)

    def assume_played(self, now: float) -> list[Part]:
        """The last marks are lost: take everything sent for played."""
        return self._settle_up_to(self._marks[-1][0], now) if self._marks else []

    def _settle_up_to(self, seq: int, now: float) -> list[Part]:
        position = self._anchor_ms
        while self._marks and self._marks[0][0] <= seq:  # a later mark confirms the lost ones before it
            position = self._marks.popleft()[1]
        self._anchor_ms, self._anchor_at = position, now
        done: list[Part] = []
        while self._segments and self._segments[0].end_ms <= position:
            segment = self._segments.popleft()
            part = segment.part
            if part is not None:
                part.settled_ms += segment.end_ms - segment.start_ms
                part.waiting -= 1
                self._retire(part, done)
        return done

    def complete(self, item_id: str, content_index: int) -> list[Part]:
        """No more audio of this part will come; it is returned if it was heard to its end already."""
        part = self.parts.get((item_id, content_index))
        done: list[Part] = []
        if part is not None:
            part.complete = True
            self._retire(part, done)
        return done

    def complete_response(self, response_id: str | None) -> list[Part]:
        """No more audio of this response will come (None: of any)."""
        done: list[Part] = []
        for part in list(self.parts.values()):
            if response_id is None or part.response_id == response_id:
                part.complete = True
                self._retire(part, done)
        return done

    def _retire(self, part: Part, done: list[Part]) -> None:
        if part.complete and part.waiting == 0:
            self.parts.pop((part.item_id, part.content_index), None)
            done.append(part)

    # --- interruption -------------------------------------------------------------------------

    def clear(self, now: float) -> list[Cut]:
        """A new generation: forget the queue. Returns every part that was not heard to its end, oldest first.

        A part that is complete and was heard entirely (mark outstanding or not) is not among them: its turn
        is settled by :meth:`take_heard`, which must be called first.
        """
        cuts = [Cut(part, self.heard_ms(part, now)) for part in self.parts.values()]
        self.parts.clear()
        self.generation += 1
        self._reset()
        return cuts

    def resume(self, part: Part, heard_ms: float, now: float) -> str:
        """After :meth:`clear`: the rest of a part is sent once more; the mark behind it."""
        part.settled_ms, part.waiting = heard_ms, 0
        self.parts[part.item_id, part.content_index] = part
        return self._enqueue(part, max(0.0, part.sent_ms - heard_ms), now)

    def take_heard(self, now: float) -> list[Part]:
        """Parts that are complete and heard to their end by the clock; they are settled.

        Not those of ours (without a connection): they must be heard, so only their mark says that they were.
        """
        done = [
            part
            for part in self.parts.values()
            if part.attempt >= 0 and part.complete and self.heard_ms(part, now) >= part.received_ms
        ]
        for part in done:
            part.settled_ms = part.received_ms
            del self.parts[part.item_id, part.content_index]
        return done
