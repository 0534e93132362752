"""When somebody who was not reached is tried again: pure, so times are made up here."""

import random
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from voice.outbound.retries import MAX_DELAY_S, MIN_DELAY_S, Policy, next_try, part_of

NEW_YORK = ZoneInfo("America/New_York")
TUESDAY = datetime(2026, 6, 2, 10, 0, tzinfo=NEW_YORK)
HOUR = 3600
POLICY = Policy(
    {"no-answer": [4 * HOUR, 24 * HOUR, 48 * HOUR], "busy": [300, 900], "voicemail": [24 * HOUR]},
    opens=time(9),
    closes=time(18),
)


def half() -> float:
    return 0.5


def hour_of(at: datetime | None) -> float:
    assert at is not None
    return at.hour + at.minute / 60


@pytest.mark.parametrize(
    ("outcome", "tries", "again"),
    [
        ("no-answer", 1, True),
        ("no-answer", 3, True),
        ("no-answer", 4, False),
        ("busy", 2, True),
        ("busy", 3, False),
        ("voicemail", 1, True),
        ("failed", 1, False),
        ("qualified", 1, False),
        ("no-answer", 0, False),
    ],
)
def test_the_lists_length_is_how_often(outcome: str, tries: int, again: bool) -> None:
    assert (next_try(POLICY, outcome, tries, [10.0] * tries, TUESDAY, half) is not None) is again


def test_a_short_wait_is_kept_and_scattered_by_a_tenth() -> None:
    for draw, seconds in ((0.0, 300.0), (0.999, 330.0)):
        at = next_try(POLICY, "busy", 1, [10.0], TUESDAY, lambda draw=draw: draw)  # type: ignore[misc]
        assert at is not None
        assert (at - TUESDAY).total_seconds() == pytest.approx(seconds, abs=0.1)


def test_each_try_goes_to_a_part_of_the_day_that_had_the_fewest() -> None:
    """9–12, 12–15, 15–18: who did not answer at ten is tried at noon or later, then in the last part."""
    second = next_try(POLICY, "no-answer", 1, [10.0], TUESDAY, half)
    assert second is not None
    assert second.date() == TUESDAY.date()
    assert part_of(POLICY, hour_of(second)) in (1, 2)
    third = next_try(POLICY, "no-answer", 2, [10.0, hour_of(second)], second, half)
    assert part_of(POLICY, hour_of(third)) == ({1, 2} - {part_of(POLICY, hour_of(second))}).pop()
    assert third is not None
    assert third >= second + timedelta(hours=24)


def test_a_day_on_which_nobody_calls_is_passed_over() -> None:
    friday = datetime(2026, 6, 5, 16, 0, tzinfo=NEW_YORK)
    weekdays = Policy(POLICY.delays_s, time(9), time(18), days=(1, 2, 3, 4, 5))
    at = next_try(weekdays, "voicemail", 1, [16.0], friday, half)
    assert at is not None
    assert (at.isoweekday(), part_of(weekdays, hour_of(at))) == (1, 0)


def test_hours_that_pass_midnight() -> None:
    late = Policy({"no-answer": [4 * HOUR]}, opens=time(21), closes=time(3))
    assert [part_of(late, hour) for hour in (21.5, 23.5, 1.5, 3.5, 12)] == [0, 1, 2, None, None]
    at = next_try(late, "no-answer", 1, [22.0], datetime(2026, 6, 2, 22, 0, tzinfo=NEW_YORK), half)
    assert part_of(late, hour_of(at)) == 2


def test_waits_are_real_hours_where_clocks_change() -> None:
    """The night of 7 March 2026 has 23 hours; a wait of a day is a day all the same."""
    before = datetime(2026, 3, 7, 11, 0, tzinfo=NEW_YORK)
    at = next_try(Policy({"busy": [86_400]}), "busy", 1, [11.0], before, lambda: 0.0)
    assert at is not None
    assert at.astimezone(UTC) - before.astimezone(UTC) == timedelta(days=1)
    assert at.hour == 12


def test_random_policies_hold_what_they_promise() -> None:
    draw = random.Random(7)
    for _ in range(3000):
        policy = Policy(
            {"no-answer": [draw.randint(1, 20 * 86_400) for _ in range(draw.randint(0, 9))]},
            opens=time(draw.randint(0, 23)),
            closes=time(draw.randint(0, 23)),
            days=tuple(sorted(draw.sample(range(1, 8), draw.randint(1, 7)))),
        )
        tries = draw.randint(1, 9)
        now = datetime(2026, draw.randint(1, 12), draw.randint(1, 28), draw.randint(0, 23), tzinfo=NEW_YORK)
        tried = [draw.uniform(0, 24) for _ in range(tries)]
        at = next_try(policy, "no-answer", tries, tried, now, draw.random)
        delays = policy.delays_s["no-answer"]
        if tries > min(len(delays), 7):
            assert at is None
            continue
        assert at is not None
        waited = at.timestamp() - now.timestamp()
        wait = min(max(delays[tries - 1], MIN_DELAY_S), MAX_DELAY_S)
        assert wait <= waited <= wait * 1.1 + 9 * 86_400
        if wait >= HOUR:
            counts = [sum(part_of(policy, hour) == part for hour in tried) for part in range(3)]
            part = part_of(policy, at.hour + at.minute / 60 + at.second / 3600)
            # The night that the clocks change may move a part by its hour.
            assert part is None or counts[part] == min(counts) or now.month in (3, 11)
