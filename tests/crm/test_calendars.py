import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.utils import timezone

from crm.calendars import slot_ids
from crm.calendars.availability import Period, Rules, fits, free_slots, spread
from crm.calendars.spoken import spoken
from crm.models import Meeting, MeetingStatus
from crm.services import calendars
from tenex.errors import InvalidInput
from tenex.events.models import Event
from tests import rows

BERLIN = ZoneInfo("Europe/Berlin")
ALL_NIGHT = {str(day): [["00:00", "06:00"]] for day in range(1, 8)}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def slots(hours: dict[str, Any], zone: ZoneInfo, start: str, end: str, **options: Any) -> list[Period]:
    busy = options.pop("busy", [])
    meetings = options.pop("meetings", [])
    rules = Rules(hours=hours, zone=zone, **{"slot_minutes": 60, **options})
    return free_slots(rules, meetings=meetings, busy=busy, window=Period(utc(start), utc(end)))


# --- pure ---


def test_working_hours_are_wall_clock() -> None:
    hours = {"1": [["09:00", "11:00"]]}  # Mondays
    winter = slots(hours, BERLIN, "2026-01-05T00:00", "2026-01-06T00:00")
    summer = slots(hours, BERLIN, "2026-07-06T00:00", "2026-07-07T00:00")
    assert [slot.starts_at for slot in winter] == [utc("2026-01-05T08:00"), utc("2026-01-05T09:00")]
    assert [slot.starts_at for slot in summer] == [utc("2026-07-06T07:00"), utc("2026-07-06T08:00")]


@pytest.mark.parametrize(
    ("day", "count"),
    [("2026-03-28", 6), ("2026-03-29", 5), ("2026-10-24", 6), ("2026-10-25", 7)],
)
def test_clock_change_days_have_fewer_or_more_slots(day: str, count: int) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=BERLIN).astimezone(UTC)
    rules = Rules(hours=ALL_NIGHT, zone=BERLIN, slot_minutes=60)
    found = free_slots(rules, meetings=[], window=Period(start, start + timedelta(hours=12)))
    assert len(found) == count
    assert len({slot.starts_at for slot in found}) == count
    assert all(slot.ends_at - slot.starts_at == timedelta(hours=1) for slot in found)
    for earlier, later in pairwise(found):
        assert earlier.ends_at <= later.starts_at


def test_hours_that_begin_inside_the_gap_begin_at_the_change() -> None:
    found = slots(
        {"7": [["02:30", "04:00"]]}, BERLIN, "2026-03-29T00:00", "2026-03-29T12:00", slot_minutes=30
    )
    assert [slot.starts_at for slot in found] == [utc("2026-03-29T01:00"), utc("2026-03-29T01:30")]


def test_a_day_that_is_longer_elsewhere() -> None:
    hours = {"1": [["20:00", "24:00"]]}
    found = slots(hours, ZoneInfo("Pacific/Auckland"), "2026-07-05T00:00", "2026-07-07T00:00")
    assert found[0].starts_at == utc("2026-07-06T08:00")
    assert found[-1].ends_at == utc("2026-07-06T12:00")


def test_busy_and_window_edges() -> None:
    hours = {"1": [["09:00", "12:00"]]}
    busy = [Period(utc("2026-01-05T09:30"), utc("2026-01-05T10:00"))]
    zone = ZoneInfo("UTC")
    found = slots(hours, zone, "2026-01-05T09:00", "2026-01-05T12:00", busy=busy, slot_minutes=30)
    assert [slot.starts_at.strftime("%H:%M") for slot in found] == [
        "09:00",
        "10:00",
        "10:30",
        "11:00",
        "11:30",
    ]
    assert slots(hours, zone, "2026-01-05T09:15", "2026-01-05T09:50", slot_minutes=30) == []
    assert slots(hours, zone, "2026-01-05T12:00", "2026-01-05T09:00") == []


def clocks(found: list[Period]) -> list[str]:
    return [slot.starts_at.strftime("%H:%M") for slot in found]


DAY = ("2026-01-05T00:00", "2026-01-06T00:00")


def test_buffers_are_kept_on_both_sides_of_what_is_ours_and_around_ours_beside_what_is_not() -> None:
    hours = {"1": [["09:00", "13:00"]]}
    taken = [Period(utc("2026-01-05T10:30"), utc("2026-01-05T11:00"))]
    options: dict[str, Any] = {"slot_minutes": 30, "buffer_before_minutes": 0, "buffer_after_minutes": 30}
    zone = ZoneInfo("UTC")
    # 10:00 wants half an hour after it; one of ours wants it too, so 11:00 is out.
    assert clocks(slots(hours, zone, *DAY, meetings=taken, **options)) == [
        "09:00", "09:30", "11:30", "12:00", "12:30",
    ]  # fmt: skip
    assert clocks(slots(hours, zone, *DAY, busy=taken, **options)) == [
        "09:00", "09:30", "11:00", "11:30", "12:00", "12:30",
    ]  # fmt: skip
    options["buffer_before_minutes"] = 10
    assert clocks(slots(hours, zone, *DAY, busy=taken, **options)) == [
        "09:00", "09:30", "11:30", "12:00", "12:30",
    ]  # fmt: skip


def test_a_day_takes_only_so_many_of_ours() -> None:
    hours = {str(day): [["09:00", "11:00"]] for day in range(1, 8)}
    meetings = [
        Period(utc("2026-01-05T09:00"), utc("2026-01-05T10:00")),
        Period(utc("2026-01-06T05:00"), utc("2026-01-06T06:00")),
    ]
    window = ("2026-01-05T00:00", "2026-01-07T00:00")
    found = slots(hours, ZoneInfo("UTC"), *window, meetings=meetings, daily_limit=1)
    assert found == []
    found = slots(hours, ZoneInfo("UTC"), *window, meetings=meetings, daily_limit=2)
    assert [at.starts_at.day for at in found] == [5, 6, 6]
    theirs = slots(hours, ZoneInfo("UTC"), *window, busy=meetings, daily_limit=1)
    assert len(theirs) == 3, "only ours count"


def test_a_time_that_is_no_slot_fits_if_it_is_worked_and_free() -> None:
    rules = Rules(hours={"1": [["09:00", "12:00"]]}, zone=BERLIN, slot_minutes=30)
    asked = Period(utc("2026-01-05T08:10"), utc("2026-01-05T08:40"))
    assert fits(rules, asked, meetings=[])
    assert not fits(
        rules, asked, meetings=[], busy=[Period(utc("2026-01-05T08:39"), utc("2026-01-05T09:00"))]
    )
    late = Period(utc("2026-01-05T10:50"), utc("2026-01-05T11:20"))
    assert not fits(rules, late, meetings=[]), "it would end after hours"


def test_spread_takes_some_of_each_day() -> None:
    zone = ZoneInfo("UTC")
    found = slots(ALL_NIGHT, zone, "2026-01-05T00:00", "2026-01-08T00:00")
    chosen = spread(found, zone, per_day=2, most=5)
    assert [slot.starts_at.strftime("%d %H") for slot in chosen] == [
        "05 00",
        "05 03",
        "06 00",
        "06 03",
        "07 00",
    ]


def test_spoken() -> None:
    at = utc("2026-12-01T19:30")
    assert spoken(at, ZoneInfo("America/New_York")) == "Tuesday, December 1 at 2:30 PM"
    assert spoken(utc("2026-12-01T00:00"), ZoneInfo("UTC")) == "Tuesday, December 1 at 12 AM"


def test_slot_ids_are_for_one_calendar_and_one_call() -> None:
    slot = Period(utc("2026-12-01T19:30"), utc("2026-12-01T20:00"))
    calendar_id, key = uuid.uuid4(), b"k" * 32
    issued = slot_ids.issue(slot, calendar_id=calendar_id, scope="call-1", key=key)
    assert slot_ids.read(issued, calendar_id=calendar_id, scope="call-1", key=key) == slot
    assert slot_ids.read(f" {issued.upper()} ", calendar_id=calendar_id, scope="call-1", key=key) == slot
    wrong = [
        slot_ids.read(issued, calendar_id=uuid.uuid4(), scope="call-1", key=key),
        slot_ids.read(issued, calendar_id=calendar_id, scope="call-2", key=key),
        slot_ids.read(issued, calendar_id=calendar_id, scope="call-1", key=b"x" * 32),
    ]
    head, start, length, mac = issued.split("-")
    forged = [f"{int(start, 16) + 30:x}", start, start]
    lengths = [length, f"{int(length, 16) + 30:x}", length]
    macs = [mac, mac, mac[::-1]]
    wrong += [
        slot_ids.read(f"{head}-{a}-{b}-{c}", calendar_id=calendar_id, scope="call-1", key=key)
        for a, b, c in zip(forged, lengths, macs, strict=True)
    ]
    odd = ["", "slot", "slot-1", "slot-1-1-é", "slot-zz-1-a", "slot-" + "9" * 99 + "-1-a", "a-b-c-d-e"]
    wrong += [slot_ids.read(text, calendar_id=calendar_id, scope="call-1", key=key) for text in odd]
    assert wrong == [None] * len(wrong)


# --- rows ---


def tomorrow(hour: int = 15) -> Period:
    start = (timezone.now() + timedelta(days=1)).replace(hour=hour, minute=0, second=0, microsecond=0)
    return Period(start, start + timedelta(minutes=30))


@pytest.mark.django_db
def test_booking_twice_from_one_call_is_one_meeting() -> None:
    space = rows.workspace()
    lead, calendar, call_id = rows.lead(space), rows.calendar(space), uuid.uuid4()
    now = timezone.now()
    first = calendars.book(calendar, tomorrow(), lead, now=now, call_id=call_id)
    assert calendars.book(calendar, tomorrow(), lead, now=now, call_id=call_id).pk == first.pk
    with pytest.raises(calendars.AlreadyBooked):
        calendars.book(calendar, tomorrow(17), lead, now=now, call_id=call_id)
    assert Event.objects.filter(type="meeting.booked").count() == 1
    calendars.cancel(first, actor="test")
    assert calendars.book(calendar, tomorrow(17), lead, now=now, call_id=call_id).pk != first.pk


@pytest.mark.django_db
def test_a_canceled_booking_can_be_made_again() -> None:
    space = rows.workspace()
    lead, calendar, call_id = rows.lead(space), rows.calendar(space), uuid.uuid4()
    first = calendars.book(calendar, tomorrow(), lead, now=timezone.now(), call_id=call_id)
    assert calendars.cancel(first, actor="test")
    assert not calendars.cancel(first, actor="test")
    again = calendars.book(calendar, tomorrow(), lead, now=timezone.now(), call_id=call_id, notes="again")
    assert (again.pk, again.status, again.notes) == (first.pk, MeetingStatus.BOOKED, "again")
    assert Event.objects.filter(type="meeting.booked").count() == 2


@pytest.mark.django_db
def test_no_booking_in_the_past() -> None:
    space = rows.workspace()
    lead, calendar = rows.lead(space), rows.calendar(space)
    start = timezone.now() - timedelta(minutes=1)
    with pytest.raises(InvalidInput):
        calendars.book(calendar, Period(start, start + timedelta(minutes=30)), lead, now=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_calls_race_for_one_slot() -> None:
    space = rows.workspace()
    lead, calendar, now = rows.lead(space), rows.calendar(space), timezone.now()

    def book() -> Meeting:
        return calendars.book(calendar, tomorrow(), lead, now=now, call_id=uuid.uuid4())

    results = rows.together(*[book] * 8)
    assert sum(isinstance(result, Meeting) for result in results) == 1
    assert sum(isinstance(result, calendars.SlotTaken) for result in results) == 7
    assert Meeting.objects.count() == 1
    assert Event.objects.filter(type="meeting.booked").count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("moves", [False, True])
def test_nobody_takes_a_time_while_somebody_is_alone_in_the_calendar(moves: bool) -> None:
    """Of two rows that come into one time at once each would wait for the other: a deadlock."""
    space = rows.workspace()
    lead, calendar, now = rows.lead(space), rows.calendar(space), timezone.now()
    known = calendars.book(calendar, tomorrow(15), lead, now=now)

    def take() -> Meeting:
        if moves:
            return calendars.move(known, tomorrow(17), now=now, actor="test")
        return calendars.book(calendar, tomorrow(17), lead, now=now)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            calendars.alone_in(calendar)
            waiting = pool.submit(rows.together, take)
            with pytest.raises(TimeoutError):
                waiting.result(0.5)
        [taken] = waiting.result(10)
        assert taken.starts_at == tomorrow(17).starts_at


@pytest.mark.django_db(transaction=True)
def test_one_call_races_with_itself_where_meetings_need_room() -> None:
    space = rows.workspace()
    lead, calendar, call_id = rows.lead(space), rows.calendar(space), uuid.uuid4()
    type(calendar).objects.filter(pk=calendar.pk).update(buffer_before_minutes=10)
    calendar.refresh_from_db()
    job = lambda: calendars.book(calendar, tomorrow(), lead, now=timezone.now(), call_id=call_id)  # noqa: E731
    results = rows.together(*[job] * 5)
    assert {result.pk for result in results if isinstance(result, Meeting)} == {Meeting.objects.get().pk}
    assert all(isinstance(result, Meeting) for result in results), results


@pytest.mark.django_db(transaction=True)
def test_one_call_races_with_itself() -> None:
    space = rows.workspace()
    lead, calendar, now, call_id = rows.lead(space), rows.calendar(space), timezone.now(), uuid.uuid4()
    hours = [15, 15, 15, 17, 17, 17]
    jobs = [
        lambda hour=hour: calendars.book(calendar, tomorrow(hour), lead, now=now, call_id=call_id)
        for hour in hours
    ]
    results = rows.together(*jobs)
    booked = {result.pk for result in results if isinstance(result, Meeting)}
    assert len(booked) == 1
    assert sum(isinstance(result, calendars.AlreadyBooked) for result in results) == 3
    assert Event.objects.filter(type="meeting.booked").count() == 1
