"""Google Calendar through Google's own client, against a server that speaks its recorded shapes.

Against Google itself: tests/crm/live_google.py.
"""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import override_settings
from django.utils import timezone

from crm.calendars import google as google_port
from crm.calendars.availability import Period
from crm.calendars.port import CalendarRefused, CalendarUnavailable
from crm.models import AccountState, Calendar, CalendarAccount, Meeting, MeetingStatus
from crm.services import appointments, calendar_ports, calendars, connector_checks, connectors, meeting_sync
from tenex.errors import Conflict
from tenex.events.models import Event
from tenex.workspaces.models import Workspace
from tenex.workspaces.principal import Principal
from tests import rows
from tests.crm import connected
from tests.crm.connected import tomorrow
from tests.rig import fake_google
from tests.rig.fake_google import CALENDAR, FakeGoogle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    with fake_google.running() as server:
        google_port.service.cache_clear()
        with override_settings(
            GOOGLE_BASE_URL=server.base, GOOGLE_CLIENT_ID="client", GOOGLE_CLIENT_SECRET="secret"
        ):
            yield server
        google_port.service.cache_clear()


@pytest.fixture
def space() -> Workspace:
    return rows.workspace()


@pytest.fixture
def calendar(space: Workspace, google: FakeGoogle) -> Calendar:
    return connected.google(space, address=CALENDAR)


def principal(space: Workspace) -> Principal:
    return Principal(workspace=space, actor="user:ana", scopes=frozenset({"*"}), rate_key="user:1")


def book(calendar: Calendar, time: Period | None = None) -> Meeting:
    lead = rows.lead(calendar.workspace, phone=f"+1415555{uuid.uuid4().int % 10000:04}")
    made = calendars.book(calendar, time or tomorrow(), lead, now=timezone.now(), call_id=uuid.uuid4())
    return meeting_sync.settle(made.pk, late=False)


def times(google: FakeGoogle) -> set[tuple[str, str]]:
    return {(one["start"]["dateTime"], one["end"]["dateTime"]) for one in google.standing}


def as_google(time: Period) -> tuple[str, str]:
    return tuple(f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (time.starts_at, time.ends_at))  # type: ignore[return-value]


# --- consent ---


def consent(calendar: Calendar, google: FakeGoogle) -> dict[str, str]:
    """Somebody says yes at Google's page; what they bring back."""
    url = urlsplit(connector_checks.consent_url(calendar, principal(calendar.workspace)))
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert url.path == "/o/oauth2/v2/auth"
    assert asked["redirect_uri"].endswith("/console/connectors/google/callback")
    assert (asked["access_type"], asked["prompt"], asked["code_challenge_method"]) == (
        "offline", "consent", "S256",
    )  # fmt: skip
    assert "https://www.googleapis.com/auth/calendar " not in f"{asked['scope']} ", "no more than is needed"
    google.consents["4/code"] = asked["code_challenge"]
    return {"state": asked["state"], "code": "4/code"}


def test_from_consent_to_the_chosen_calendar(space: Workspace, google: FakeGoogle) -> None:
    made = connectors.create(space, {"name": "Google"}, kind="google", actor="test")
    assert [one.ok for one in connector_checks.test(made)] == [False]
    brought = consent(made, google)
    assert connector_checks.come_in(space, **brought, actor="test").pk == made.pk
    account = CalendarAccount.objects.get(pk=made.pk)
    assert "1//refresh" not in account.credentials
    found = connector_checks.discover(made, actor="test")
    assert [(one.address, one.writable) for one in found] == [
        (CALENDAR, True),
        ("de.german#holiday@group.v.calendar.google.com", False),
    ]
    account.refresh_from_db()
    assert (account.address, account.address_name) == (CALENDAR, "Sales"), "the only one to write in"
    assert all(one.ok for one in connector_checks.test(made))


def test_a_code_is_good_once_and_for_whoever_began(space: Workspace, google: FakeGoogle) -> None:
    made = connectors.create(space, {"name": "Google"}, kind="google", actor="test")
    brought = consent(made, google)
    other = rows.workspace("other")
    with pytest.raises(Conflict):
        connector_checks.come_in(other, **brought, actor="test")
    again = consent(made, google)
    google.consents["4/code"] = "somebody-elses-challenge"
    with pytest.raises(CalendarRefused):  # of another attempt: its verifier does not fit
        connector_checks.come_in(space, **again, actor="test")
    with pytest.raises(Conflict):
        connector_checks.come_in(space, state="x.y.z", code="4/code", actor="test")


def test_half_a_consent_is_none(space: Workspace, google: FakeGoogle) -> None:
    made = connectors.create(space, {"name": "Google"}, kind="google", actor="test")
    google.granted = "https://www.googleapis.com/auth/calendar.events"
    with pytest.raises(CalendarRefused, match="tick all boxes"):
        connector_checks.come_in(space, **consent(made, google), actor="test")


def test_without_a_client_it_says_so(space: Workspace) -> None:
    made = connectors.create(space, {"name": "Google"}, kind="google", actor="test")
    with override_settings(GOOGLE_CLIENT_ID="", GOOGLE_CLIENT_SECRET=""), pytest.raises(Conflict) as refused:
        connector_checks.consent_url(made, principal(space))
    assert refused.value.code == "google_not_configured"


def test_tokens_are_renewed_and_a_taken_back_consent_is_said(calendar: Calendar, google: FakeGoogle) -> None:
    calendar_ports.busy(calendar, tomorrow(), seconds=5)
    calendar_ports.busy(calendar, tomorrow(), seconds=5)
    assert [path for _, path in google.asked].count("/token") == 1, "a token is used until it runs out"
    account = CalendarAccount.objects.get(pk=calendar.pk)
    kept = calendar_ports.credentials(account)
    late = timezone.now() - timedelta(minutes=1)
    calendar_ports.keep_credentials(account, {**kept, "expires_at": late.isoformat()})
    google.refused = True
    with pytest.raises(CalendarUnavailable, match="taken back"):
        calendar_ports.busy(calendar, tomorrow(), seconds=5)
    account.refresh_from_db()
    assert account.state == AccountState.REFUSED


def test_a_deleted_connector_gives_its_access_back(calendar: Calendar, google: FakeGoogle) -> None:
    connector_checks.disconnect(calendar, actor="test")
    assert google.revoked == ["1//refresh"]


# --- free and busy ---


def test_free_slots_leave_out_what_google_calls_busy(calendar: Calendar, google: FakeGoogle) -> None:
    google.somebody_else(tomorrow(10).starts_at, tomorrow(10).ends_at)
    google.somebody_else(tomorrow(11).starts_at, tomorrow(11).ends_at, transparency="transparent")
    found = appointments.slots(calendar, Period(tomorrow(10).starts_at, tomorrow(12).starts_at))
    assert [f"{slot.starts_at:%H:%M}" for slot in found] == ["10:30", "11:00", "11:30"]


# --- booking ---


def test_book_move_cancel(calendar: Calendar, google: FakeGoogle) -> None:
    meeting = book(calendar)
    assert meeting.status == MeetingStatus.BOOKED
    assert times(google) == {as_google(tomorrow())}
    event = google.standing[0]
    assert event["extendedProperties"]["private"]["tenexUid"] == meeting.uid
    assert "attendees" not in event
    calendars.move(meeting, tomorrow(17), now=timezone.now(), actor="test")
    moved = meeting_sync.settle(meeting.pk, late=False)
    assert moved.starts_at == tomorrow(17).starts_at
    assert times(google) == {as_google(tomorrow(17))}
    calendars.cancel(moved, actor="test")
    meeting_sync.settle(moved.pk, late=True)
    assert google.standing == []


def test_the_same_event_again_after_it_was_deleted(calendar: Calendar, google: FakeGoogle) -> None:
    """Google keeps the ids of deleted events for ever."""
    first = book(calendar)
    assert first.lead
    calendars.cancel(first, actor="test")
    meeting_sync.settle(first.pk, late=True)
    made = calendars.book(calendar, tomorrow(), first.lead, now=timezone.now(), call_id=first.call_id)
    again = meeting_sync.settle(made.pk, late=False)
    assert (again.pk, again.status) == (first.pk, MeetingStatus.BOOKED)
    assert times(google) == {as_google(tomorrow())}


def test_somebody_elses_event_wins(calendar: Calendar, google: FakeGoogle) -> None:
    google.somebody_else(tomorrow(15, 10).starts_at, tomorrow(15, 10).ends_at)
    assert book(calendar).failure == "slot_taken"
    assert len(google.standing) == 1


@pytest.mark.parametrize("declined", [True, False])
def test_an_invitation_that_was_declined_takes_no_time(
    calendar: Calendar, google: FakeGoogle, declined: bool
) -> None:
    me = {"self": True, "email": "ava@acme.example", "responseStatus": "declined" if declined else "accepted"}
    google.somebody_else(tomorrow().starts_at, tomorrow().ends_at, attendees=[me])
    assert book(calendar).status == (MeetingStatus.BOOKED if declined else MeetingStatus.FAILED)


def test_a_lost_answer_is_settled_by_the_next_look(calendar: Calendar, google: FakeGoogle) -> None:
    calendar_ports.busy(calendar, tomorrow(), seconds=5)  # the token is there
    google.lose = 2  # the look, then the next one
    meeting = book(calendar)
    assert meeting.status == MeetingStatus.BOOKING
    google.lose = 0
    Meeting.objects.update(sync_at=timezone.now())
    assert meeting_sync.settle(meeting.pk, late=True).status == MeetingStatus.BOOKED
    assert len(google.standing) == 1
    assert Event.objects.filter(type="meeting.booked").count() == 1


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        (500, "backendError", AccountState.FAILING),
        (403, "rateLimitExceeded", AccountState.FAILING),
        (403, "forbidden", AccountState.REFUSED),
        (401, "authError", AccountState.REFUSED),
    ],
)
def test_what_google_says_is_kept_as_health(
    calendar: Calendar, google: FakeGoogle, status: int, reason: str, state: str
) -> None:
    google.fail = [(status, reason)]
    with pytest.raises(CalendarUnavailable):
        calendar_ports.busy(calendar, tomorrow(), seconds=5)
    assert CalendarAccount.objects.get(pk=calendar.pk).state == state
