"""Invitations by e-mail, over real SMTP: what leads get, how often, and what cannot be sent."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import icalendar
import pytest
from django.test import override_settings
from django.utils import timezone

from crm.models import Calendar, MailStatus, Meeting, MeetingMail
from crm.services import calendars, leads, meeting_mails, persons
from tests import rows
from tests.crm.connected import tomorrow
from tests.rig import smtp
from tests.rig.smtp import MailServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with smtp.running() as server:
        options = {"host": "127.0.0.1", "port": server.port, "timeout": 5}
        mailers = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}
        with override_settings(
            MAILERS=mailers, EMAIL_CONFIGURED=True, DEFAULT_FROM_EMAIL="Acme <voice@acme.example>"
        ):
            yield server


@pytest.fixture
def calendar() -> Calendar:
    return rows.calendar(rows.workspace(), join_url="https://meet.example/acme")


def book(calendar: Calendar, **fields: Any) -> Meeting:
    lead = rows.lead(
        calendar.workspace,
        **{
            "email": "maria@example.com",
            "last_name": "O'Neill",
            "time_zone": "America/Los_Angeles",
            **fields,
        },
    )
    return calendars.book(
        calendar, tomorrow(20), lead, now=timezone.now(), call_id=uuid.uuid4(), notes="Sounds annoyed"
    )


def file_of(message: EmailMessage) -> Any:
    """The iCalendar that mail programs look for, and that it is attached too."""
    parts = [part for part in message.walk() if part.get_content_type() == "text/calendar"]
    assert len(parts) == 2
    assert parts[0].get_content() == parts[1].get_content()
    assert parts[1].get_filename() == "invite.ics"
    found = icalendar.Calendar.from_ical(parts[0].get_content())
    assert parts[0].get_param("method") == found["METHOD"]
    return found


def due() -> None:
    MeetingMail.objects.filter(status=MailStatus.PENDING).update(next_at=timezone.now())


def test_an_invitation_a_change_and_a_cancellation(calendar: Calendar, mail: MailServer) -> None:
    meeting = book(calendar)
    assert meeting_mails.send_due() == 1
    assert meeting_mails.send_due() == 0
    moved = calendars.move(meeting, tomorrow(21), now=timezone.now(), actor="test")
    assert meeting_mails.send_due() == 1
    calendars.cancel(moved, actor="test")
    assert meeting_mails.send_due() == 1
    assert mail.recipients == [["maria@example.com"]] * 3
    files = [file_of(message) for message in mail.messages]
    events = [one.walk("VEVENT")[0] for one in files]
    assert [str(one["METHOD"]) for one in files] == ["REQUEST", "REQUEST", "CANCEL"]
    assert [event["SEQUENCE"] for event in events] == [0, 1, 2]
    assert {str(event["UID"]) for event in events} == {meeting.uid}
    assert [event["DTSTART"].dt for event in events] == [
        tomorrow(20).starts_at, tomorrow(21).starts_at, tomorrow(21).starts_at,
    ]  # fmt: skip
    first = mail.messages[0]
    text = first.get_body(("plain",))
    assert text is not None
    assert first["From"] == "Acme <voice@acme.example>"
    assert "(America/Los_Angeles)" in text.get_content()
    assert "https://meet.example/acme" in text.get_content()
    assert "annoyed" not in first.as_string(), "notes are not for the guest"
    assert str(events[0]["ORGANIZER"]) == "mailto:voice@acme.example"


def test_a_server_in_trouble_is_tried_again(calendar: Calendar, mail: MailServer) -> None:
    mail.fail = 2
    book(calendar)
    assert meeting_mails.send_due() == 0
    row = MeetingMail.objects.get()
    assert (row.status, row.tries) == (MailStatus.PENDING, 1)
    assert row.next_at > timezone.now()
    due()
    assert meeting_mails.send_due() == 0
    due()
    assert meeting_mails.send_due() == 1
    assert len(mail.messages) == 1


def test_an_address_that_is_refused_for_good_is_not_tried_again(calendar: Calendar, mail: MailServer) -> None:
    mail.refuse = "550 no such user"
    book(calendar)
    assert meeting_mails.send_due() == 0
    row = MeetingMail.objects.get()
    assert (row.status, row.reason) == (MailStatus.DROPPED, "the mail server refuses the address")


def test_no_mail_server_at_all(calendar: Calendar, mail: MailServer) -> None:
    with override_settings(EMAIL_CONFIGURED=False):
        book(calendar)
        assert meeting_mails.send_due() == 0
    assert MeetingMail.objects.get().reason == "no mail server is set up"
    assert mail.messages == []


def test_an_address_that_is_told_later_in_the_call(calendar: Calendar, mail: MailServer) -> None:
    meeting = book(calendar, email="")
    assert meeting_mails.send_due() == 0
    assert MeetingMail.objects.get().status == MailStatus.PENDING
    assert meeting.lead
    leads.update(calendar.workspace, meeting.lead.pk, actor="test", email="late@example.com")
    due()
    assert meeting_mails.send_due() == 1
    leads.update(calendar.workspace, meeting.lead.pk, actor="test", email="other@example.com")
    calendars.cancel(meeting, actor="test")
    assert meeting_mails.send_due() == 1
    assert mail.recipients == [["late@example.com"]] * 2, "the cancellation goes where the invitation went"


def test_nobody_waits_for_an_address_for_ever(calendar: Calendar, mail: MailServer) -> None:
    book(calendar, email="")
    MeetingMail.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert meeting_mails.send_due() == 0
    assert MeetingMail.objects.get().reason == "no address is known"


def test_canceled_before_it_was_sent_nothing_goes_out(calendar: Calendar, mail: MailServer) -> None:
    meeting = book(calendar)
    calendars.cancel(meeting, actor="test")
    assert meeting_mails.send_due() == 0
    assert mail.messages == []
    assert {row.reason for row in MeetingMail.objects.all()} == {
        "the meeting does not stand", "no invitation was sent",
    }  # fmt: skip


def test_of_two_changes_only_the_last_is_told(calendar: Calendar, mail: MailServer) -> None:
    meeting = book(calendar)
    moved = calendars.move(meeting, tomorrow(21), now=timezone.now(), actor="test")
    calendars.move(moved, tomorrow(22), now=timezone.now(), actor="test")
    assert meeting_mails.send_due() == 1
    assert file_of(mail.messages[0]).walk("VEVENT")[0]["DTSTART"].dt == tomorrow(22).starts_at


def test_a_calendar_that_sends_none(calendar: Calendar, mail: MailServer) -> None:
    Calendar.objects.update(sends_invitations=False)
    calendar.refresh_from_db()
    book(calendar)
    assert not MeetingMail.objects.exists()


def test_many_workers_send_it_once(calendar: Calendar, mail: MailServer) -> None:
    book(calendar)
    assert sorted(rows.together(*[meeting_mails.send_due] * 4)) == [0, 0, 0, 1]
    assert len(mail.messages) == 1


def test_whoever_is_erased_gets_nothing_more(calendar: Calendar, mail: MailServer) -> None:
    meeting = book(calendar)
    assert meeting.lead
    persons.forget(calendar.workspace, [meeting.lead], [])
    due()
    assert meeting_mails.send_due() == 0
    assert mail.messages == []
    meeting.refresh_from_db()
    assert (meeting.status, meeting.attendee_email) == ("canceled", "")


@pytest.mark.parametrize("name", ["Ana\r\nBcc: eve@example.com", "Ana\nSubject: x", 'Ana; "x", <b>'])
def test_names_put_nothing_into_headers(calendar: Calendar, mail: MailServer, name: str) -> None:
    book(calendar, first_name=name)
    assert meeting_mails.send_due() == 1
    message = mail.messages[0]
    assert message["Bcc"] is None
    assert len(message.get_all("Subject") or []) == 1
    assert mail.recipients == [["maria@example.com"]]
    assert len(file_of(message).walk("VEVENT")) == 1
