"""The opening of an outbound call: our own lines, said before any word of the model (promises.md I4).

Who calls, that it is an AI and how to make it stop is one line, which is said to its end whatever the other
side does; the lines behind it may be talked over, and are then said again at the next pause. The model is
asked for nothing before the last of them is nearly through, and finds them in its conversation.
"""

from dataclasses import dataclass, field
from typing import Final

from voice.session import commands as cmd
from voice.session import record
from voice.session.items import OPENING
from voice.session.phases import Phase
from voice.session.playback import Cut, Part
from voice.session.responses import Intent
from voice.session.script import Line
from voice.session.state import Live
from voice.session.timers import Timer

OURS: Final = -1
"""`Part.attempt` of our own lines: no model connection knows them, so none is told to cut them."""
_LEAD_S: Final = 0.6
"""So long before our last word is played the model may be asked: its own first word takes as long."""
_REWIND_MS: Final = 250.0
"""A line that goes on does so a little before the place where it was silenced: our clock runs ahead of the
ear by the way of the sound."""
_MOST_CUTS: Final = 2
"""Who talks over us more often hears the rest to its end."""


@dataclass(slots=True)
class Opening:
    """How far the opening of a call is."""

    lines: tuple[Line, ...]
    began_at: float | None = None
    began_ms: int = 0
    """Of the call: speech that began before is no interruption of it."""
    done: bool = False
    owed: list[int] = field(default_factory=list)
    """Lines that were talked over, to be said at the next pause."""
    cuts: int = 0
    turns: int = 0
    in_history: bool = False
    """The model's session was opened with it as a part of what was said."""

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.lines)


def begin(live: Live, now: float) -> None:
    """Say it, now: somebody who may be a person is on the line."""
    opening = live.opening
    live.answered = True
    if opening is None or opening.began_at is not None or opening.done:
        return
    opening.began_at, opening.began_ms = now, live.clock_ms(now)
    live.journal("call.first_audio", ms=round((now - live.started_at) * 1000))
    _say(live, opening, list(range(len(opening.lines))), now)
    live.attention_at = now


def _say(live: Live, opening: Opening, indexes: list[int], now: float) -> None:
    opening.turns += 1
    item = OPENING if opening.turns == 1 else f"{OPENING}_{opening.turns}"
    opening.owed = []
    for index in indexes:
        if not say_line(live, item, index, opening.lines[index], now):
            opening.owed.append(index)


def say_line(live: Live, item: str, index: int, line: Line, now: float) -> bool:
    """Put one of our lines behind whatever is being said; False if there is no room for it."""
    starts_at = max(now, live.playback.ends_at())
    mark = live.playback.play("", item, index, line.ms, now, OURS)
    if mark is None:
        live.count("backlog_dropped")
        return False
    live.out.append(cmd.PlayLine(line.name, mark))
    start_ms = live.clock_ms(starts_at)
    live.transcript.agent_sound(item, "", start_ms)
    live.transcript.agent_text(item, "", index, f"{line.text} ", start_ms)
    live.playback.complete(item, index)
    live.latency_from = None  # they have been answered, by us
    return True


def is_ours(part: Part) -> bool:
    return part.attempt == OURS


def cut(live: Live, part: Cut, now: float, reason: str) -> bool:
    """One of our lines was silenced. True if it goes on right away, so that nothing of it was lost."""
    opening = live.opening
    if opening is None or opening.done or not part.part.item_id.startswith(OPENING):
        return False
    if reason != "caller":
        opening.done = True
        opening.owed = []
        return False
    index = part.part.content_index
    if index > 0 and opening.cuts < _MOST_CUTS:
        opening.owed.append(index)
        return False
    from_ms = max(0.0, part.heard_ms - _REWIND_MS)
    mark = live.playback.resume(part.part, from_ms, now)
    live.out.append(cmd.PlayLine(opening.lines[index].name, mark, int(from_ms)))
    return True


def silenced(live: Live) -> None:
    """After an interruption: count it once, whatever it cut."""
    if live.opening is not None and live.opening.owed:
        live.opening.cuts += 1


def progress(live: Live, now: float) -> None:
    """After every event: say what is owed at a pause; notice the end."""
    opening = live.opening
    if opening is None or opening.done or opening.began_at is None:
        return
    if live.phase not in {Phase.OPENING, Phase.TALKING}:
        return
    if opening.owed:
        if not live.caller_speaking and not live.digits:
            _say(live, opening, sorted(opening.owed), now)
    elif not any(is_ours(part) for part in live.playback.parts.values()):
        _finish(live, opening)


def _finish(live: Live, opening: Opening) -> None:
    opening.done = True
    live.journal("call.opening", lines=[line.name for line in opening.lines], turns=opening.turns)
    record.notice_heard(live)


def holds(live: Live, now: float) -> bool:
    """Nothing may be asked of the model yet; a timer is set for the moment from which it may."""
    opening = live.opening
    if opening is None or opening.done:
        return False
    if opening.began_at is None or opening.owed:
        return True
    if live.recording == "explicit":
        return True  # the question is the last line: the answer to it comes first
    ends_at = live.playback.ends_at()
    if now < ends_at - _LEAD_S - 1e-6:
        live.timers.set(Timer.PUMP, ends_at - _LEAD_S)
        return True
    return False


def was_before(live: Live, start_ms: int) -> bool:
    """Speech that began before the opening did: no interruption of it, told late."""
    opening = live.opening
    return opening is not None and not opening.done and start_ms < opening.began_ms


def pending(live: Live) -> bool:
    """There is an opening, and it has not been said to its end."""
    return live.opening is not None and not live.opening.done


def greet(live: Live) -> None:
    """What the model says next, unless an answer is due anyway."""
    if live.recording not in {"explicit", "asked"}:
        live.ask(Intent("greeting"))
