"""I1: nobody is dialed outside the hours, whatever instant, number, stated zone, address and policy.

100,000 random questions, put to the decision and to an oracle that shares no code and no rule file with it:
it knows the law of some places as a table of its own, reads wall clocks, and walks forward to the first
minute that is open everywhere. A third of the instants are within a day of a clock change, in either
direction; many are near holidays.

Violations: allowed where the oracle says closed; refused for the hour where it says open; an `until` that is
more than a minute too late, or at which it is closed; a lead whose zone nobody knows and that is not refused.
"""

import argparse
import json
import os
import random
import sys
import time as clock
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

FULL, QUICK = 100_000, 5_000
MARGIN_MIN = 5
STEP_S = 300
EPOCH = date(1970, 1, 1).toordinal()
WALK_DAYS = 9
"""How far the oracle walks; what opens later is compared as later."""


# --- the oracle: its own table, its own reading of clocks ---------------------------------------------------

type Spans = list[tuple[float, float]]
type Hours = Callable[[date], Spans]
"""Minutes since midnight that the law of a place allows on a day."""


def always(first: int, last: int) -> Hours:
    return lambda _: [(first * 60, last * 60)]


def by_day(weekdays: Spans, saturday: Spans, sunday: Spans) -> Hours:
    def hours(day: date) -> Spans:
        chosen = sunday if day.weekday() == 6 else saturday if day.weekday() == 5 else weekdays
        return [(a * 60, b * 60) for a, b in chosen]

    return hours


def closed_on(hours: Hours, *days: str) -> Hours:
    shut = {date.fromisoformat(day) for day in days}
    return lambda day: [] if day in shut else hours(day)


US_STRICT = by_day([(9, 20)], [(9, 20)], [(12, 20)])
FRENCH_FEASTS = (
    "2026-01-01", "2026-04-06", "2026-05-01", "2026-05-08", "2026-05-14", "2026-05-25", "2026-07-14",
    "2026-08-15", "2026-11-01", "2026-11-11", "2026-12-25", "2027-01-01",
)  # fmt: skip
AUSTRALIAN_FEASTS = (
    "2026-01-01", "2026-01-26", "2026-04-03", "2026-04-06", "2026-04-25", "2026-12-25", "2026-12-26",
    "2027-01-01",
)  # fmt: skip
LOUISIANA_FEASTS = (
    "2026-01-01", "2026-01-19", "2026-02-16", "2026-02-17", "2026-04-03", "2026-05-25", "2026-06-19",
    "2026-07-03", "2026-07-04", "2026-09-07", "2026-11-03", "2026-11-11", "2026-11-26", "2026-12-25",
    "2027-01-01",
)  # fmt: skip
US = always(8, 21)
CANADA = by_day([(9, 21.5)], [(10, 18)], [(10, 18)])

# Beginning of a number -> its zones, its laws.
NUMBERS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "+1212555": (("America/New_York",), "US", "NY"),
    "+1305555": (("America/New_York",), "US", "FL"),
    "+1713555": (("America/Chicago",), "US", "TX"),
    "+1504555": (("America/Chicago",), "US", "LA"),
    "+1602555": (("America/Phoenix",), "US", "AZ"),
    "+1303555": (("America/Denver",), "US", "CO"),
    "+1415555": (("America/Los_Angeles",), "US", "CA"),
    "+1808555": (("Pacific/Honolulu",), "US", "HI"),
    "+1416555": (("America/Toronto",), "CA", "ON"),
    "+1604555": (("America/Vancouver",), "CA", "BC"),
    "+1709555": (("America/St_Johns", "America/Halifax"), "CA", "NL"),
    "+44207946": (("Europe/London",), "GB", ""),
    "+3312345": (("Europe/Paris",), "FR", ""),
    "+6129999": (("Australia/Sydney",), "AU", ""),
    "+6189999": (("Australia/Perth", "Australia/Adelaide"), "AU", ""),
}  # fmt: skip
LAWS: dict[tuple[str, str], list[Hours]] = {
    ("US", ""): [US, US_STRICT],
    ("US", "FL"): [US, always(8, 20)],
    ("US", "TX"): [US, by_day([(9, 21)], [(9, 21)], [(12, 21)])],
    ("US", "LA"): [US, closed_on(by_day([(8, 20)], [(8, 20)], []), *LOUISIANA_FEASTS)],
    ("GB", ""): [always(8, 21)],
    ("FR", ""): [closed_on(by_day([(10, 13), (14, 20)], [], []), *FRENCH_FEASTS)],
    ("AU", ""): [closed_on(by_day([(9, 20)], [(9, 17)], []), *AUSTRALIAN_FEASTS)],
}
STRICT: dict[str, list[Hours]] = {
    "US": [US_STRICT],
    "CA": [by_day([(9, 20)], [(10, 18)], [(10, 18)])],
    "GB": [closed_on(by_day([(9, 20)], [(10, 17)], []),
                     "2026-01-01", "2026-04-03", "2026-05-04", "2026-05-25", "2026-12-25", "2026-12-26",
                     "2026-12-28", "2027-01-01")],
    "FR": [], "AU": [],
}  # fmt: skip
ADDRESSES: dict[tuple[str, str], tuple[str, ...]] = {
    ("", ""): (),
    ("US", "NY"): ("America/New_York",),
    ("US", "FL"): ("America/New_York", "America/Chicago"),
    ("US", "TX"): ("America/Chicago", "America/Denver"),
    ("US", "LA"): ("America/Chicago",),
    ("US", "AZ"): ("America/Phoenix", "America/Denver"),
    ("US", "HI"): ("Pacific/Honolulu",),
    ("CA", "ON"): ("America/Toronto", "America/Winnipeg", "America/Atikokan"),
    ("GB", ""): ("Europe/London",),
    ("FR", ""): ("Europe/Paris",),
}
STATED: dict[str, str] = {
    "": "", "America/New_York": "US", "America/Chicago": "US", "America/Los_Angeles": "US",
    "Pacific/Honolulu": "US",
    "America/St_Johns": "CA", "Europe/London": "GB", "Europe/Paris": "FR", "Australia/Sydney": "AU",
    "Mars/Olympus": "",
}  # fmt: skip


def laws_of(country: str, region: str, strict: bool) -> list[Hours]:
    if country == "CA":
        found = [CANADA]
        return found + (STRICT["CA"] if strict else [])
    found = LAWS.get((country, region)) or LAWS.get((country, "")) or []
    if country == "US" and region and (country, region) not in LAWS:
        found = [US]
    return found + (STRICT[country] if strict else [])


class Question:
    """One random lead, policy and instant."""

    def __init__(self, draw: random.Random) -> None:
        self.prefix = draw.choice(list(NUMBERS))
        self.phone = f"{self.prefix}{draw.randrange(10**4):04}"
        self.stated = draw.choice(list(STATED)) if draw.random() < 0.6 else ""
        self.country, self.region = draw.choice(list(ADDRESSES)) if draw.random() < 0.5 else ("", "")
        self.strict = draw.random() < 0.5
        start, end = sorted(draw.sample(range(24 * 12), 2))
        if draw.random() < 0.3:
            start, end = 0, 0  # any time
        elif draw.random() < 0.2:
            start, end = end, start  # passes midnight
        elif draw.random() < 0.6:
            start, end = draw.choice([(9 * 12, 20 * 12), (8 * 12, 21 * 12), (10 * 12, 18 * 12)])
        self.start, self.end = start * 5, end * 5
        self.days = sorted(draw.sample(range(1, 8), draw.choice([7, 7, 7, 6, 5, 5, 3, 1])))
        self.now = instant(draw)
        self._laws = self.laws()

    def zones(self) -> list[str]:
        known = STATED[self.stated] != ""
        said = [self.stated] if known else list(ADDRESSES[self.country, self.region])
        return list(dict.fromkeys([*said, *NUMBERS[self.prefix][0]]))

    def laws(self) -> list[Hours]:
        _, country, region = NUMBERS[self.prefix]
        places = {(country, region)}
        if self.country:
            places.add((self.country, self.region))
        there = STATED[self.stated]
        if there and there not in {one for one, _ in places}:
            places.add((there, ""))
        return [hours for place in sorted(places) for hours in laws_of(*place, self.strict)]

    def open_minutes(self, day: date) -> int:
        """Bit n is set if everything is open in minute n of that day by the wall clock."""
        opened = self._chosen(day)
        for hours in self._laws:
            opened &= lawful_minutes(hours, day)
        return opened

    def _chosen(self, day: date) -> int:
        today = day.isoweekday() in self.days
        yesterday = (day - timedelta(days=1)).isoweekday() in self.days
        if self.start == self.end:
            return bits(0, 1440) if today else 0
        if self.start < self.end:
            return bits(self.start, self.end) if today else 0
        return (bits(self.start, 1440) if today else 0) | (bits(0, self.end) if yesterday else 0)


def bits(first: int, last: int) -> int:
    return (1 << last) - (1 << first)


@cache
def lawful_minutes(hours: Hours, day: date) -> int:
    found = 0
    for first, last in hours(day):
        found |= bits(int(first), int(last))
    return found


class Oracle:
    """Answers one question by looking at clocks. Instants are Unix seconds."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._zones = question.zones()
        self._days: dict[int, list[float]] = {}

    def open(self, at_s: int) -> bool:
        """Whether every clock shows open hours, and will for five minutes."""
        for zone in self._zones:
            day, shown_s = divmod(at_s + offset_s(zone, at_s // 1800), 86_400)
            closing = self._days.get(day)
            if closing is None:
                closing = self._days[day] = self._closing(day)
            if shown_s >= closing[shown_s // 60]:
                return False
        return True

    def _closing(self, day: int) -> list[float]:
        """For each minute of the wall clock of a day the second at which its span ends; 0: closed."""
        opened = self._question.open_minutes(date.fromordinal(EPOCH + day))
        closing = [0.0] * 1440
        minute = 0
        while minute < 1440:
            if not opened >> minute & 1:
                minute += 1
                continue
            first = minute
            while minute < 1440 and opened >> minute & 1:
                minute += 1
            # Five minutes before the end are closed; of a span of less than ten, the second half.
            end_s = minute * 60 - min(MARGIN_MIN * 60, (minute - first) * 30)
            closing[first:minute] = [end_s] * (minute - first)
        return closing

    def opens_at(self, now_s: int) -> int | None:
        """The first minute from now on that is open everywhere; None: not within WALK_DAYS.

        Every fifth minute is looked at: all hours that are asked about begin at fives, by every clock.
        """
        at_s = now_s - now_s % STEP_S + STEP_S
        for at in range(at_s, at_s + WALK_DAYS * 86_400, STEP_S):
            if self.open(at):
                return at
        return None


@cache
def offset_s(zone: str, half_hour: int) -> int:
    """Seconds that the clocks of a zone are ahead; they change at half hours only."""
    there = datetime.fromtimestamp(half_hour * 1800, ZoneInfo(zone)).utcoffset()
    assert there is not None
    return int(there.total_seconds())


def instant(draw: random.Random) -> datetime:
    """Some second of 2026: a third of them within a day of a clock change, others near holidays."""
    changes = ("2026-03-08", "2026-11-01", "2026-03-29", "2026-10-25", "2026-04-05", "2026-10-04")
    feasts = ("2026-12-25", "2026-01-01", "2026-02-17", "2026-07-04", "2026-04-03", "2026-11-26")
    drawn = draw.random()
    if drawn < 1 / 3:
        day = date.fromisoformat(draw.choice(changes)) - timedelta(days=1)
        return at_midnight(day) + timedelta(seconds=draw.randrange(3 * 86_400))
    if drawn < 1 / 2:
        day = date.fromisoformat(draw.choice(feasts)) - timedelta(days=1)
        return at_midnight(day) + timedelta(seconds=draw.randrange(3 * 86_400))
    return at_midnight(date(2026, 1, 1)) + timedelta(seconds=draw.randrange(350 * 86_400))


def at_midnight(day: date) -> datetime:
    return datetime.combine(day, time(0), UTC)


# --- the trial ----------------------------------------------------------------------------------------------


def prove(trials: int, seed: int) -> dict[str, Any]:
    from voice.outbound.contactability import Agreement, Allow, Facts, Refuse, Window, decide

    draw = random.Random(seed)
    broken: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    given = datetime(2020, 1, 1, tzinfo=UTC)
    for _ in range(trials):
        question = Question(draw)
        oracle = Oracle(question)
        now, now_s = question.now, int(question.now.timestamp())
        facts = Facts(
            phone=question.phone,
            window=Window(clock_time(question.start), clock_time(question.end), tuple(question.days)),
            consents=(Agreement(UUID(int=1), "marketing", given),),
            stated_zone=question.stated,
            country=question.country,
            region=question.region,
            countries=frozenset({"US", "CA", "GB", "FR", "AU"}),
            strict=question.strict,
        )
        answer = decide(facts, now)
        is_open = oracle.open(now_s)
        match answer:
            case Allow():
                seen["allowed"] += 1
                problem = "" if is_open else "allowed_outside"
            case Refuse("outside_window", _, until):
                seen["waits"] += 1
                problem = "refused_inside" if is_open else waits(oracle, now_s, until)
            case Refuse("window_never_opens"):
                seen["never"] += 1
                problem = "never_but_opens" if is_open or oracle.opens_at(now_s) else ""
            case _:
                problem = f"another_answer_{answer}"
        if problem:
            broken[problem] += 1
            if sum(broken.values()) <= 3:
                print(problem, vars(question), answer, oracle.opens_at(now_s), file=sys.stderr)
        broken["unknown_zone_not_refused"] += not unknown_is_refused(facts, now)
    found = +broken
    return {"trials": trials, "violations": sum(found.values()), **found, "answers": dict(seen), "seed": seed}


def waits(oracle: Oracle, now_s: int, until: datetime | None) -> str:
    """What is wrong with an `until`."""
    if until is None or until.timestamp() <= now_s:
        return "no_until"
    until_s = int(until.timestamp())
    if not oracle.open(until_s):
        return "closed_at_until"
    expected_s = oracle.opens_at(now_s)
    if expected_s is None:
        return "" if until_s >= now_s + WALK_DAYS * 86_400 - STEP_S else "until_too_early"
    return "until_too_late" if until_s > expected_s + 60 else ""


def unknown_is_refused(facts: Any, now: datetime) -> bool:
    """The same lead with a number of no place (international freephone), nothing stated, no address."""
    from dataclasses import replace

    from voice.outbound.contactability import Refuse, decide

    lost = replace(
        facts, phone="+80012345678", stated_zone="", country="", region="", countries=frozenset({""})
    )
    answer = decide(lost, now)
    return isinstance(answer, Refuse) and answer.code == "unknown_time_zone" and answer.until is None


def clock_time(minutes: int) -> time:
    return time(minutes // 60 % 24, minutes % 60)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", default=os.environ.get("FULL", "") not in ("", "0"))
    parser.add_argument("--seed", type=int, default=None)
    chosen = parser.parse_args()
    began_s = clock.monotonic()
    line = prove(FULL if chosen.full else QUICK, chosen.seed or random.randrange(2**32))
    print(json.dumps({"promise": "I1", **line, "took_s": round(clock.monotonic() - began_s, 1)}), flush=True)
    sys.exit(1 if line["violations"] else 0)
