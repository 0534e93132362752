"""May this lead be dialed now? Pure: the facts and the instant go in.

The calling window is read in the lead's own time zone; where that is not known, in the workspace's. Several
candidate zones, legal windows and consent are not decided here yet.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WINDOW_MARGIN = timedelta(minutes=5)
"""Before the end of the window: the carrier may queue, and the phone rings for a while (promises.md 4.2)."""


@dataclass(frozen=True, slots=True)
class Window:
    """Local times of day. `start == end` means any time; `start > end` passes midnight."""

    start: time
    end: time
    days: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    """ISO weekdays on which it opens."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known right before a dial."""

    phone: str
    window: Window
    workspace_zone: str
    lead_zone: str = ""
    archived: bool = False
    opted_out: bool = False
    suppressed: bool = False
    workspace_paused: bool = False
    batch_open: bool = True
    number_usable: bool = True
    has_agent: bool = True
    model_configured: bool = True
    on_the_phone: bool = False
    call_unknown_zone: bool = True
    may_call_again_at: datetime | None = None
    """The lead was called as often as a day allows; from this instant on it may be called again."""


@dataclass(frozen=True, slots=True)
class Allow:
    pass


@dataclass(frozen=True, slots=True)
class Refuse:
    """`until` is when to ask again; None means never for this recipient."""

    code: str
    detail: str
    until: datetime | None = None


SOON = timedelta(seconds=15)
"""When to ask again about what a person or another call may change at any moment."""


def decide(facts: Facts, now: datetime) -> Allow | Refuse:
    """The first reason against dialing, the final ones first. `now` is aware."""
    final = _final(facts)
    if final is not None:
        return final
    if facts.workspace_paused:
        return Refuse("workspace_paused", "Calling is paused for the workspace.", now + SOON)
    if not facts.batch_open:
        return Refuse("batch_not_running", "The batch is not running.", now + SOON)
    if not facts.model_configured:
        return Refuse("model_not_configured", "No speech model is configured.", now + SOON)
    if facts.on_the_phone:
        return Refuse("on_the_phone", "Another call to this number is under way.", now + SOON)
    if facts.may_call_again_at is not None and facts.may_call_again_at > now:
        return Refuse("called_too_often", "Called as often as a day allows.", facts.may_call_again_at)
    opens_at = next_opening(facts.window, zone(facts.lead_zone, facts.workspace_zone), now)
    if opens_at > now:
        return Refuse("outside_window", "Outside the calling hours of the lead.", opens_at)
    return Allow()


def _final(facts: Facts) -> Refuse | None:
    if facts.archived:
        return Refuse("archived", "The lead is archived.")
    if not facts.phone:
        return Refuse("no_phone", "The lead has no phone number.")
    if facts.opted_out:
        return Refuse("opted_out", "The lead asked not to be called.")
    if facts.suppressed:
        return Refuse("suppressed", "The number is on the do-not-call list.")
    if not facts.call_unknown_zone and not facts.lead_zone:
        return Refuse("unknown_time_zone", "The lead has no time zone, and such leads are not called.")
    if not facts.number_usable:
        return Refuse("number_released", "The number to call from is not ours any more.")
    if not facts.has_agent:
        return Refuse("no_agent", "The agent cannot talk: archived or without a version.")
    return None


def zone(lead_zone: str, workspace_zone: str) -> ZoneInfo:
    """The zone whose clock counts; names that do not exist are passed over, UTC is the last resort."""
    for name in (lead_zone, workspace_zone):
        if name:
            try:
                return ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                continue
    return ZoneInfo("UTC")


def next_opening(window: Window, where: ZoneInfo, now: datetime) -> datetime:
    """`now` if the window is open there, else the instant of its next opening.

    Days are compared as instants, so a day on which the clocks change is as long as it is.
    """
    today = now.astimezone(where).date()
    if window.start == window.end and today.isoweekday() in window.days:
        return now
    for offset in range(-1, 9):
        day = today + timedelta(days=offset)
        if day.isoweekday() not in window.days:
            continue
        opens_at = datetime.combine(day, window.start, where)
        last_day = day if window.start < window.end else day + timedelta(days=1)
        closes_at = datetime.combine(last_day, window.end, where)
        # Instants are compared in UTC: aware datetimes of one zone compare by wall clock otherwise.
        opens_s, closes_s = opens_at.timestamp(), closes_at.timestamp() - _margin_s(opens_at, closes_at)
        if now.timestamp() < opens_s:
            return datetime.fromtimestamp(opens_s, now.tzinfo)
        if now.timestamp() < closes_s:
            return now
    raise AssertionError("a window opens within a week")


def _margin_s(opens_at: datetime, closes_at: datetime) -> float:
    """The margin, but never more than half of a short window."""
    length_s = closes_at.timestamp() - opens_at.timestamp()
    return min(WINDOW_MARGIN.total_seconds(), length_s / 2)
