"""What is told of a meeting: the lead's history, messages to the lead, events for integrators.

Each is called in the transaction of what it tells, as its last act.
"""

import uuid
from typing import Any, Final

from django.utils import timezone

from crm.calendars.spoken import spoken
from crm.models import (
    FollowUp,
    FollowUpStatus,
    Lead,
    MailKind,
    Meeting,
    MeetingMail,
)
from crm.selectors.leads import plain
from crm.services import follow_ups, timeline
from tenex.events import services as events
from tenex.lib import zones
from tenex.lib.wake import wake

FOLLOW_UP: Final = "meeting"
"""Kind of the follow-up for a meeting that a person has to see to."""
WHY: Final = {
    "slot_taken": "the time was taken in the calendar meanwhile",
    "not_free": "the time that was asked for is not free",
    "slot_passed": "the time has passed",
    "gave_up": "the calendar did not confirm it",
}


def wire(meeting: Meeting) -> dict[str, Any]:
    """A meeting as in the verdict and in events (contract.md 5)."""
    return {
        "start": plain(meeting.starts_at),
        "end": plain(meeting.ends_at),
        "timezone": meeting.calendar.time_zone,
        "connector_id": str(meeting.calendar_id),
        "event_id": str(meeting.id),
        "join_url": meeting.join_url or meeting.calendar.join_url or None,
    }


def booked(meeting: Meeting) -> None:
    """It stands."""
    _tell(meeting, "meeting.booked", f"Meeting booked for {plain(meeting.starts_at)}", wire(meeting))
    queue_mail(meeting, MailKind.REQUEST)
    if meeting.call_id:
        open_ones = FollowUp.objects.filter(kind=FOLLOW_UP, status=FollowUpStatus.OPEN)
        open_ones.filter(call_id=meeting.call_id).update(status=FollowUpStatus.DONE)
    events.record(
        workspace_id=meeting.workspace_id,
        type="meeting.booked",
        data=_facts(meeting),
        call_id=meeting.call_id,
    )


def moved(meeting: Meeting, actor: str, was: str) -> None:
    """It stands at another time now; `was` is the one before."""
    data = {**wire(meeting), "meeting_id": str(meeting.pk), "actor": actor, "previous_start": was}
    _tell(meeting, "meeting.rescheduled", f"Meeting moved to {plain(meeting.starts_at)}", data)
    queue_mail(meeting, MailKind.REQUEST)
    events.record(
        workspace_id=meeting.workspace_id,
        type="meeting.rescheduled",
        data={**_facts(meeting), "previous_start": was},
        call_id=meeting.call_id,
    )


def canceled(meeting: Meeting, actor: str) -> None:
    """It stood, and does no more."""
    _tell(meeting, "meeting.canceled", "Meeting canceled", {"meeting_id": str(meeting.pk), "actor": actor})
    queue_mail(meeting, MailKind.CANCEL)
    events.record(
        workspace_id=meeting.workspace_id,
        type="meeting.canceled",
        data=_facts(meeting),
        call_id=meeting.call_id,
    )


def failed(meeting: Meeting) -> None:
    """It was promised, or asked for, and did not come about: a person has to see to it."""
    _for_a_person(meeting, "No meeting on {at}: {why}", "Agree on another time: {at} was not booked, {why}.")


def not_moved(meeting: Meeting) -> None:
    """Somebody was told that it would be moved, and it was not."""
    _for_a_person(meeting, "Meeting stays on {at}: {why}", "Was to be moved and stays on {at}: {why}.")


def _for_a_person(meeting: Meeting, headline: str, note: str) -> None:
    """On the lead's timeline and as a follow-up that is due; `{at}` and `{why}` are filled in."""
    if meeting.lead is None:
        return
    facts = {
        "at": spoken(meeting.starts_at, zones.first_zone(meeting.calendar.time_zone)),
        "why": WHY.get(meeting.failure, meeting.failure),
    }
    _tell(meeting, "meeting.failed", headline.format(**facts), {"meeting_id": str(meeting.pk)})
    follow_ups.schedule(
        meeting.lead,
        due_at=timezone.now(),
        kind=FOLLOW_UP,
        note=note.format(**facts),
        call_id=meeting.call_id,
    )


def queue_mail(meeting: Meeting, kind: MailKind) -> None:
    """Have the lead told by e-mail, as the meeting stands by then."""
    if not meeting.calendar.sends_invitations or meeting.lead_id is None:
        return
    MeetingMail.objects.get_or_create(
        meeting=meeting, kind=kind, sequence=meeting.sequence, defaults={"next_at": timezone.now()}
    )
    wake("crm.calendars.mails")


def _tell(meeting: Meeting, type_: str, summary: str, data: dict[str, Any]) -> None:
    lead: Lead | None = meeting.lead
    if lead is not None:
        timeline.add(lead, type_, summary, call_id=meeting.call_id, data=data)


def _facts(meeting: Meeting) -> dict[str, Any]:
    def text(value: uuid.UUID | None) -> str | None:
        return str(value) if value else None

    return {
        "meeting_id": str(meeting.id),
        "lead_id": text(meeting.lead_id),
        "call_id": text(meeting.call_id),
        "meeting": wire(meeting),
    }
