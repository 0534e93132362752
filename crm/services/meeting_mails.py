"""Messages to leads about their meetings: invitations, changes, cancellations, as iCalendar by e-mail.

The outbox is rows. A message is made when it is sent, from what the meeting is by then, so nothing about a
person is kept in it. A worker that dies over one sends it again: it has the same uid and sequence number, and
a calendar that gets it twice changes nothing.
"""

from datetime import timedelta
from email.utils import parseaddr
from smtplib import SMTPException, SMTPRecipientsRefused
from typing import Final

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import F
from django.utils import timezone

from crm.calendars.spoken import spoken
from crm.models import MailKind, MailStatus, Meeting, MeetingMail, MeetingStatus
from crm.services.meeting_sync import event_of
from tenex.lib import backoff, zones

log = structlog.get_logger(__name__)

MOST_TRIES: Final = 12
_FIRST_S: Final = 15.0
_LONGEST_S: Final = 3600.0
_AT_WORK: Final = timedelta(minutes=2)
"""A message that somebody has taken is left alone for so long."""
_WAIT_FOR_ADDRESS: Final = timedelta(hours=1)
"""An address may still be told in the call."""

_SUBJECTS: Final = {
    MailKind.REQUEST: "{title}: {when}",
    MailKind.CANCEL: "Canceled: {title}, {when}",
}
_TEXTS: Final = {
    MailKind.REQUEST: """\
{greeting}

this confirms our meeting:

    {when} ({zone})
    {minutes} minutes{join}

The invitation for your calendar is attached. If the time does not suit you, reply to this message.
""",
    MailKind.CANCEL: """\
{greeting}

our meeting on {when} ({zone}) is canceled. The attached message takes it out of your calendar.
""",
}


def send_due(limit: int = 50) -> int:
    """Send what is due; how many were sent."""
    now = timezone.now()
    due = MeetingMail.objects.filter(status=MailStatus.PENDING, next_at__lte=now).order_by("next_at")
    sent = 0
    for row in due.select_related("meeting__calendar__workspace", "meeting__lead")[:limit]:
        # The instant is the fence: whoever changes it has the message.
        ours = MeetingMail.objects.filter(pk=row.pk, status=MailStatus.PENDING, next_at=row.next_at)
        until = timezone.now() + _AT_WORK
        if not ours.update(next_at=until, tries=F("tries") + 1):
            continue
        row.next_at = until
        sent += _send(row)
    return sent


def _send(row: MeetingMail) -> bool:
    meeting = row.meeting
    address = meeting.attendee_email or (meeting.lead.email if meeting.lead else "") or ""
    reason = _why_not(row, address)
    if reason == "no address yet":
        _close(row, next_at=timezone.now() + timedelta(seconds=30))
        return False
    if reason:
        _close(row, status=MailStatus.DROPPED, reason=reason)
        return False
    try:
        _message(row, address).send()
    except SMTPRecipientsRefused as exc:
        hard = all(code >= 500 for code, _ in exc.recipients.values())
        _failed(row, "the mail server refuses the address", hard=hard)
        return False
    except (OSError, SMTPException) as exc:
        _failed(row, type(exc).__name__, hard=False)
        return False
    if not meeting.attendee_email:  # the address was told later in the call: a cancellation goes there too
        Meeting.objects.filter(pk=meeting.pk, forgotten=False).update(attendee_email=address)
    _close(row, status=MailStatus.SENT, sent_at=timezone.now())
    return True


def _why_not(row: MeetingMail, address: str) -> str:
    """Why it is not sent, or not now; empty if it is."""
    meeting = row.meeting
    if meeting.forgotten:
        return "the person was erased"
    if not settings.EMAIL_CONFIGURED:
        return "no mail server is set up"
    if row.kind == MailKind.REQUEST:
        if meeting.status != MeetingStatus.BOOKED:
            return "the meeting does not stand"
        if row.sequence < meeting.sequence:
            return "changed again before it was sent"
    elif not meeting.mails.filter(kind=MailKind.REQUEST, status=MailStatus.SENT).exists():
        return "no invitation was sent"
    if not address:
        return (
            "no address yet" if timezone.now() - row.created_at < _WAIT_FOR_ADDRESS else "no address is known"
        )
    return ""


def _message(row: MeetingMail, address: str) -> EmailMultiAlternatives:
    from crm.calendars import ical  # takes a while to import, and only this worker writes such files

    meeting, kind = row.meeting, MailKind(row.kind)
    calendar, lead = meeting.calendar, meeting.lead
    zone = zones.first_zone(lead.time_zone if lead else "", calendar.time_zone)
    title = f"Meeting with {calendar.workspace.name}"
    event = event_of(meeting)
    join = event.join_url
    words = {
        "title": title,
        "when": spoken(meeting.starts_at, zone),
        "zone": str(zone),
        "minutes": round((meeting.ends_at - meeting.starts_at) / timedelta(minutes=1)),
        "join": f"\n    {join}" if join else "",
        "greeting": f"Hello {lead.first_name}," if lead and lead.first_name else "Hello,",
    }
    organizer = calendar.organizer_email or settings.DEFAULT_FROM_EMAIL
    file = ical.invitation(
        # What the host's calendar says about the guest is not for the guest.
        ical.for_guest(event, title=title, sequence=row.sequence),
        method=kind.upper(),
        organizer=ical.Party(_bare(organizer), calendar.workspace.name),
        guest=ical.Party(address, lead.name if lead else ""),
        now=timezone.now(),
    ).decode()
    message = EmailMultiAlternatives(
        _one_line(_SUBJECTS[kind].format(**words)),
        _TEXTS[kind].format(**words),
        to=[address],
        reply_to=[calendar.organizer_email] if calendar.organizer_email else None,
    )
    message.attach_alternative(file, f"text/calendar; method={kind.upper()}")
    message.attach("invite.ics", file, "text/calendar")
    return message


def _failed(row: MeetingMail, reason: str, *, hard: bool) -> None:
    tries = row.tries + 1
    if hard or tries >= MOST_TRIES:
        log.warning("meeting mail given up", meeting_id=str(row.meeting_id), reason=reason, tries=tries)
        _close(row, status=MailStatus.DROPPED, reason=reason[:120])
        return
    wait_s = backoff.delay_s(tries, first_s=_FIRST_S, longest_s=_LONGEST_S)
    _close(row, reason=reason[:120], next_at=timezone.now() + timedelta(seconds=wait_s / settings.TIME_SCALE))


def _close(row: MeetingMail, **values: object) -> None:
    """What came of it, if it is still ours."""
    MeetingMail.objects.filter(pk=row.pk, status=MailStatus.PENDING, next_at=row.next_at).update(**values)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _bare(address: str) -> str:
    """Without a name in front of it."""
    return parseaddr(address)[1] or address
