"""Working hours as they are written: {"1": [["09:00", "12:30"], ["13:30", "17:00"]], …}. Pure."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MOST_A_DAY: Final = 6
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_SPAN = re.compile(r"\s*(\d{1,2}(?::\d{2})?)\s*(?:-|–|to)\s*(\d{1,2}(?::\d{2})?)\s*")


class BadHours(ValueError):
    """What is wrong with them, in words. `day` is where: an ISO weekday as a text, or what stands
    in its place (`unknown`); empty if it is no day's."""

    def __init__(self, text: str, day: str = "", *, unknown: bool = False) -> None:
        super().__init__(text)
        self.day = day
        self.unknown = unknown


def checked(hours: Any) -> dict[str, list[list[str]]]:
    """The same in order, without days that have none.

    Raises:
        BadHours.
    """
    if not isinstance(hours, Mapping):
        raise BadHours('weekdays are "1" (Monday) to "7"')
    for day in hours:
        if day not in set("1234567"):
            raise BadHours('weekdays are "1" (Monday) to "7"', str(day)[:100], unknown=True)
    return {day: _day(day, hours[day]) for day in sorted(hours) if hours[day]}


def _day(day: str, spans: Any) -> list[list[str]]:
    if not isinstance(spans, Sequence) or isinstance(spans, str) or len(spans) > MOST_A_DAY:
        raise BadHours(f'hours are written like [["09:00", "12:30"]], at most {MOST_A_DAY} a day', day)
    for span in spans:
        texts = isinstance(span, Sequence) and not isinstance(span, str) and len(span) == 2
        if not texts or not all(isinstance(one, str) for one in span):
            raise BadHours('hours are written like [["09:00", "12:30"]]', day)
        opens, closes = span
        if not _TIME.fullmatch(opens) or not (_TIME.fullmatch(closes) or closes == "24:00"):
            raise BadHours("times are written like 09:00, the end of a day as 24:00", day)
        if opens >= closes:
            raise BadHours(f"{opens} is not before {closes}", day)
    found = sorted([str(opens), str(closes)] for opens, closes in spans)
    for (_, closes), (opens, _) in pairwise(found):
        if opens < closes:
            raise BadHours("the hours of a day overlap", day)
    return found


def as_text(spans: Sequence[Sequence[str]]) -> str:
    """One day as people write it: "09:00-12:30, 13:30-17:00"."""
    return ", ".join(f"{opens}-{closes}" for opens, closes in spans)


def of_text(text: str, day: str) -> list[list[str]]:
    """One day as people wrote it; empty: none.

    Raises:
        BadHours.
    """
    found = []
    for part in filter(str.strip, re.split(r"[,;]", text)):
        span = _SPAN.fullmatch(part)
        if span is None:
            raise BadHours("write hours like 9:00-12:30, 13:30-17:00", day)
        found.append([_padded(span[1]), _padded(span[2])])
    return _day(day, found)


def _padded(time: str) -> str:
    hour, _, minute = time.partition(":")
    return f"{int(hour):02}:{minute or '00'}"
