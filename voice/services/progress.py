"""The carrier's word about a call, applied to it: in any order, any number of times (promises.md A4)."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from django.db import transaction
from django.utils import timezone

from tenex.lib import failpoint
from voice.models import Call, CallStatus, EndReason
from voice.models.calls import LIVE
from voice.services import calls, journal
from voice.services.timing import scaled, timing
from voice.telephony.client import CarrierCall
from voice.telephony.statuses import Move, parse, read


@dataclass(frozen=True, slots=True)
class Report:
    """What the carrier said. `seq` orders callbacks of one call; `at` is the carrier's clock."""

    status: str
    seq: int | None = None
    at: datetime | None = None
    duration_s: int | None = None
    sip_code: int | None = None
    answered_by: str = ""
    error_code: str = ""


def of_call(call: CarrierCall) -> Report:
    """The same out of the carrier's call resource, for whom the callbacks did not reach."""
    return Report(
        status=call.status, at=call.ended_at, duration_s=call.duration_s, answered_by=call.answered_by
    )


def apply(call_id: uuid.UUID, report: Report) -> bool:
    """Move the call as far as `report` says; whether anything changed.

    The moves only go forward, so a late or repeated report finds no source state and changes nothing. The
    sequence number is a high-water mark for the raw status that is shown to people.
    """
    status = parse(report.status)
    if status is None:
        return False
    failpoint.hit("progress.received")
    if _is_old_news(call_id, report):
        return False
    with transaction.atomic():
        call = Call.objects.select_for_update().filter(pk=call_id).first()
        if call is None:
            return False
        if call.status == CallStatus.QUEUED:
            # Put back for another attempt while this one was under way after all: adopt() has the say.
            return False
        _note(call, report, status.value)
        if call.status not in LIVE:
            return False
        at = _clamp(call, report.at)
        reading = read(status, report.sip_code)
        match reading.move:
            case Move.NONE:
                changed = False
            case Move.RING:
                changed = calls.ring(call_id)
            case Move.ANSWER:
                changed = _answer(call, at)
            case Move.END:
                changed = _end(call, reading.reason or EndReason.CARRIER_FAILED, at, report)
            case _:
                assert_never(reading.move)
        failpoint.hit("progress.moved")
    failpoint.hit("progress.committed")
    return changed


def _is_old_news(call_id: uuid.UUID, report: Report) -> bool:
    """A repeated callback: everything up to its number is known, and what it says was applied with it."""
    if report.seq is None:
        return False
    row = Call.objects.filter(pk=call_id).values_list("provider_seq", "provider_status").first()
    if row is None:
        return True
    return bool(row == (report.seq, report.status))


def _answer(call: Call, at: datetime) -> bool:
    if not calls.answer(call.pk, at=at):
        return False
    sweep_at = timezone.now() + timedelta(seconds=timing().sweep_again_s)
    Call.objects.filter(pk=call.pk, lease_until=None).update(sweep_at=sweep_at)
    return True


def _end(call: Call, reason: EndReason, at: datetime, report: Report) -> bool:
    """End it; a `completed` whose `in-progress` was lost or is still on its way was answered all the same."""
    if reason == EndReason.CALLER_HANGUP and call.answered_at is None and report.duration_s:
        calls.answer(call.pk, at=_clamp(call, at - scaled(report.duration_s)))
    if reason == EndReason.CANCELED and call.end_hint:
        reason = EndReason(call.end_hint)
    if report.error_code:
        journal.append(call.pk, [journal.Line("carrier.error", {"code": report.error_code})])
    return calls.end(call.pk, reason, at=at)


def _note(call: Call, report: Report, status: str) -> None:
    fields: dict[str, object] = {}
    if report.seq is not None and report.seq > call.provider_seq:
        fields |= {"provider_seq": report.seq, "provider_status": status}
    elif report.seq is None and call.provider_seq < 0:
        fields |= {"provider_status": status}
    if report.answered_by and not call.answered_by:
        fields |= {"answered_by": report.answered_by[:30]}
    if fields:
        Call.objects.filter(pk=call.pk).update(**fields)


def _clamp(call: Call, at: datetime | None) -> datetime:
    """An instant that fits the row: the carrier's clock has whole seconds and need not agree with ours."""
    now = timezone.now()
    wanted = min(at or now, now)
    earliest = call.answered_at or call.placed_at
    return max(wanted, earliest) if earliest else wanted
