"""Hours, days and weeks as a zone's clock cuts them, over its changes."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from tenex.lib.periods import Granularity, Period, before, buckets, last_days, pieces_of_hours, utc

NEW_YORK = ZoneInfo("America/New_York")


def local(zone: ZoneInfo, *parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=zone, fold=fold)  # type: ignore[arg-type,misc]


def cut(zone: ZoneInfo, start: datetime, end: datetime, by: str) -> list[Period]:
    found = buckets(utc(start, end), Granularity(by), zone, most=1000)
    assert found is not None
    return found


def hours(periods: list[Period]) -> list[float]:
    return [(one.end - one.start) / timedelta(hours=1) for one in periods]


@pytest.mark.parametrize(
    ("name", "day", "length"),
    [
        ("America/New_York", (2026, 3, 8), 23),
        ("America/New_York", (2026, 11, 1), 25),
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        ("Australia/Lord_Howe", (2026, 10, 4), 23.5),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("Asia/Kolkata", (2026, 3, 29), 24),
        ("America/Havana", (2026, 3, 8), 23),  # midnight itself does not exist
        ("Africa/Cairo", (2026, 4, 24), 23),
        ("Africa/Cairo", (2026, 10, 29), 25),  # 23:00 comes twice
        ("America/Havana", (2026, 11, 1), 25),  # 00:00 comes twice
    ],
)
def test_a_day_on_which_the_clock_is_changed(name: str, day: tuple[int, int, int], length: float) -> None:
    zone = ZoneInfo(name)
    first = datetime(*day) - timedelta(days=1)
    start, end = first.replace(tzinfo=zone), (first + timedelta(days=3)).replace(tzinfo=zone)
    assert hours(cut(zone, start, end, "day")) == [24, length, 24]
    hourly = cut(zone, start, end, "hour")
    assert sum(hours(hourly)) == 48 + length
    assert all(a.end == b.start for a, b in pairwise(hourly))
    if length % 1 == 0:
        assert set(hours(hourly)) == {1}
    seen = {one.start.astimezone(zone).minute for one in hourly}
    assert seen <= ({0, 30} if name.endswith("Howe") else {0})
    weekly = cut(zone, start, start + timedelta(days=21), "week")
    assert sum(hours(weekly)) == 20 * 24 + length
    assert {one.start.astimezone(zone).weekday() for one in weekly[1:]} == {0}


def test_an_hour_that_comes_twice_is_two_buckets() -> None:
    start = local(NEW_YORK, 2026, 11, 1, 0)
    found = cut(NEW_YORK, start, local(NEW_YORK, 2026, 11, 1, 3), "hour")
    shown = [one.start.astimezone(NEW_YORK).isoformat() for one in found]
    assert shown == [
        "2026-11-01T00:00:00-04:00",
        "2026-11-01T01:00:00-04:00",
        "2026-11-01T01:00:00-05:00",
        "2026-11-01T02:00:00-05:00",
    ]


def test_weeks_begin_on_monday_and_the_ends_are_cut() -> None:
    start = local(NEW_YORK, 2026, 3, 4, 10, 30)  # a Wednesday
    found = cut(NEW_YORK, start, local(NEW_YORK, 2026, 3, 18), "week")
    shown = [one.start.astimezone(NEW_YORK).strftime("%a %d %H:%M") for one in found]
    assert shown == ["Wed 04 10:30", "Mon 09 00:00", "Mon 16 00:00"]
    assert found[-1].end == local(NEW_YORK, 2026, 3, 18)


def test_more_buckets_than_allowed_are_none() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    period = Period(start, start + timedelta(hours=5))
    assert buckets(period, Granularity.HOUR, ZoneInfo("UTC"), most=4) is None
    assert len(buckets(period, Granularity.HOUR, ZoneInfo("UTC"), most=5) or []) == 5


def test_the_period_before_is_one_of_the_calendar() -> None:
    week = utc(local(NEW_YORK, 2026, 3, 9), local(NEW_YORK, 2026, 3, 16))
    assert before(week, NEW_YORK) == utc(local(NEW_YORK, 2026, 3, 2), local(NEW_YORK, 2026, 3, 9))
    within = utc(local(NEW_YORK, 2026, 11, 1, 1, 30), local(NEW_YORK, 2026, 11, 1, 1, 30, fold=1))
    assert before(within, NEW_YORK).end == within.start
    assert before(within, NEW_YORK).start < within.start


def test_the_last_days_hold_the_present_one() -> None:
    now = datetime(2026, 3, 10, 2, 15, tzinfo=UTC)  # still the 9th in New York
    assert last_days(now, 3, NEW_YORK) == Period(local(NEW_YORK, 2026, 3, 7).astimezone(UTC), now)


def test_edges_inside_an_hour_cut_it_in_pieces() -> None:
    whole, five, six = (datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (4, 5, 6))
    half, later = (five + timedelta(minutes=minutes) for minutes in (30, 45))
    assert pieces_of_hours([later, whole, half]) == [
        (five, [Period(five, half), Period(half, later), Period(later, six)])
    ]
