"""The pages of calendars: what they show, what their forms do, and to whom."""

from datetime import UTC, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.calendars.availability import Period
from crm.models import AccountState, Calendar, CalendarAccount, Meeting, MeetingStatus
from crm.services import calendars, connectors
from tenex.workspaces.models import Role, Workspace
from tests import rows
from tests.pages.people import member
from tests.rig import radicale
from tests.rig.radicale import Radicale

pytestmark = pytest.mark.django_db
C = "/console/connectors"
DAYS = {f"day_{day}": "9:00-12:30, 13:30-17:00" for day in range(1, 6)}
RULES = {
    "name": "Sales",
    "time_zone": "Europe/Madrid",
    "slot_minutes": "45",
    "buffer_before_minutes": "5",
    "buffer_after_minutes": "10",
    "notice_minutes": "60",
    "horizon_days": "30",
    "daily_limit": "",
    "join_url": "https://meet.example/x",
    "organizer_email": "",
    "sends_invitations": "1",
    **DAYS,
}


@pytest.fixture
def space() -> Workspace:
    return rows.workspace(time_zone="America/New_York")


@pytest.fixture
def client(space: Workspace) -> Client:
    return member(Role.OPERATOR, space)


def text(answer: Any) -> str:
    found: str = answer.content.decode()
    return found


def booked(calendar: Calendar, hours: int = 30) -> Meeting:
    start = (timezone.now() + timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)
    lead = rows.lead(calendar.workspace, phone=f"+1415555{hours:04}", email=f"m{hours}@example.com")
    return calendars.book(calendar, Period(start, start + timedelta(minutes=30)), lead, now=timezone.now())


def test_nothing_yet_and_what_to_do(client: Client) -> None:
    shown = text(client.get(C))
    assert "No calendar yet" in shown
    assert f"{C}/new" in shown


def test_a_built_in_calendar_is_made_and_changed(client: Client, space: Workspace) -> None:
    answer: Any = client.post(f"{C}/new", {"kind": "built_in", **RULES})
    assert answer.status_code == 302
    made = Calendar.objects.get(workspace=space)
    assert made.hours == {str(day): [["09:00", "12:30"], ["13:30", "17:00"]] for day in range(1, 6)}
    assert (made.slot_minutes, made.buffer_after_minutes, made.daily_limit) == (45, 10, None)
    shown = text(client.get(f"{C}/{made.pk}"))
    assert "09:00-12:30, 13:30-17:00" in shown
    assert "Nothing is booked" in shown
    assert str(made.pk) in shown
    changed = {**RULES, "day_1": "", "day_6": "10-14", "daily_limit": "3"}
    del changed["sends_invitations"]
    assert client.post(f"{C}/{made.pk}", changed).status_code == 302
    made.refresh_from_db()
    assert ("1" in made.hours, made.hours["6"]) == (False, [["10:00", "14:00"]])
    assert (made.daily_limit, made.sends_invitations) == (3, False)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("day_2", "whenever", "Tuesday: write hours like"),
        ("day_2", "17:00-9:00", "17:00 is not before 09:00"),
        ("day_2", "9-12, 11-13", "overlap"),
        ("time_zone", "Mars/Base", "Not a time zone"),
        ("slot_minutes", "half an hour", "a whole number"),
        ("slot_minutes", "1", "greater than or equal to 5"),
        ("name", " ", "A name is needed"),
        ("join_url", "javascript:alert(1)", "valid url"),
        ("organizer_email", "nobody", "valid email"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(
    client: Client, space: Workspace, field: str, value: str, said: str
) -> None:
    answer = client.post(f"{C}/new", {"kind": "built_in", **RULES, field: value})
    assert answer.status_code == 422
    shown = text(answer)
    assert said in shown
    assert f'id="e-{field}"' in shown
    assert 'value="45"' in shown or field == "slot_minutes"
    assert not Calendar.objects.filter(workspace=space).exists()


def test_caldav_is_connected_tested_and_taken_away(
    client: Client, space: Workspace, caldav_server: Radicale
) -> None:
    access = {"url": caldav_server.home(), "user_name": radicale.USER, "password": "wrong"}
    answer: Any = client.post(f"{C}/new", {"kind": "caldav", **RULES, **access}, follow=True)
    assert "does not work yet" in text(answer)
    made = Calendar.objects.get(workspace=space)
    right = {**access, "password": radicale.PASSWORD}
    answer = client.post(f"{C}/{made.pk}/access", right, follow=True)
    assert "Connected: meetings are booked in Work" in text(answer)
    for shown in (text(answer), text(client.get(f"{C}/{made.pk}")), text(client.get(C))):
        assert radicale.PASSWORD not in shown
    tested = client.post(f"{C}/{made.pk}/test", headers={"HX-Request": "true"})
    assert "Work can be written in" in text(tested)
    assert "<html" not in text(tested)
    whole = client.post(f"{C}/{made.pk}/test")
    assert "It works" in text(whole)
    choice = text(client.get(f"{C}/{made.pk}/choose"))
    assert 'type="radio"' in choice
    address = f"{caldav_server.home()}work/"
    chosen = client.post(f"{C}/{made.pk}/choose", {"choice": f"{address} Work"}, follow=True)
    assert "Meetings are booked in Work" in text(chosen)
    gone = client.post(f"{C}/{made.pk}/delete", follow=True)
    assert "is deleted" in text(gone)
    assert not CalendarAccount.objects.exists()


def test_trouble_is_shown_where_calendars_are_listed(client: Client, space: Workspace) -> None:
    made = connectors.create(
        space,
        {"name": "Theirs", "url": "http://127.0.0.1:9/", "user_name": "a", "password": "b"},
        kind="caldav",
        actor="test",
    )
    CalendarAccount.objects.filter(pk=made.pk).update(
        state=AccountState.FAILING,
        failures=5,
        last_error="connection refused",
        last_error_at=timezone.now(),
        open_until=timezone.now() + timedelta(minutes=5),
    )
    shown = text(client.get(C))
    for words in ("Does not answer", "Connection refused", "calls do not wait for it"):
        assert words in shown
    page = text(client.get(f"{C}/{made.pk}"))
    assert "Tried again" in page


def test_meetings_are_listed_moved_and_canceled(client: Client, space: Workspace) -> None:
    hours = {str(day): [["00:00", "24:00"]] for day in range(1, 8)}
    calendar = rows.calendar(space, time_zone="Asia/Tokyo", hours=hours)
    meeting = booked(calendar)
    page = text(client.get(f"{C}/{calendar.pk}"))
    assert "Maria" in page
    assert "Booked" in page
    choice = text(client.get(f"{C}/meetings/{meeting.pk}/move"))
    assert "On the clock of Asia/Tokyo" in choice
    start = (meeting.starts_at + timedelta(hours=3)).astimezone(UTC).isoformat()
    answer = client.post(f"{C}/meetings/{meeting.pk}/move", {"starts_at": start}, follow=True)
    assert "The meeting is moved" in text(answer)
    meeting.refresh_from_db()
    assert (meeting.starts_at.isoformat(), meeting.sequence) == (start, 1)
    taken = booked(calendar, hours=50)
    refused = client.post(f"{C}/meetings/{meeting.pk}/move", {"starts_at": taken.starts_at.isoformat()})
    assert refused.status_code == 409
    assert client.post(f"{C}/meetings/{meeting.pk}/move", {"starts_at": "soon"}).status_code == 422
    client.post(f"{C}/meetings/{meeting.pk}/cancel")
    meeting.refresh_from_db()
    assert meeting.status == MeetingStatus.CANCELED


def test_a_calendar_with_meetings_is_not_deleted(client: Client, space: Workspace) -> None:
    calendar = rows.calendar(space)
    booked(calendar)
    assert "Not deleted" in text(client.post(f"{C}/{calendar.pk}/delete", follow=True))


def test_who_only_looks_sees_no_buttons(space: Workspace) -> None:
    viewer = member(Role.VIEWER, space, "v@example.com")
    calendar = rows.calendar(space)
    meeting = booked(calendar)
    page = text(viewer.get(f"{C}/{calendar.pk}"))
    assert "Maria" in page
    for action in ("/delete", "/cancel", "/move", "/test"):
        assert f"{C}/{calendar.pk}{action}" not in page
        assert f"{meeting.pk}{action}" not in page
    assert viewer.post(f"{C}/{calendar.pk}", RULES).status_code == 403
    assert viewer.get(f"{C}/new").status_code == 403
    assert viewer.post(f"{C}/meetings/{meeting.pk}/cancel").status_code == 403


def test_google_without_a_client_says_what_is_missing(client: Client, space: Workspace) -> None:
    assert "GOOGLE_CLIENT_ID" in text(client.get(f"{C}/new?kind=google"))
    made = connectors.create(space, {"name": "G"}, kind="google", actor="test")
    assert "not set in this installation" in text(client.get(f"{C}/{made.pk}/google"))
    with override_settings(GOOGLE_CLIENT_ID="c", GOOGLE_CLIENT_SECRET="s"):
        answer: Any = client.get(f"{C}/{made.pk}/google")
    assert answer.status_code == 302
    assert answer["Location"].startswith("https://accounts.google.com/o/oauth2/v2/auth?client_id=c")
    denied = client.get(f"{C}/google/callback?error=access_denied", follow=True)
    assert "was not given" in text(denied)
    forged = client.get(f"{C}/google/callback?state=x.y.z&code=1", follow=True)
    assert "begin again" in text(forged)


def test_the_list_costs_the_same_with_more_rows(client: Client, space: Workspace) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(C).status_code == 200
        return len(queries)

    booked(rows.calendar(space))
    few = cost()
    for number in range(5):
        made = connectors.create(
            space,
            {"name": f"C{number}", "url": "http://127.0.0.1:9/", "user_name": "a", "password": "b"},
            kind="caldav",
            actor="test",
        )
        assert made.pk
    assert cost() == few
