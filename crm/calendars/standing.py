"""Making an event stand in somebody's calendar, alone in its time, and taking it away. No rows, no clock.

Every step may have been done before by somebody who died over it, so each begins with a look. After writing
we look again: a server may keep two events at one time, or something else than it was given. Whoever writes
looks afterwards; so of two who book the same time in different ways at least one sees the other, and gives
way. Both may: then neither is booked, which is said, and never are both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from crm.calendars.availability import Period
from crm.calendars.port import CalendarUnavailable, Event, Overlapped, Port, Stored
from tenex.lib import failpoint


@dataclass(frozen=True, slots=True)
class Placing:
    """What is to stand. `guard` is the time that must be free around it; `was` its time so far, if it is one
    that moves; `firm` if it is booked already, so that whatever else is there came later."""

    event: Event
    guard: Period
    is_leftover: Callable[[str], bool]
    href: str = ""
    was: Period | None = None
    firm: bool = False


def place(port: Port, wanted: Placing) -> Stored:
    """Make it stand.

    Raises:
        Overlapped: something else is there; ours is not, or is where it was.
        CalendarUnavailable: nobody knows.
        CalendarRefused.
    """
    mine, rivals = _look(port, wanted)
    if mine is None and (wanted.was is not None or wanted.firm):
        near = [wanted.was] if wanted.was is not None else []
        mine = port.find(wanted.event.uid, wanted.href, near)
    if rivals and not wanted.firm:
        _give_way(port, wanted, mine)
    if mine is None:
        mine = port.create(wanted.event, wanted.is_leftover)
    elif mine.period != wanted.event.period:
        mine = port.change(mine, wanted.event)
    failpoint.hit("calendar.written")
    stands, rivals = _look(port, wanted)
    if stands is None or stands.period != wanted.event.period:
        raise CalendarUnavailable("the event is not there after it was written")
    if rivals and not wanted.firm:
        _give_way(port, wanted, stands)
    return replace(stands, join_url=stands.join_url or mine.join_url)


def vanish(port: Port, uid: str, href: str, near: Sequence[Period]) -> None:
    """Make it be gone.

    Raises:
        CalendarUnavailable, CalendarRefused.
    """
    found = port.find(uid, href, near)
    if found is not None:
        port.remove(found)


def _look(port: Port, wanted: Placing) -> tuple[Stored | None, list[Stored]]:
    """Ours, and what stands in its way."""
    mine: Stored | None = None
    rivals = []
    for one in port.events(wanted.guard):
        if one.uid == wanted.event.uid:
            mine = one
        elif one.busy and one.period.starts_at < one.period.ends_at and one.period.overlaps(wanted.guard):
            rivals.append(one)
    standing = []
    for one in rivals:
        if one.uid and wanted.is_leftover(one.uid):
            port.remove(one)
        else:
            standing.append(one)
    return mine, standing


def _give_way(port: Port, wanted: Placing, mine: Stored | None) -> None:
    if mine is not None and wanted.was is None:
        port.remove(mine)
    elif mine is not None and wanted.was is not None and mine.period != wanted.was:
        port.change(mine, replace(wanted.event, period=wanted.was))
    raise Overlapped("something else stands at that time in the calendar")
