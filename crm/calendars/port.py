"""What we ask of a calendar that somebody else keeps, whatever it speaks; and what may come of it.

Every method blocks, within the time of the port's budget, and raises one of the errors below. An answer that
does not come says nothing about what was done: whoever wrote looks before writing again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from crm.calendars.availability import Period
from tenex.errors import Conflict, TenexError, Unavailable


class CalendarUnavailable(Unavailable):
    """It does not answer, or nonsense, or not in time. What was asked may have happened."""

    code = "calendar_unavailable"


class CalendarRefused(TenexError):
    """It answers, and does not let us: wrong password, taken-back consent, no such calendar. For a person."""

    code = "calendar_refused"
    status = 502


class Overlapped(Conflict):
    """Something else stands at that time in the calendar."""

    code = "slot_taken"


@dataclass(frozen=True, slots=True)
class Stored:
    """An occurrence as it stands on the server. `href` and `etag` are for changing it."""

    uid: str
    period: Period
    busy: bool
    href: str = ""
    etag: str = ""
    join_url: str = ""
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """An event as we want it. `revision` makes two writes of the same content two contents (and etags)."""

    uid: str
    period: Period
    title: str
    text: str
    sequence: int
    revision: int
    join_url: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A calendar of an account that can be chosen."""

    address: str
    name: str
    writable: bool = True


class Budget:
    """Time for everything that is asked in one go."""

    def __init__(self, seconds: float) -> None:
        self._until_s = time.monotonic() + seconds

    def left_s(self) -> float:
        """Seconds that are left.

        Raises:
            CalendarUnavailable: none. A process that was frozen finds that here, before it writes.
        """
        left = self._until_s - time.monotonic()
        if left <= 0:
            raise CalendarUnavailable("the calendar did not answer in time")
        return left


class Port(Protocol):
    def busy(self, window: Period) -> list[Period]:
        """When somebody's time is taken in `window`."""
        ...

    def events(self, window: Period) -> list[Stored]:
        """All occurrences that touch `window`, ours too, also such as take nobody's time."""
        ...

    def find(self, uid: str, href: str, near: Sequence[Period]) -> Stored | None:
        """An event of ours: at `href` if that is known, else by its uid, in the periods where it may be."""
        ...

    def create(self, event: Event, is_leftover: Callable[[str], bool]) -> Stored:
        """Put it there unless somebody has put theirs there; `is_leftover` says which uids of ours may go.

        Raises:
            Overlapped: somebody was faster.
        """
        ...

    def change(self, stored: Stored, event: Event) -> Stored:
        """Write it over what is stored, if that is still what is stored."""
        ...

    def remove(self, stored: Stored) -> None:
        """Away with it, if it is still that; nothing if it is gone already."""
        ...
