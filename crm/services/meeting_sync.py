"""Making calendars elsewhere say what our rows want: written outside of every transaction, behind a fence.

What is due is a column (`sync_at`). Whoever does it takes a lease and the next fence number, asks the
calendar, and writes what came of it only if the fence is still theirs. A worker that dies between the
calendar's answer and our commit leaves a lease that runs out: the next one looks the event up by its uid and
finds it. One that was frozen and comes back finds its time over before its next request; and what it may have
sent nevertheless is looked for once more, later, wherever nothing is to stand.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from crm.calendars import availability, standing
from crm.calendars.availability import Period
from crm.calendars.port import Budget, CalendarRefused, CalendarUnavailable, Event, Overlapped, Port
from crm.models import HOLDS_TIME, Meeting, MeetingStatus
from crm.selectors import calendars as read
from crm.services import calendar_ports, calendars, meeting_news
from tenex.lib import backoff, failpoint
from tenex.lib.wake import wake

log = structlog.get_logger(__name__)

_GIVE_UP_S: Final = 1200.0
"""A meeting that the calendar has not confirmed for so long is not booked, and a person sees to it."""
_FIRST_S: Final = 4.0
_LONGEST_S: Final = 120.0
_LONGEST_GONE_S: Final = 3600.0
"""Between tries to take something away: that is never given up."""


@dataclass(frozen=True, slots=True)
class _Claim:
    meeting: Meeting
    late: bool
    """Nobody waits for it any more: whoever is disappointed has to be told in another way."""

    @property
    def rows(self) -> Any:
        """The row, as long as it is ours."""
        return Meeting.objects.filter(pk=self.meeting.pk, fence=self.meeting.fence)


def settle(meeting_id: uuid.UUID, *, late: bool, seconds: float | None = None) -> Meeting:
    """Bring the calendar in line with a meeting, within `seconds`; the meeting as it is afterwards.

    Nothing happens if nothing is due, or somebody else is at it.
    """
    claim = _claim(meeting_id, late=late)
    if claim is not None:
        try:
            with calendar_ports.opened(claim.meeting.calendar, _budget(seconds)) as port:
                _bring_in_line(claim, port)
        except (CalendarUnavailable, CalendarRefused) as exc:
            _later(claim, exc.code)
    return Meeting.objects.select_related("calendar", "lead").get(pk=meeting_id)


def due(limit: int = 100) -> list[uuid.UUID]:
    now = timezone.now()
    rows = Meeting.objects.filter(_free(now), sync_at__lte=now).order_by("sync_at")
    return list(rows.values_list("pk", flat=True)[:limit])


def sweep() -> int:
    """Wake whoever does what is due; how many."""
    found = due()
    for meeting_id in found:
        wake("crm.calendars.settle", str(meeting_id))
    return len(found)


def of_call(call_id: uuid.UUID) -> bool:
    """Try once more for a call that is over; whether its meeting is settled."""
    open_ones = (MeetingStatus.REQUESTED, MeetingStatus.BOOKING)
    rows = Meeting.objects.filter(call_id=call_id, status__in=open_ones).exclude(sync_at=None)
    found = [settle(meeting_id, late=True) for meeting_id in rows.values_list("pk", flat=True)]
    return not any(one.status in open_ones for one in found)


def _budget(seconds: float | None) -> Budget:
    return Budget(min(seconds or settings.CALENDAR_TIMEOUT_S, settings.CALENDAR_TIMEOUT_S))


def _claim(meeting_id: uuid.UUID, *, late: bool) -> _Claim | None:
    now = timezone.now()
    # Three times what it may take, so that nobody who is alive is overtaken.
    until = now + timedelta(seconds=3 * settings.CALENDAR_TIMEOUT_S)
    rows = Meeting.objects.filter(_free(now), pk=meeting_id).exclude(sync_at=None)
    if not rows.update(lease_until=until, fence=F("fence") + 1):
        return None
    row = Meeting.objects.select_related("calendar", "lead").get(pk=meeting_id)
    return _Claim(row, late)


def _free(now: datetime) -> Q:
    return Q(lease_until=None) | Q(lease_until__lt=now)


def _bring_in_line(claim: _Claim, port: Port) -> None:
    meeting = claim.meeting
    if meeting.forgotten or meeting.status in (MeetingStatus.CANCELED, MeetingStatus.FAILED):
        _take_away(claim, port)
    elif meeting.status == MeetingStatus.REQUESTED:
        if _accept(claim, port):
            _book(claim, port)
    elif meeting.status == MeetingStatus.BOOKING:
        _book(claim, port)
    elif meeting.moves_to_starts_at is not None and meeting.moves_to_ends_at is not None:
        _move(claim, port, Period(meeting.moves_to_starts_at, meeting.moves_to_ends_at))
    else:
        _put_right(claim, port)


# --- booking ---------------------------------------------------------------------------------------


def _book(claim: _Claim, port: Port) -> None:
    meeting = claim.meeting
    if claim.late and meeting.starts_at <= timezone.now():
        _fail(claim, "slot_passed", meeting.status)
        return
    try:
        stored = standing.place(port, _placing(claim, _time(meeting)))
    except Overlapped:
        _fail(claim, "slot_taken", MeetingStatus.BOOKING)
        return
    failpoint.hit("meeting.placed")
    with transaction.atomic():
        changed = claim.rows.filter(status=MeetingStatus.BOOKING).update(
            status=MeetingStatus.BOOKED, href=stored.href, join_url=stored.join_url[:500], **_DONE
        )
        if changed:
            meeting_news.booked(_again(meeting))
    if not changed:
        _let_go(claim)
    failpoint.hit("meeting.booked")


def _accept(claim: _Claim, port: Port) -> bool:
    """Take a time that was asked for while the calendar could not be seen, if it is free."""
    meeting, time = claim.meeting, _time(claim.meeting)
    rules = read.rules(meeting.calendar)
    if time.starts_at <= timezone.now():
        _fail(claim, "slot_passed", MeetingStatus.REQUESTED)
        return False
    kept = read.kept_times(meeting.calendar, read.whole_days(rules, time))
    if not availability.fits(rules, time, meetings=kept, busy=port.busy(rules.padded(time))):
        _fail(claim, "not_free", MeetingStatus.REQUESTED)
        return False
    try:
        with transaction.atomic():
            calendars.alone_in(meeting.calendar)
            taken = claim.rows.filter(status=MeetingStatus.REQUESTED).update(status=MeetingStatus.BOOKING)
    except IntegrityError:
        _fail(claim, "not_free", MeetingStatus.REQUESTED)
        return False
    if not taken:
        _let_go(claim)
        return False
    meeting.status = MeetingStatus.BOOKING
    return True


def _fail(claim: _Claim, code: str, status: str) -> None:
    """It is not booked. What we may have left in the calendar is looked for once more."""
    with transaction.atomic():
        changed = claim.rows.filter(status=status).update(
            status=MeetingStatus.FAILED, failure=code, looks_left=0, **_look_again()
        )
        if changed and claim.late:
            meeting_news.failed(_again(claim.meeting))
    if not changed:
        _let_go(claim)


# --- moving and taking away ------------------------------------------------------------------------


def _move(claim: _Claim, port: Port, to: Period) -> None:
    meeting = claim.meeting
    ours = claim.rows.filter(status=MeetingStatus.BOOKED, moves_to_starts_at=to.starts_at)
    stays = {"moves_to_starts_at": None, "moves_to_ends_at": None}
    if to.starts_at <= timezone.now():
        _stay(claim, ours, {**stays, **calendars.due_now(timezone.now()), "lease_until": None}, "slot_passed")
        return
    try:
        stored = standing.place(port, _placing(claim, to, was=_time(meeting)))
    except Overlapped:
        _stay(claim, ours, {**stays, **_DONE}, "slot_taken")
        return
    failpoint.hit("meeting.placed")
    with transaction.atomic():
        changed = ours.update(
            starts_at=to.starts_at,
            ends_at=to.ends_at,
            sequence=F("sequence") + 1,
            href=stored.href,
            **stays,
            **_DONE,
        )
        if changed:
            meeting_news.moved(_again(meeting), meeting.moves_by, meeting.starts_at.isoformat())
    if not changed:
        _let_go(claim)


def _stay(claim: _Claim, ours: Any, values: dict[str, Any], code: str) -> None:
    """It is not moved: it stands where it stood."""
    with transaction.atomic():
        changed = ours.update(failure=code, **values)
        if changed and claim.late:
            meeting_news.not_moved(_again(claim.meeting))
    if not changed:
        _let_go(claim)


def _put_right(claim: _Claim, port: Port) -> None:
    """A booked meeting of which nobody knows how it stands there: at its time, whatever came beside it."""
    stored = standing.place(port, _placing(claim, _time(claim.meeting), firm=True))
    if not claim.rows.filter(status=MeetingStatus.BOOKED, moves_to_starts_at=None).update(
        href=stored.href, **_DONE
    ):
        _let_go(claim)


def _take_away(claim: _Claim, port: Port) -> None:
    meeting = claim.meeting
    near = [_time(meeting)]
    if meeting.moves_to_starts_at is not None and meeting.moves_to_ends_at is not None:
        near.append(Period(meeting.moves_to_starts_at, meeting.moves_to_ends_at))
    standing.vanish(port, meeting.uid, meeting.href, near)
    failpoint.hit("meeting.removed")
    rows = claim.rows.filter(status=meeting.status, forgotten=meeting.forgotten)
    if meeting.looks_left:
        values = {"looks_left": meeting.looks_left - 1, **_look_again()}
    else:
        values = {"href": "", **_DONE}
    if not rows.update(**values):
        _let_go(claim)


# --- between ---------------------------------------------------------------------------------------

_DONE: Final[dict[str, Any]] = {"sync_at": None, "sync_since": None, "sync_tries": 0, "lease_until": None}


def _look_again() -> dict[str, Any]:
    """Columns: due once more, when whoever may have been at it must be through."""
    now = timezone.now()
    return {
        "sync_at": now + timedelta(seconds=6 * settings.CALENDAR_TIMEOUT_S),
        "sync_since": now,
        "sync_tries": 0,
        "lease_until": None,
    }


def _later(claim: _Claim, code: str) -> None:
    """The calendar did not do it now."""
    meeting, now = claim.meeting, timezone.now()
    gone = meeting.forgotten or meeting.status in (MeetingStatus.CANCELED, MeetingStatus.FAILED)
    if not gone and (now - (meeting.sync_since or now)) * settings.TIME_SCALE > timedelta(seconds=_GIVE_UP_S):
        _give_up(claim)
        return
    longest_s = _LONGEST_GONE_S if gone else _LONGEST_S
    wait_s = backoff.delay_s(meeting.sync_tries + 1, first_s=_FIRST_S, longest_s=longest_s)
    claim.rows.update(
        lease_until=None,
        sync_tries=F("sync_tries") + 1,
        sync_at=now + timedelta(seconds=wait_s / settings.TIME_SCALE),
    )
    log.info(
        "calendar not in line yet",
        meeting_id=str(meeting.pk),
        workspace_id=str(meeting.workspace_id),
        error=code,
        tries=meeting.sync_tries + 1,
    )


def _give_up(claim: _Claim) -> None:
    meeting = claim.meeting
    log.warning(
        "meeting given up: the calendar does not confirm it",
        meeting_id=str(meeting.pk),
        workspace_id=str(meeting.workspace_id),
    )
    if meeting.status != MeetingStatus.BOOKED:
        _fail(claim, "gave_up", meeting.status)
    elif meeting.moves_to_starts_at is not None:
        # Where it stands now nobody knows; it is put back where it stood, however long that takes.
        back = {"moves_to_starts_at": None, "moves_to_ends_at": None, "lease_until": None}
        ours = claim.rows.filter(status=MeetingStatus.BOOKED)
        _stay(claim, ours, {**back, **calendars.due_now(timezone.now(), grace_s=_FIRST_S)}, "gave_up")
    else:
        claim.rows.update(lease_until=None, sync_at=timezone.now() + timedelta(seconds=_LONGEST_GONE_S))


def _let_go(claim: _Claim) -> None:
    """The row has changed under us: whatever it wants now is due at once."""
    if claim.rows.update(lease_until=None):
        wake("crm.calendars.settle", str(claim.meeting.pk))


def _placing(
    claim: _Claim, time: Period, *, was: Period | None = None, firm: bool = False
) -> standing.Placing:
    meeting = claim.meeting
    return standing.Placing(
        event=event_of(meeting, time),
        guard=read.rules(meeting.calendar).padded(time),
        is_leftover=_leftovers(meeting),
        href=meeting.href,
        was=was,
        firm=firm,
    )


def event_of(meeting: Meeting, time: Period | None = None) -> Event:
    """A meeting as its host's calendar shows it."""
    lead = meeting.lead
    about = [meeting.notes, *([lead.name, lead.phone or "", lead.email or ""] if lead else [])]
    return Event(
        uid=meeting.uid,
        period=time or _time(meeting),
        title=meeting.title or "Meeting",
        text="\n".join(line for line in about if line),
        sequence=meeting.sequence,
        revision=meeting.fence,
        join_url=meeting.join_url or meeting.calendar.join_url,
    )


def _leftovers(meeting: Meeting) -> Callable[[str], bool]:
    """Whether an event in the calendar is of a meeting of ours that stands no more."""

    def is_leftover(uid: str) -> bool:
        rows = Meeting.objects.filter(workspace_id=meeting.workspace_id, uid=uid)
        known = rows.exclude(pk=meeting.pk).values_list("status", "forgotten").first()
        return known is not None and (known[1] or known[0] not in HOLDS_TIME)

    return is_leftover


def _time(meeting: Meeting) -> Period:
    return Period(meeting.starts_at, meeting.ends_at)


def _again(meeting: Meeting) -> Meeting:
    return Meeting.objects.select_related("calendar", "lead").get(pk=meeting.pk)
