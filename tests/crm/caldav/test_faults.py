"""What goes wrong on the way: lost answers, servers that forget, dead ones."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from crm.calendars.port import CalendarUnavailable
from crm.models import AccountState, Calendar, CalendarAccount, FollowUp, Meeting, MeetingStatus
from crm.services import calendar_ports, calendars, connectors, meeting_sync
from tenex.events.models import Event
from tenex.lib import failpoint
from tenex.workspaces.models import Workspace
from tests import rows
from tests.crm import connected
from tests.crm.caldav.meetings import book, due, stands, times
from tests.crm.connected import impatient, theirs, tomorrow
from tests.rig import radicale
from tests.rig.fault_proxy import Fault, FaultProxy, in_front_of
from tests.rig.radicale import Radicale

pytestmark = pytest.mark.django_db(transaction=True)


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
