"""Meetings in a calendar on a real CalDAV server: what is free, booking, moving, taking away, and what goes
wrong on the way."""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from crm.calendars.availability import Period
from crm.calendars.port import CalendarUnavailable
from crm.models import (
    AccountState,
    Calendar,
    CalendarAccount,
    FollowUp,
    Meeting,
    MeetingStatus,
    TimelineEntry,
)
from crm.services import appointments, calendar_ports, calendars, connector_checks, connectors, meeting_sync
from tenex.errors import Conflict, InvalidInput
from tenex.events.models import Event
from tenex.lib import failpoint
from tenex.workspaces.models import Workspace
from tests import rows
from tests.crm import connected
from tests.crm.connected import impatient, theirs, tomorrow
from tests.rig import radicale
from tests.rig.fault_proxy import Fault, FaultProxy, in_front_of
from tests.rig.radicale import Radicale

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def the_server() -> Iterator[Radicale]:
    with radicale.running() as server:
        yield server


@pytest.fixture
def server(the_server: Radicale) -> Iterator[Radicale]:
    the_server.calendar()
    yield the_server
    the_server.ask("DELETE", f"/{radicale.USER}/work/")


@pytest.fixture
def space() -> Workspace:
    return rows.workspace()


@pytest.fixture
def calendar(space: Workspace, server: Radicale) -> Calendar:
    return connected.caldav(space, server)


def book(calendar: Calendar, time: Period | None = None, *, late: bool = False, **fields: Any) -> Meeting:
    """Book and settle, as a call does."""
    lead = fields.pop("lead", None) or rows.lead(calendar.workspace)
    made = calendars.book(
        calendar,
        time or tomorrow(),
        lead,
        now=timezone.now(),
        **{"call_id": uuid.uuid4(), "title": "Meeting with Maria", **fields},
    )
    return meeting_sync.settle(made.pk, late=late)


def stands(server: Radicale) -> dict[str, Period]:
    """Uid to time of all that the server has."""
    return {str(one["UID"]): Period(one["DTSTART"].dt, one["DTEND"].dt) for one in server.events()}


def times(meeting: Meeting) -> Period:
    return Period(meeting.starts_at, meeting.ends_at)


def due(meeting: Meeting) -> Meeting:
    """Let its next try be due."""
    Meeting.objects.filter(pk=meeting.pk).update(sync_at=timezone.now(), lease_until=None)
    return meeting


# --- connecting ---


def test_the_calendars_of_an_account_are_found_from_any_of_its_addresses(
    space: Workspace, server: Radicale
) -> None:
    server.calendar("home")
    try:
        for url in (server.url, server.home()):
            made = connected.caldav(space, server)
            connectors.update(made, {"url": url, "password": radicale.PASSWORD}, actor="test")
            found = connector_checks.discover(made, actor="test")
            assert {(one.address, one.name) for one in found} == {
                (f"{server.home()}work/", "Work"),
                (f"{server.home()}home/", "Home"),
            }
    finally:
        server.ask("DELETE", f"/{radicale.USER}/home/")


def test_the_only_calendar_is_chosen(space: Workspace, server: Radicale) -> None:
    made = connected.caldav(space, server)
    connectors.update(made, {"url": server.home(), "password": radicale.PASSWORD}, actor="test")
    assert CalendarAccount.objects.get(pk=made.pk).address == ""
    connector_checks.discover(made, actor="test")
    account = CalendarAccount.objects.get(pk=made.pk)
    assert (account.address, account.address_name) == (f"{server.home()}work/", "Work")
    assert [one.step for one in connector_checks.test(made) if one.ok] == [
        "sign_in",
        "calendar",
        "busy_times",
    ]
    account.refresh_from_db()
    assert (account.state, account.failures) == (AccountState.OK, 0)
    assert account.latency_ms is not None


def test_a_wrong_password_is_said_and_a_right_one_heals(space: Workspace, server: Radicale) -> None:
    made = connected.caldav(space, server, password="wrong")
    checks = connector_checks.test(made)
    assert [(one.step, one.ok) for one in checks] == [("sign_in", False)]
    assert "password" in checks[0].detail
    assert CalendarAccount.objects.get(pk=made.pk).state == AccountState.REFUSED
    connectors.update(made, {"password": radicale.PASSWORD}, actor="test")
    assert all(one.ok for one in connector_checks.test(made))


def test_passwords_are_sealed_and_bound_to_their_row(space: Workspace, calendar: Calendar) -> None:
    kept = CalendarAccount.objects.values().get(pk=calendar.pk)
    assert radicale.PASSWORD not in str(kept)
    other = connectors.create(
        space,
        {"name": "B", "url": kept["url"], "user_name": "b", "password": "b"},
        kind="caldav",
        actor="test",
    )
    CalendarAccount.objects.filter(pk=other.pk).update(
        credentials=kept["credentials"], address=kept["address"]
    )
    with pytest.raises(CalendarUnavailable, match="cannot be read"):
        calendar_ports.busy(Calendar.objects.get(pk=other.pk), tomorrow(), seconds=5)


def test_another_address_needs_the_password_again(calendar: Calendar, server: Radicale) -> None:
    with pytest.raises(InvalidInput, match="password again"):
        connectors.update(calendar, {"url": "http://127.0.0.1:9/"}, actor="test")
    connectors.update(calendar, {"url": server.url, "user_name": "eve"}, actor="test")


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://169.254.169.254/", "ftp://x.example/", "x"])
def test_addresses_inside_are_refused(space: Workspace, url: str) -> None:
    with pytest.raises(InvalidInput):
        connectors.create(
            space,
            {"name": "B", "url": url, "user_name": "b", "password": "b"},
            kind="caldav",
            actor="test",
        )


# --- what is free ---


def test_free_slots_leave_out_what_the_calendar_has(calendar: Calendar, server: Radicale) -> None:
    nine = tomorrow(9)
    series = tomorrow(11)
    server.put(theirs(nine, uid="one"), name="one")
    server.put(theirs(series, uid="two", more="RRULE:FREQ=DAILY\r\n"), name="two")
    server.put(theirs(tomorrow(13), uid="three", more="TRANSP:TRANSPARENT\r\n"), name="three")
    day = Period(tomorrow(9).starts_at, tomorrow(14).starts_at)
    connectors.update(calendar, {"buffer_after_minutes": 15}, actor="test")
    calendar.refresh_from_db()
    found = [f"{slot.starts_at:%H:%M}" for slot in appointments.slots(calendar, day)]
    # A quarter of an hour must be free after each, so 10:30 is out, and 08:30 would be.
    assert found == ["09:30", "10:00", "11:30", "12:00", "12:30", "13:00", "13:30"]
    later = Period(day.starts_at + timedelta(days=20), day.ends_at + timedelta(days=20))
    assert "11:00" not in [f"{slot.starts_at:%H:%M}" for slot in appointments.slots(calendar, later)]


def test_a_whole_day_is_of_the_calendars_zone(space: Workspace, server: Radicale) -> None:
    calendar = connected.caldav(space, server, time_zone="Pacific/Auckland")
    day = f"{tomorrow().starts_at:%Y%m%d}"
    server.put(
        f"BEGIN:VEVENT\r\nUID:day\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:{day}\r\nEND:VEVENT"
    )
    start = tomorrow(0).starts_at - timedelta(days=1)
    found = appointments.slots(calendar, Period(start, start + timedelta(days=3)))
    taken = {slot.starts_at.astimezone(connected_zone(calendar)).strftime("%Y%m%d") for slot in found}
    assert day not in taken


def connected_zone(calendar: Calendar) -> Any:
    from tenex.lib import zones

    return zones.first_zone(calendar.time_zone)


# --- booking ---


def test_booked_means_that_the_event_is_there(calendar: Calendar, server: Radicale) -> None:
    meeting = book(calendar, notes="Prices")
    assert meeting.status == MeetingStatus.BOOKED
    assert stands(server) == {meeting.uid: tomorrow()}
    event = server.events()[0]
    assert str(event["SUMMARY"]) == "Meeting with Maria"
    assert "Prices" in str(event["DESCRIPTION"])
    assert "+14155550101" in str(event["DESCRIPTION"])
    assert (meeting.sync_at, meeting.lease_until, meeting.sync_tries) == (None, None, 0)
    assert Event.objects.filter(type="meeting.booked").count() == 1
    assert TimelineEntry.objects.filter(lead=meeting.lead, type="meeting.booked").count() == 1


def test_before_it_is_there_nothing_is_announced(calendar: Calendar) -> None:
    made = calendars.book(
        calendar, tomorrow(), rows.lead(calendar.workspace), now=timezone.now(), call_id=uuid.uuid4()
    )
    assert made.status == MeetingStatus.BOOKING
    assert not Event.objects.filter(type="meeting.booked").exists()
    with pytest.raises(calendars.SlotTaken):
        calendars.book(
            calendar, tomorrow(), rows.lead(calendar.workspace, phone="+14155550102"), now=timezone.now(),
            call_id=uuid.uuid4(),
        )  # fmt: skip


def test_somebody_elses_event_wins(calendar: Calendar, server: Radicale) -> None:
    time = tomorrow()
    server.put(theirs(Period(time.starts_at - timedelta(minutes=10), time.starts_at + timedelta(minutes=5))))
    meeting = book(calendar)
    assert (meeting.status, meeting.failure) == (MeetingStatus.FAILED, "slot_taken")
    assert set(stands(server)) == {"theirs@example.com"}
    assert not FollowUp.objects.exists(), "whoever is on the phone is told at once"


def test_buffers_are_kept_of_what_the_calendar_has(space: Workspace, server: Radicale) -> None:
    calendar = connected.caldav(space, server, buffer_before_minutes=30)
    server.put(theirs(tomorrow(14, 15)))
    assert book(calendar, tomorrow(15)).status == MeetingStatus.FAILED
    assert book(calendar, tomorrow(15, 30), lead=rows.lead(space, phone="+14155550102")).status == "booked"


def test_two_installations_name_a_slot_alike(calendar: Calendar, server: Radicale) -> None:
    """Another system of ours, with rows of its own, has put its event there in the way that we do."""
    time = tomorrow()
    server.put(theirs(time, uid="other@tenex"), name=f"tenex-{time.starts_at:%Y%m%dT%H%MZ}-30")
    assert book(calendar).status == MeetingStatus.FAILED
    assert set(stands(server)) == {"other@tenex"}


def test_whoever_comes_second_gives_way(
    calendar: Calendar, server: Radicale, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody writes between our look and our writing, under another name."""
    hit = failpoint.hit

    def write(name: str) -> None:
        if name == "calendar.written":
            server.put(theirs(tomorrow(15, 15)))
        hit(name)

    monkeypatch.setattr(failpoint, "hit", write)
    meeting = book(calendar)
    assert (meeting.status, meeting.failure) == (MeetingStatus.FAILED, "slot_taken")
    assert set(stands(server)) == {"theirs@example.com"}


def test_what_was_left_of_a_canceled_meeting_makes_room(calendar: Calendar, server: Radicale) -> None:
    first = book(calendar)
    # Canceled, and nobody has told the calendar yet.
    assert calendars.cancel(first, actor="test")
    second = book(calendar, lead=rows.lead(calendar.workspace, phone="+14155550102"))
    assert second.status == MeetingStatus.BOOKED
    assert set(stands(server)) == {second.uid}


def test_the_same_slot_again_after_a_cancel(calendar: Calendar, server: Radicale) -> None:
    call_id = uuid.uuid4()
    lead = rows.lead(calendar.workspace)
    first = book(calendar, call_id=call_id, lead=lead)
    calendars.cancel(first, actor="test")
    again = book(calendar, call_id=call_id, lead=lead)
    assert (again.pk, again.status) == (first.pk, MeetingStatus.BOOKED)
    assert set(stands(server)) == {first.uid}
    assert Event.objects.filter(type="meeting.booked").count() == 2


# --- moving, canceling ---


def test_moved_it_keeps_its_uid(calendar: Calendar, server: Radicale) -> None:
    meeting = book(calendar)
    moving = calendars.move(meeting, tomorrow(17), now=timezone.now(), actor="user:ana@acme.example")
    assert times(moving) == tomorrow(), "not before the calendar has it"
    somebody = rows.lead(calendar.workspace, phone="+14155550102")
    with pytest.raises(calendars.SlotTaken):  # both times are kept
        book(calendar, tomorrow(17), lead=somebody)
    moved = meeting_sync.settle(moving.pk, late=False)
    assert (times(moved), moved.sequence, moved.moves_to_starts_at) == (tomorrow(17), 1, None)
    assert stands(server) == {meeting.uid: tomorrow(17)}
    told = Event.objects.get(type="meeting.rescheduled")
    assert told.data["previous_start"] == tomorrow().starts_at.isoformat()
    entry = TimelineEntry.objects.get(type="meeting.rescheduled")
    assert entry.data["actor"] == "user:ana@acme.example"
    # Its first slot is free again, although the event's address is still called after it.
    other = book(calendar, tomorrow(), lead=somebody)
    assert other.status == MeetingStatus.BOOKED
    assert stands(server) == {meeting.uid: tomorrow(17), other.uid: tomorrow()}


def test_it_stays_where_it_was_if_the_new_time_is_taken(calendar: Calendar, server: Radicale) -> None:
    meeting = book(calendar)
    server.put(theirs(tomorrow(17)))
    calendars.move(meeting, tomorrow(17), now=timezone.now(), actor="test")
    stayed = meeting_sync.settle(meeting.pk, late=False)
    assert (times(stayed), stayed.status, stayed.failure) == (tomorrow(), "booked", "slot_taken")
    assert stands(server)[meeting.uid] == tomorrow()
    with pytest.raises(Conflict):
        appointments.move(stayed, tomorrow(17).starts_at, actor="test")


def test_canceled_it_is_gone_and_looked_for_once_more(calendar: Calendar, server: Radicale) -> None:
    meeting = book(calendar)
    assert calendars.cancel(meeting, actor="test")
    meeting_sync.settle(meeting.pk, late=True)
    assert stands(server) == {}
    meeting.refresh_from_db()
    assert meeting.sync_at is not None
    # Somebody who was frozen puts it there after all.
    server.put(theirs(tomorrow(), uid=meeting.uid), name=f"tenex-{tomorrow().starts_at:%Y%m%dT%H%MZ}-30")
    done = meeting_sync.settle(due(meeting).pk, late=True)
    assert stands(server) == {}
    assert done.sync_at is None
    assert Event.objects.filter(type="meeting.canceled").count() == 1


def test_canceled_while_it_is_being_booked(
    calendar: Calendar, server: Radicale, monkeypatch: pytest.MonkeyPatch
) -> None:
    hit = failpoint.hit

    def cancel(name: str) -> None:
        if name == "calendar.written":
            calendars.cancel(Meeting.objects.get(), actor="test")
        hit(name)

    monkeypatch.setattr(failpoint, "hit", cancel)
    meeting = book(calendar)
    assert meeting.status == MeetingStatus.CANCELED
    monkeypatch.undo()
    meeting_sync.settle(meeting.pk, late=True)
    assert stands(server) == {}
    assert not Event.objects.filter(type__startswith="meeting.").exists()


# --- what goes wrong ---


def script(*faults: tuple[str, Fault]) -> Callable[[str, str], Fault]:
    """The faults of the next requests of a method, in order; then all goes well."""
    left = list(faults)

    def choose(method: str, path: str) -> Fault:
        if left and left[0][0] == method:
            return left.pop(0)[1]
        return Fault()

    return choose


@pytest.fixture
def through(space: Workspace, server: Radicale) -> Iterator[Callable[..., tuple[Calendar, FaultProxy]]]:
    """A calendar behind a proxy with these faults."""
    open_ones: list[Any] = []

    def make(*faults: tuple[str, Fault]) -> tuple[Calendar, FaultProxy]:
        manager = in_front_of(server.port, script(*faults))
        proxy = manager.__enter__()
        open_ones.append(manager)
        calendar = connected.caldav(space, server)
        connectors.update(calendar, {"url": proxy.url, "password": radicale.PASSWORD}, actor="test")
        address = f"{proxy.url}{radicale.USER}/work/"
        return connectors.update(calendar, {"address": address}, actor="test"), proxy

    yield make
    for manager in open_ones:
        manager.__exit__(None, None, None)


type Through = Callable[..., tuple[Calendar, FaultProxy]]


@pytest.mark.parametrize(
    "fault",
    [
        ("PUT", Fault("lost")),
        ("PUT", Fault("dropped")),
        ("PUT", Fault("lied", status=412)),
        ("PUT", Fault("status", status=412)),
        ("PUT", Fault("lied", status=503)),
        ("PUT", Fault("late_answer", seconds=1.5)),
        ("REPORT", Fault("lost")),
        ("REPORT", Fault("status", status=500)),
    ],
    ids=lambda one: "-".join(map(str, (one[0], one[1].kind, one[1].status))),
)
def test_one_fault_and_the_next_look_settles_it(
    through: Through, server: Radicale, fault: tuple[str, Fault]
) -> None:
    with impatient(1.0):
        calendar, _ = through(fault)
        meeting = book(calendar)
        if meeting.status == MeetingStatus.BOOKING:
            assert meeting.sync_at is not None
            meeting = meeting_sync.settle(due(meeting).pk, late=True)
    assert meeting.status == MeetingStatus.BOOKED
    assert stands(server) == {meeting.uid: tomorrow()}
    assert Event.objects.filter(type="meeting.booked").count() == 1


def test_a_server_that_forgets_what_it_took_is_not_believed(
    through: Through, server: Radicale, monkeypatch: pytest.MonkeyPatch
) -> None:
    calendar, _ = through(("PUT", Fault("status", status=201)))
    meeting = book(calendar)
    assert meeting.status == MeetingStatus.BOOKING, "it said 201 and has nothing"
    assert meeting_sync.settle(due(meeting).pk, late=True).status == MeetingStatus.BOOKED
    assert stands(server) == {meeting.uid: tomorrow()}


def test_given_up_after_a_while_with_something_to_do_for_a_person(through: Through, server: Radicale) -> None:
    calendar, proxy = through(("PUT", Fault("lost")))
    meeting = book(calendar)
    assert meeting.status == MeetingStatus.BOOKING
    Meeting.objects.filter(pk=meeting.pk).update(sync_since=timezone.now() - timedelta(hours=1))
    CalendarAccount.objects.filter(pk=calendar.pk).update(address=f"{proxy.url}ava/nowhere/")
    failed = meeting_sync.settle(due(meeting).pk, late=True)
    assert (failed.status, failed.failure) == (MeetingStatus.FAILED, "gave_up")
    promised = FollowUp.objects.get(lead=meeting.lead)
    assert (promised.kind, promised.call_id) == ("meeting", meeting.call_id)
    assert "did not confirm" in promised.note
    # The event that was there all the time is taken away when the calendar is back.
    assert stands(server)
    CalendarAccount.objects.filter(pk=calendar.pk).update(address=f"{proxy.url}ava/work/", open_until=None)
    meeting_sync.settle(due(meeting).pk, late=True)
    assert stands(server) == {}


def test_a_move_whose_answer_was_lost(through: Through, server: Radicale) -> None:
    calendar, _ = through(("PUT", Fault()), ("PUT", Fault("lost")))
    meeting = book(calendar)
    calendars.move(meeting, tomorrow(17), now=timezone.now(), actor="test")
    assert meeting_sync.settle(meeting.pk, late=False).moves_to_starts_at is not None
    moved = meeting_sync.settle(due(meeting).pk, late=True)
    assert (times(moved), moved.sequence) == (tomorrow(17), 1)
    assert stands(server) == {meeting.uid: tomorrow(17)}
    assert Event.objects.filter(type="meeting.rescheduled").count() == 1


def test_a_move_that_is_given_up_is_put_back(through: Through, server: Radicale) -> None:
    calendar, _ = through(("PUT", Fault()), ("PUT", Fault("lost")))
    meeting = book(calendar)
    calendars.move(meeting, tomorrow(17), now=timezone.now(), actor="test")
    meeting_sync.settle(meeting.pk, late=False)
    assert stands(server) == {meeting.uid: tomorrow(17)}, "it is there, and nobody knows"
    CalendarAccount.objects.filter(pk=calendar.pk).update(open_until=timezone.now() + timedelta(hours=1))
    Meeting.objects.filter(pk=meeting.pk).update(sync_since=timezone.now() - timedelta(hours=1))
    stays = meeting_sync.settle(due(meeting).pk, late=True)
    assert (times(stays), stays.moves_to_starts_at, stays.failure) == (tomorrow(), None, "gave_up")
    assert FollowUp.objects.get().kind == "meeting"
    CalendarAccount.objects.filter(pk=calendar.pk).update(open_until=None)
    meeting_sync.settle(due(meeting).pk, late=True)
    assert stands(server) == {meeting.uid: tomorrow()}


def test_whoever_lost_the_lease_changes_nothing(
    calendar: Calendar, server: Radicale, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is frozen after it has written; another one takes over and gives up."""
    hit = failpoint.hit

    def overtake(name: str) -> None:
        if name == "meeting.placed":
            monkeypatch.undo()
            row = Meeting.objects.get()
            Meeting.objects.filter(pk=row.pk).update(lease_until=None)
            server.put(theirs(tomorrow(15, 10)))
            meeting_sync.settle(row.pk, late=True)
        hit(name)

    monkeypatch.setattr(failpoint, "hit", overtake)
    meeting = book(calendar)
    assert (meeting.status, meeting.failure) == (MeetingStatus.FAILED, "slot_taken")
    assert set(stands(server)) == {"theirs@example.com"}
    assert not Event.objects.filter(type="meeting.booked").exists()


# --- the breaker ---


def test_a_dead_server_does_not_cost_each_call_its_deadline(space: Workspace, server: Radicale) -> None:
    with impatient(0.5), in_front_of(server.port, lambda *_: Fault("late", seconds=1.5)) as proxy:
        calendar = connected.caldav(space, server)
        connectors.update(calendar, {"url": proxy.url, "password": radicale.PASSWORD}, actor="test")
        calendar = connectors.update(calendar, {"address": f"{proxy.url}{radicale.USER}/work/"}, actor="test")
        for _ in range(3):
            with pytest.raises(CalendarUnavailable):
                calendar_ports.busy(calendar, tomorrow(), seconds=0.3)
        asked = len(proxy.requests)
        with pytest.raises(CalendarUnavailable, match="lately"):
            calendar_ports.busy(calendar, tomorrow(), seconds=0.3)
        assert len(proxy.requests) == asked, "nobody waits for it"
        account = CalendarAccount.objects.get(pk=calendar.pk)
        assert (account.state, account.failures) == (AccountState.FAILING, 3)
        # When its time has come one looks, and the others still do not wait.
        CalendarAccount.objects.filter(pk=calendar.pk).update(open_until=timezone.now())
        proxy.choose = lambda *_: Fault()
        both = rows.together(*[lambda: calendar_ports.busy(calendar, tomorrow(), seconds=2.0)] * 2)
        assert [] in both
        account.refresh_from_db()
        assert (account.state, account.failures, account.open_until) == (AccountState.OK, 0, None)


# --- asked for while it could not be seen ---


def asked_for(calendar: Calendar, time: Period) -> Meeting:
    lead = rows.lead(calendar.workspace)
    return calendars.ask_for(calendar, time, lead, now=timezone.now(), call_id=uuid.uuid4())


def test_a_wish_is_booked_after_the_call(calendar: Calendar, server: Radicale) -> None:
    wish = asked_for(calendar, tomorrow(15, 10))
    assert FollowUp.objects.get().status == "open"
    assert wish.call_id
    assert meeting_sync.of_call(wish.call_id)
    wish.refresh_from_db()
    assert wish.status == MeetingStatus.BOOKED
    assert stands(server) == {wish.uid: tomorrow(15, 10)}
    assert FollowUp.objects.get().status == "done"


def test_a_wish_that_is_not_free_is_for_a_person(calendar: Calendar, server: Radicale) -> None:
    server.put(theirs(tomorrow()))
    wish = asked_for(calendar, tomorrow(15, 10))
    assert wish.call_id
    assert meeting_sync.of_call(wish.call_id)
    wish.refresh_from_db()
    assert (wish.status, wish.failure) == (MeetingStatus.FAILED, "not_free")
    promised = FollowUp.objects.get()
    assert (promised.status, promised.kind) == ("open", "meeting")
    assert "not free" in promised.note


# --- erasure ---


def test_an_erased_person_is_taken_out_of_the_calendar(calendar: Calendar, server: Radicale) -> None:
    from crm.services import persons

    meeting = book(calendar, notes="About Maria")
    assert meeting.lead
    persons.forget(calendar.workspace, [meeting.lead], [])
    meeting.refresh_from_db()
    assert (meeting.title, meeting.notes, meeting.attendee_email) == ("", "", "")
    assert meeting.status == MeetingStatus.CANCELED
    meeting_sync.settle(meeting.pk, late=True)
    assert stands(server) == {}


def test_a_calendar_in_use_is_not_deleted(calendar: Calendar) -> None:
    meeting = book(calendar)
    with pytest.raises(Conflict) as refused:
        connector_checks.disconnect(calendar, actor="test")
    assert refused.value.code == "connector_in_use"
    calendars.cancel(meeting, actor="test")
    meeting_sync.settle(meeting.pk, late=True)
    meeting_sync.settle(due(meeting).pk, late=True)
    connector_checks.disconnect(calendar, actor="test")
    calendar.refresh_from_db()
    assert calendar.archived_at
    assert not CalendarAccount.objects.filter(pk=calendar.pk).exists()
