"""Connecting a calendar, and what is free in it."""

from datetime import timedelta
from typing import Any

import pytest

from crm.calendars.availability import Period
from crm.calendars.port import CalendarUnavailable
from crm.models import AccountState, Calendar, CalendarAccount
from crm.services import appointments, calendar_ports, connector_checks, connectors
from tenex.errors import InvalidInput
from tenex.workspaces.models import Workspace
from tests.crm import connected
from tests.crm.connected import theirs, tomorrow
from tests.rig import radicale
from tests.rig.radicale import Radicale

pytestmark = pytest.mark.django_db(transaction=True)


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
