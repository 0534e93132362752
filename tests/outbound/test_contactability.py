"""May this lead be dialed now? Only facts and an instant."""

import random
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from voice.outbound.contactability import Allow, Facts, Refuse, Window, decide, next_opening

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)  # noon in New York
FINE = Facts(phone="+14155560001", window=Window(time(9), time(20)), workspace_zone="America/New_York")


def test_a_good_lead_at_a_good_hour() -> None:
    assert decide(FINE, NOON) == Allow()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"archived": True}, "archived"),
        ({"phone": ""}, "no_phone"),
        ({"opted_out": True}, "opted_out"),
        ({"suppressed": True}, "suppressed"),
        ({"number_usable": False}, "number_released"),
        ({"has_agent": False}, "no_agent"),
    ],
)
def test_what_will_never_be_right_is_refused_for_good(change: dict[str, object], code: str) -> None:
    paused_too = replace(FINE, workspace_paused=True, **change)  # type: ignore[arg-type]
    refusal = decide(paused_too, NOON)
    assert isinstance(refusal, Refuse)
    assert (refusal.code, refusal.until) == (code, None)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"workspace_paused": True}, "workspace_paused"),
        ({"batch_open": False}, "batch_not_running"),
        ({"model_configured": False}, "model_not_configured"),
        ({"on_the_phone": True}, "on_the_phone"),
        ({"lead_zone": "Asia/Tokyo"}, "outside_window"),
    ],
)
def test_what_may_change_is_asked_again(change: dict[str, object], code: str) -> None:
    refusal = decide(replace(FINE, **change), NOON)  # type: ignore[arg-type]
    assert isinstance(refusal, Refuse)
    assert refusal.code == code
    assert refusal.until is not None
    assert refusal.until > NOON


def test_the_leads_own_clock_counts_and_the_workspaces_if_it_has_none() -> None:
    late = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)  # 20:30 in New York, 17:30 in Los Angeles
    assert isinstance(decide(FINE, late), Refuse)
    assert decide(replace(FINE, lead_zone="America/Los_Angeles"), late) == Allow()
    assert isinstance(decide(replace(FINE, lead_zone="Mars/Olympus"), late), Refuse)


def test_nobody_is_dialed_in_the_last_minutes_of_the_window() -> None:
    zone = ZoneInfo("America/New_York")
    end = datetime(2026, 11, 23, 20, 0, tzinfo=zone)
    window = Window(time(9), time(20))
    assert next_opening(window, zone, end - timedelta(minutes=6)) == end - timedelta(minutes=6)
    opens_at = next_opening(window, zone, end - timedelta(minutes=4))
    assert opens_at == datetime(2026, 11, 24, 9, 0, tzinfo=zone)


def test_equal_ends_mean_any_hour_and_a_window_may_pass_midnight() -> None:
    zone = ZoneInfo("UTC")
    night = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
    assert next_opening(Window(time(0), time(0)), zone, night) == night
    over_midnight = Window(time(22), time(4))
    assert next_opening(over_midnight, zone, night) == night
    noon = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    assert next_opening(over_midnight, zone, noon) == datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


def test_against_an_oracle_that_walks_the_minutes_over_both_clock_changes() -> None:
    """Open or not is what the local clock shows; the next opening is the first open minute."""
    draw = random.Random(7)
    zone = ZoneInfo("America/New_York")
    window = Window(time(9), time(20))

    def is_open(at: datetime) -> bool:
        shown = at.astimezone(zone).time()
        return time(9) <= shown < time(19, 55)

    for day in (datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=UTC)):
        for _ in range(60):
            now = day + timedelta(minutes=draw.randrange(3 * 24 * 60))
            opens_at = next_opening(window, zone, now)
            expected = now
            while not is_open(expected):
                expected += timedelta(minutes=1)
            assert opens_at == expected


def test_a_day_that_is_not_a_calling_day_is_waited_out() -> None:
    zone = ZoneInfo("America/New_York")
    weekdays = Window(time(9), time(20), (1, 2, 3, 4, 5))
    friday_night = datetime(2026, 11, 27, 22, 0, tzinfo=zone)
    assert next_opening(weekdays, zone, friday_night) == datetime(2026, 11, 30, 9, 0, tzinfo=zone)
    monday_only = Window(time(9), time(20), (1,))
    monday_night = datetime(2026, 11, 30, 21, 0, tzinfo=zone)
    assert next_opening(monday_only, zone, monday_night) == datetime(2026, 12, 7, 9, 0, tzinfo=zone)


def test_a_lead_is_not_called_more_often_than_a_day_allows() -> None:
    later = NOON + timedelta(hours=3)
    refusal = decide(replace(FINE, may_call_again_at=later), NOON)
    assert refusal == Refuse("called_too_often", "Called as often as a day allows.", later)
    assert decide(replace(FINE, may_call_again_at=NOON), NOON) == Allow()


def test_a_lead_without_a_zone_is_called_only_if_the_workspace_says_so() -> None:
    assert decide(FINE, NOON) == Allow()
    refusal = decide(replace(FINE, call_unknown_zone=False), NOON)
    assert isinstance(refusal, Refuse)
    assert (refusal.code, refusal.until) == ("unknown_time_zone", None)
    assert decide(replace(FINE, call_unknown_zone=False, lead_zone="America/New_York"), NOON) == Allow()
