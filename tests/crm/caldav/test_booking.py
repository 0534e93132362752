"""Booking, moving, taking away; wishes from when the calendar could not be seen; erasure."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from crm.calendars.availability import Period
from crm.models import Calendar, CalendarAccount, FollowUp, Meeting, MeetingStatus, TimelineEntry
from crm.services import appointments, calendars, connector_checks, meeting_sync
from tenex.errors import Conflict
from tenex.events.models import Event
from tenex.lib import failpoint
from tenex.workspaces.models import Workspace
from tests import rows
from tests.crm import connected
from tests.crm.caldav.meetings import book, due, stands, times
from tests.crm.connected import theirs, tomorrow
from tests.rig.radicale import Radicale

pytestmark = pytest.mark.django_db(transaction=True)


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
